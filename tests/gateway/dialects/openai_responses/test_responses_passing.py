"""A provider that speaks the Responses API itself: bytes in, the same bytes out, the last event withheld."""

from typing import Any

import orjson
import pytest

from bursar.adapters.providers import ProviderFailure
from bursar.adapters.providers.openai import OpenAI
from bursar.core.usage import Meter
from bursar.gateway.dialects import Call, Exchange
from bursar.gateway.dialects.openai_responses import reading
from bursar.gateway.exchange import open_exchange
from recorded import SECRET, attempt

USAGE = {"input_tokens": 9, "output_tokens": 3, "total_tokens": 12}
COST = {"cost": "0.1", "currency": "USD", "input_tokens": 9, "output_tokens": 3}
MESSAGE = {"id": "msg_1", "type": "message", "role": "assistant", "content": []}
CALL = {"id": "fc_1", "type": "function_call", "call_id": "c1", "name": "weather", "arguments": "{}"}


def frame(kind: str, number: int, **said: Any) -> bytes:
    event = {"type": kind, "sequence_number": number, **said}
    return b"event: " + kind.encode() + b"\ndata: " + orjson.dumps(event) + b"\n\n"


def delta(number: int, text: str) -> bytes:
    return frame("response.output_text.delta", number, item_id="msg_1", delta=text, brand_new=[1.0])


def response(status: str, **said: Any) -> dict[str, Any]:
    return {
        "id": "resp_1",
        "object": "response",
        "status": status,
        "output": [MESSAGE],
        "usage": None,
        **said,
    }


def opened(*, keeps: bool = False, previous: str | None = None, **asked: Any) -> tuple[Call, Exchange]:
    call = reading.read(orjson.dumps({"model": "m", "input": "Hello", "stream": True, **asked}))
    assert call.memory is not None
    call.memory.keeps, call.memory.previous_id = keeps, previous
    return call, open_exchange(call, OpenAI(), attempt().deployment, SECRET, None)


def said(frames: list[bytes]) -> list[dict[str, Any]]:
    return [orjson.loads(one.partition(b"\ndata: ")[2]) for one in frames]


class TestAStream:
    def test_goes_through_byte_for_byte(self) -> None:
        _, exchange = opened()
        sent = [
            frame("response.created", 0, response=response("in_progress", store=False)),
            b": keep-alive\n\n",
            frame("response.output_item.added", 1, output_index=0, item=MESSAGE),
            frame("response.brand_new", 2, odd={"big": 12345678901234567}),
            delta(3, "Hel"),
            delta(4, "lo"),
        ]
        assert exchange.feed(b"".join(sent)) == sent
        assert exchange.measured.provider_request_id == "resp_1"
        assert exchange.measured.delivered_tokens == 2

    @pytest.mark.parametrize("status", ["completed", "incomplete"])
    def test_withholds_its_last_event_and_tells_the_cost_in_it(self, status: str) -> None:
        _, exchange = opened()
        ended = response(status, usage=USAGE, service_tier="flex", brand_new=True)
        assert exchange.feed(delta(1, "Hi") + frame(f"response.{status}", 2, response=ended, odd=1)) == [
            delta(1, "Hi")
        ]
        assert exchange.measured.terminal
        assert exchange.measured.usage is not None
        assert exchange.measured.usage.quantities == {Meter.IN_FRESH: 9, Meter.OUT_TEXT: 3}
        assert exchange.measured.usage.service_tier == "flex"
        (last,) = said(exchange.tail(COST))
        assert last == {
            "type": f"response.{status}",
            "sequence_number": 2,
            "odd": 1,
            "response": {**ended, "usage": {**USAGE, **COST}},
        }
        assert said(exchange.tail(COST)) == [last]  # it may be asked for again

    def test_without_usage_is_told_what_was_charged(self) -> None:
        _, exchange = opened()
        exchange.feed(frame("response.completed", 1, response=response("completed")))
        (last,) = said(exchange.tail(COST))
        usage = last["response"]["usage"]
        assert (usage["input_tokens"], usage["output_tokens"], usage["cost"]) == (9, 3, "0.1")

    @pytest.mark.parametrize(
        ("reason", "finish"), [("max_output_tokens", "length"), ("content_filter", "content_filter")]
    )
    def test_tells_why_it_ended(self, reason: str, finish: str) -> None:
        _, exchange = opened()
        ended = response("incomplete", incomplete_details={"reason": reason})
        exchange.feed(frame("response.incomplete", 1, response=ended))
        assert exchange.measured.finish_reason == finish

    def test_of_calls_counts_their_names_and_arguments(self) -> None:
        _, exchange = opened()
        added = frame("response.output_item.added", 1, output_index=0, item={**CALL, "arguments": ""})
        more = frame("response.function_call_arguments.delta", 2, item_id="fc_1", delta="abcdef")
        assert exchange.feed(added + more) == [added, more]
        assert exchange.measured.delivered_tokens == 5  # thirteen letters
        exchange.feed(frame("response.completed", 3, response=response("completed", output=[CALL])))
        assert exchange.measured.finish_reason == "tool_calls"

    def test_whose_last_event_lacks_the_output_is_kept_whole(self) -> None:
        call, exchange = opened(keeps=True)
        exchange.feed(
            frame("response.output_item.done", 1, output_index=1, item=CALL)
            + frame("response.output_item.done", 2, output_index=0, item=MESSAGE)
            + frame("response.completed", 3, response=response("completed", output=None))
        )
        assert call.memory is not None
        assert call.memory.answer is not None
        assert call.memory.answer["output"] == [MESSAGE, CALL]
        assert exchange.measured.finish_reason == "tool_calls"

    def test_that_is_kept_says_so_from_the_beginning(self) -> None:
        _, exchange = opened(keeps=True, previous="resp_0")
        begun = frame("response.created", 0, response=response("in_progress", store=False), odd=1)
        (told,) = said(exchange.feed(begun))
        assert (told["response"]["store"], told["response"]["previous_response_id"]) == (True, "resp_0")
        assert (told["odd"], told["sequence_number"]) == (1, 0)


class TestWhatIsAskedOfTheProvider:
    """Reasoning that is kept must come back readable, but only models that reason may be asked for it."""

    @pytest.mark.parametrize(
        ("keeps", "asked", "include"),
        [
            (True, {"reasoning": {"effort": "low"}}, ["reasoning.encrypted_content"]),
            (True, {"reasoning": {}, "include": ["x"]}, ["x", "reasoning.encrypted_content"]),
            (True, {}, None),
            (False, {"reasoning": {"effort": "low"}}, None),
        ],
    )
    def test_is_encrypted_reasoning_where_it_is_kept(
        self, *, keeps: bool, asked: dict[str, Any], include: list[str] | None
    ) -> None:
        _, exchange = opened(keeps=keeps, **asked)
        assert orjson.loads(exchange.body).get("include") == include


class TestAStreamThatFails:
    @pytest.mark.parametrize(
        "broken",
        [
            frame("error", 2, code="server_error", message="Sorry.", param=None),
            frame("error", 2, error={"code": "server_error", "message": "Sorry.", "type": "server_error"}),
            frame("response.failed", 2, response=response("failed", error={"code": "server_error"})),
            frame("response.failed", 2, response=response("failed")),
            b"event: response.output_text.delta\ndata: {\n\n",
            b"data: [1]\n\n",
        ],
    )
    def test_passes_nothing_of_it_on(self, broken: bytes) -> None:
        _, exchange = opened()
        assert exchange.feed(delta(1, "Hi") + broken + delta(3, "there")) == [delta(1, "Hi")]
        assert exchange.measured.error is not None
        assert exchange.measured.error.code == "provider_error"

    def test_is_cut_with_a_failed_response_and_an_error(self) -> None:
        call, exchange = opened()
        exchange.feed(frame("response.created", 0, response=response("in_progress")) + delta(7, "Hi"))
        assert call.memory is not None
        call.memory.bill = COST
        failed, error = said(exchange.cut("insufficient_balance", "It ran out.", 402))
        assert (failed["type"], failed["sequence_number"]) == ("response.failed", 8)
        assert failed["response"]["error"] == {"code": "insufficient_balance", "message": "It ran out."}
        assert failed["response"]["usage"]["cost"] == "0.1"
        assert (error["type"], error["sequence_number"]) == ("error", 9)
        assert error["code"] == error["error"]["code"] == "insufficient_balance"

    def test_is_cut_with_an_error_alone_when_nothing_began(self) -> None:
        _, exchange = opened()
        (error,) = said(exchange.cut("provider_error", "It broke.", 502))
        assert (error["type"], error["sequence_number"], error["message"]) == ("error", 0, "It broke.")

    @pytest.mark.parametrize("half", [8, 40, 80])
    def test_in_the_middle_of_an_event_passes_no_half_of_it_on(self, half: int) -> None:
        _, exchange = opened()
        exchange.feed(delta(1, "Hi") + delta(2, "there")[:half])
        assert exchange.end() == []
        assert not exchange.measured.terminal


class TestAWholeAnswer:
    def test_is_the_same_bytes(self) -> None:
        _, exchange = opened(stream=False)
        body = b'{ "id":"resp_1", "status":"completed", "output":[], "big":12345678901234567, "usage":null}'
        assert exchange.answer(200, body) == body
        assert exchange.measured.terminal

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"[]",
            b"{}",
            orjson.dumps(response("queued")),
            orjson.dumps(response("in_progress")),
            orjson.dumps(response("completed", output=None)),
            orjson.dumps(response("failed", error={"code": "server_error", "message": "Sorry."})),
        ],
    )
    def test_is_refused_when_it_is_none(self, body: bytes) -> None:
        _, exchange = opened(stream=False)
        with pytest.raises(ProviderFailure) as failed:
            exchange.answer(200, body)
        assert failed.value.status == 502

    def test_that_failed_still_tells_its_usage(self) -> None:
        _, exchange = opened(stream=False)
        error = {"code": "server_error", "message": "Sorry."}
        with pytest.raises(ProviderFailure):
            exchange.answer(200, orjson.dumps(response("failed", error=error, usage=USAGE)))
        assert exchange.measured.usage is not None
        assert exchange.measured.usage.output_tokens == 3
