"""Every fault, seen as bytes on the wire, for both providers, streamed and whole."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from raw_http import CHAT, MESSAGES, TIMEOUT_S, Call, Raw, chat, data_of, message, request_bytes

from bursar.simulator import Simulator

QUIET_S = 0.4
"""How long nothing may come before a test believes that nothing will."""

Ask = Callable[..., tuple[str, dict[str, Any]]]


def ask_openai(script: str, **fields: Any) -> tuple[str, dict[str, Any]]:
    if fields.get("stream"):
        fields["stream_options"] = {"include_usage": True}
    return CHAT, chat(f"Hello [[sim: {script}]]", **fields)


def ask_anthropic(script: str, **fields: Any) -> tuple[str, dict[str, Any]]:
    return MESSAGES, message(f"Hello [[sim: {script}]]", **fields)


both = pytest.mark.parametrize("ask", [ask_openai, ask_anthropic])


class TestErrorAnswers:
    @both
    @pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 409, 422, 429, 500, 502, 503, 504, 529])
    async def test_status_comes_in_the_providers_shape(self, call: Call, ask: Ask, status: int) -> None:
        raw = await call(*ask(f"status={status}"))
        assert raw.status == status
        error = orjson.loads(raw.body)["error"]
        assert error["message"]
        assert error["type"]

    @both
    async def test_retry_after_is_a_header(self, call: Call, ask: Ask) -> None:
        assert (await call(*ask("status=429 retry_after=7"))).head["retry-after"] == "7"

    async def test_an_empty_account_is_a_429_at_openai(self, call: Call) -> None:
        raw = await call(*ask_openai("billing"))
        assert raw.status == 429
        assert orjson.loads(raw.body)["error"]["code"] == "insufficient_quota"

    async def test_an_empty_account_is_a_402_at_anthropic(self, call: Call) -> None:
        raw = await call(*ask_anthropic("billing"))
        assert raw.status == 402
        assert orjson.loads(raw.body)["error"]["type"] == "billing_error"

    @both
    async def test_an_error_may_be_a_page_of_html(self, call: Call, ask: Ask) -> None:
        raw = await call(*ask("status=502 html"))
        assert raw.head["content-type"] == "text/html"
        assert raw.body.startswith(b"<html>")

    @both
    async def test_type_may_be_overridden(self, call: Call, ask: Ask) -> None:
        raw = await call(*ask("status=500 error_type=odd_error"))
        assert orjson.loads(raw.body)["error"]["type"] == "odd_error"

    @both
    async def test_times_limits_a_script_to_the_first_requests(self, call: Call, ask: Ask) -> None:
        statuses = [(await call(*ask("status=503 times=2"))).status for _ in range(4)]
        assert statuses == [503, 503, 200, 200]


class TestScripts:
    async def test_may_stand_in_the_model_name(self, call: Call) -> None:
        raw = await call(CHAT, chat(model="gpt-4o-mini+status=503+retry_after=2"))
        assert (raw.status, raw.head["retry-after"]) == (503, "2")

    async def test_in_a_model_name_is_not_echoed(self, call: Call) -> None:
        raw = await call(CHAT, chat(model="gpt-4o-mini+output_tokens=5"))
        answer = orjson.loads(raw.body)
        assert answer["model"] == "gpt-4o-mini-2024-07-18"
        assert answer["usage"]["completion_tokens"] == 5

    async def test_of_earlier_turns_are_over(self, call: Call) -> None:
        turns = [
            {"role": "user", "content": "[[sim: status=503]]"},
            {"role": "assistant", "content": "Sorry."},
            {"role": "user", "content": "Again"},
        ]
        assert (await call(CHAT, chat(messages=turns))).status == 200
        assert (await call(MESSAGES, message(messages=turns))).status == 200

    async def test_may_stand_in_a_tool_result(self, call: Call) -> None:
        calls = [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
        turns = [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": None, "tool_calls": calls},
            {"role": "tool", "tool_call_id": "call_1", "content": "[[sim: status=503]]"},
        ]
        assert (await call(CHAT, chat(messages=turns))).status == 503


class TestConnectionFaults:
    @both
    @pytest.mark.parametrize("stream", [False, True])
    async def test_silence_before_headers_sends_nothing(self, call: Call, ask: Ask, *, stream: bool) -> None:
        raw = await call(*ask("silence_before_headers", stream=stream), quiet_s=QUIET_S)
        assert raw.data == b""
        assert isinstance(raw.error, TimeoutError)

    @both
    async def test_rst_breaks_the_connection(self, call: Call, ask: Ask) -> None:
        raw = await call(*ask("rst"))
        assert raw.data == b""
        assert isinstance(raw.error, ConnectionResetError)

    @both
    async def test_close_ends_the_connection_without_an_answer(self, call: Call, ask: Ask) -> None:
        raw = await call(*ask("close"))
        assert (raw.data, raw.error) == (b"", None)

    @both
    async def test_delay_comes_before_the_headers(self, call: Call, ask: Ask) -> None:
        started = time.monotonic()
        raw = await call(*ask("delay_ms=300"))
        assert raw.status == 200
        assert time.monotonic() - started >= 0.3


class TestWholeAnswerFaults:
    @both
    async def test_cut_body_breaks_its_promise(self, call: Call, ask: Ask) -> None:
        for script in ("cut_body", "cut_after_events=0", "cut_mid_event=0"):
            raw = await call(*ask(script))
            assert raw.status == 200
            assert 0 < len(raw.body) < int(raw.head["content-length"])
            assert raw.error is None

    @both
    async def test_rst_may_come_in_the_middle(self, call: Call, ask: Ask) -> None:
        raw = await call(*ask("rst_after_events=0"))
        assert 0 < len(raw.body) < int(raw.head["content-length"])
        assert isinstance(raw.error, ConnectionResetError)

    @both
    async def test_silence_may_come_in_the_middle(self, call: Call, ask: Ask) -> None:
        raw = await call(*ask("silence_after_events=0"), quiet_s=QUIET_S)
        assert 0 < len(raw.body) < int(raw.head["content-length"])
        assert isinstance(raw.error, TimeoutError)

    @both
    async def test_garbage_is_not_json(self, call: Call, ask: Ask) -> None:
        raw = await call(*ask("garbage"))
        assert raw.status == 200
        with pytest.raises(orjson.JSONDecodeError):
            orjson.loads(raw.body)

    @both
    async def test_empty_body_is_empty(self, call: Call, ask: Ask) -> None:
        raw = await call(*ask("empty_body"))
        assert (raw.status, raw.body) == (200, b"")

    @both
    async def test_in_stream_error_becomes_an_error_answer(self, call: Call, ask: Ask) -> None:
        assert (await call(*ask("error_event_after=2"))).status in (500, 529)

    @both
    async def test_split_bytes_arrive_complete(self, call: Call, ask: Ask) -> None:
        raw = await call(*ask("split_bytes=7"))
        assert orjson.loads(raw.body)["usage"]


def whole_events(raw: Raw) -> int:
    return raw.body.count(b"\n\n")


class TestStreamFaults:
    @both
    async def test_healthy_stream_ends_with_its_terminal_marker(self, call: Call, ask: Ask) -> None:
        raw = await call(*ask("output_tokens=5", stream=True))
        assert raw.is_finished
        assert b"[DONE]" in raw.events[-1] or b"message_stop" in raw.events[-1]

    @both
    async def test_cut_after_events_ends_without_last_chunk(self, call: Call, ask: Ask) -> None:
        raw = await call(*ask("cut_after_events=3", stream=True))
        assert whole_events(raw) == 3
        assert not raw.is_finished
        assert raw.error is None

    @both
    async def test_cut_mid_event_leaves_half_a_chunk(self, call: Call, ask: Ask) -> None:
        raw = await call(*ask("cut_mid_event=3", stream=True))
        assert whole_events(raw) == 3
        assert raw.body.rpartition(b"\n\n")[2] != b""
        assert raw.error is None

    @both
    async def test_rst_after_events_lets_them_through_first(self, call: Call, ask: Ask) -> None:
        raw = await call(*ask("rst_after_events=3", stream=True))
        assert whole_events(raw) == 3
        assert isinstance(raw.error, ConnectionResetError)

    @both
    async def test_silence_after_events_keeps_the_connection_open(self, call: Call, ask: Ask) -> None:
        raw = await call(*ask("silence_after_events=2", stream=True), quiet_s=QUIET_S)
        assert whole_events(raw) == 2
        assert isinstance(raw.error, TimeoutError)

    @both
    async def test_garbage_after_events_ends_the_stream(self, call: Call, ask: Ask) -> None:
        raw = await call(*ask("garbage_after_events=2", stream=True))
        assert b"\xff\xfe" in raw.body
        assert raw.is_finished

    @both
    async def test_garbage_event_is_followed_by_good_ones(self, call: Call, ask: Ask) -> None:
        raw = await call(*ask("garbage_event=2", stream=True))
        with pytest.raises(orjson.JSONDecodeError):
            data_of(raw.events[2])
        assert data_of(raw.events[3])

    async def test_error_event_of_openai_has_no_done(self, call: Call) -> None:
        raw = await call(*ask_openai("error_event_after=2", stream=True))
        assert data_of(raw.events[2])["error"]["type"] == "server_error"
        assert len(raw.events) == 3

    async def test_error_event_of_anthropic_is_overloaded(self, call: Call) -> None:
        raw = await call(*ask_anthropic("error_event_after=2", stream=True))
        assert raw.events[2].startswith(b"event: error\n")
        assert data_of(raw.events[2])["error"]["type"] == "overloaded_error"
        assert len(raw.events) == 3

    @both
    async def test_no_terminal_ends_cleanly_without_the_marker(self, call: Call, ask: Ask) -> None:
        raw = await call(*ask("no_terminal", stream=True))
        assert raw.is_finished
        assert b"[DONE]" not in raw.body
        assert b"message_stop" not in raw.body

    @both
    async def test_no_finish_gives_no_reason(self, call: Call, ask: Ask) -> None:
        raw = await call(*ask("no_finish", stream=True))
        events = [data_of(event) for event in raw.events if b"[DONE]" not in event]
        reasons = [choice["finish_reason"] for event in events for choice in event.get("choices", ())]
        reasons += [
            event["delta"].get("stop_reason") for event in events if event.get("type") == "message_delta"
        ]
        assert reasons
        assert set(reasons) == {None}

    @both
    async def test_split_bytes_come_one_per_chunk(self, call: Call, ask: Ask) -> None:
        raw = await call(*ask("split_bytes=1 output_tokens=3", stream=True))
        assert {len(chunk) for chunk in raw.chunks[:-1]} == {1}
        assert raw.is_finished

    @both
    async def test_split_utf8_cuts_inside_a_character(self, call: Call, ask: Ask) -> None:
        raw = await call(*ask("split_utf8 output_tokens=8", stream=True))
        broken = [chunk for chunk in raw.chunks if not _is_utf8(chunk)]
        assert broken
        assert _is_utf8(raw.body)

    @both
    async def test_big_event_is_as_big_as_asked(self, call: Call, ask: Ask) -> None:
        raw = await call(*ask("big_event=1048576 output_tokens=3", stream=True))
        assert max(map(len, raw.events)) > 1_048_576
        assert raw.is_finished

    @both
    async def test_keepalives_come_in_between(self, call: Call, ask: Ask) -> None:
        plain = await call(*ask("output_tokens=9", stream=True))
        raw = await call(*ask("output_tokens=9 ping_every=2", stream=True))
        mark = b": keep-alive" if ask is ask_openai else b"event: ping"
        assert raw.body.count(mark) - plain.body.count(mark) == len(plain.events) // 2

    @both
    async def test_lines_may_end_with_crlf(self, call: Call, ask: Ask) -> None:
        raw = await call(*ask("crlf", stream=True))
        assert raw.body.count(b"\n") == raw.body.count(b"\r\n") > 10

    @both
    async def test_unknown_event_and_fields_appear(self, call: Call, ask: Ask) -> None:
        raw = await call(*ask("unknown_event extra_fields", stream=True))
        assert b"simulated" in raw.events[1]
        assert data_of(raw.events[0])["x_simulated"] == {"kept": True}

    @both
    async def test_events_may_come_slowly(self, call: Call, ask: Ask) -> None:
        started = time.monotonic()
        await call(*ask("output_tokens=3 slow_ms_per_event=50 delay_first_ms=100", stream=True))
        assert time.monotonic() - started >= 0.1 + 4 * 0.05


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


class TestUsageFaults:
    @pytest.mark.parametrize("stream", [False, True])
    async def test_openai_reports_what_the_script_says(self, call: Call, *, stream: bool) -> None:
        script = "input_tokens=1013 cached=1008 cache_write=5 output_tokens=20 reasoning=30"
        raw = await call(*ask_openai(script, stream=stream))
        answer = data_of(raw.events[-2]) if stream else orjson.loads(raw.body)
        usage = answer["usage"]
        assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (1013, 50, 1063)
        assert usage["prompt_tokens_details"]["cached_tokens"] == 1008
        assert usage["prompt_tokens_details"]["cache_write_tokens"] == 5
        assert usage["completion_tokens_details"]["reasoning_tokens"] == 30

    @pytest.mark.parametrize("stream", [False, True])
    async def test_anthropic_reports_what_the_script_says(self, call: Call, *, stream: bool) -> None:
        script = (
            "input_tokens=1000 cached=600 cache_write=100 cache_write_1h=200 output_tokens=20 reasoning=30"
        )
        raw = await call(*ask_anthropic(f"{script} web_search=2", stream=stream))
        if stream:
            usage = {
                **data_of(raw.events[0])["message"]["usage"],
                **data_of(raw.events[-2])["usage"],
            }
        else:
            usage = orjson.loads(raw.body)["usage"]
        assert usage["input_tokens"] == 100
        assert usage["cache_read_input_tokens"] == 600
        assert usage["cache_creation_input_tokens"] == 300
        assert usage["cache_creation"] == {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200}
        assert usage["output_tokens"] == 50
        assert usage["output_tokens_details"] == {"thinking_tokens": 30}
        assert usage["server_tool_use"]["web_search_requests"] == 2

    @both
    @pytest.mark.parametrize("stream", [False, True])
    async def test_no_usage_reports_none(self, call: Call, ask: Ask, *, stream: bool) -> None:
        raw = await call(*ask("no_usage", stream=stream))
        assert b"_tokens" not in raw.body

    @both
    @pytest.mark.parametrize("stream", [False, True])
    async def test_zero_usage_reports_zeros(self, call: Call, ask: Ask, *, stream: bool) -> None:
        raw = await call(*ask("zero_usage", stream=stream))
        assert b'_tokens":0' in raw.body
        assert not any(b'_tokens":%d' % digit in raw.body for digit in range(1, 10))

    async def test_no_final_usage_leaves_the_placeholder(self, call: Call) -> None:
        raw = await call(*ask_anthropic("no_final_usage", stream=True))
        assert data_of(raw.events[0])["message"]["usage"]["output_tokens"] <= 4
        assert "usage" not in data_of(raw.events[-2])

    @both
    @pytest.mark.parametrize("stream", [False, True])
    async def test_reported_output_is_reported_whatever_was_written(
        self, call: Call, ask: Ask, *, stream: bool
    ) -> None:
        raw = await call(*ask("reported_output=1000000 output_tokens=5", stream=stream))
        assert b"1000000" in raw.body

    async def test_wrong_total_breaks_the_identity(self, call: Call) -> None:
        usage = orjson.loads((await call(*ask_openai("wrong_total"))).body)["usage"]
        assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] + 1

    async def test_running_usage_is_on_every_chunk(self, call: Call) -> None:
        raw = await call(*ask_openai("running_usage", stream=True))
        assert all(data_of(event)["usage"] for event in raw.events[:-1])

    @both
    async def test_tier_may_be_another_than_asked(self, call: Call, ask: Ask) -> None:
        assert b'"service_tier":"priority"' in (await call(*ask("service_tier=priority"))).body


class TestContentFaults:
    @both
    async def test_echo_answers_with_the_question(self, call: Call, ask: Ask) -> None:
        assert b'"Hello"' in (await call(*ask("echo"))).body

    @both
    async def test_text_is_said_word_for_word(self, call: Call, ask: Ask) -> None:
        assert "äöü, one".encode() in (await call(*ask('text="äöü, one"'))).body

    @both
    async def test_length_ends_for_length(self, call: Call, ask: Ask) -> None:
        body = (await call(*ask("length"))).body
        assert b'"length"' in body or b'"max_tokens"' in body

    @both
    async def test_output_tokens_are_bounded_by_the_callers_limit(self, call: Call, ask: Ask) -> None:
        usage = orjson.loads((await call(*ask("output_tokens=500", max_tokens=20))).body)["usage"]
        assert 20 in usage.values()


class TestHangUp:
    @both
    @pytest.mark.parametrize(
        "script",
        ["silence_after_events=2", "silence_before_headers", "slow_ms_per_event=20", "delay_ms=9000"],
    )
    async def test_is_noticed_within_100_ms(self, nearby: Simulator, ask: Ask, script: str) -> None:
        path, body = ask(f"{script} output_tokens=500", stream=True)
        host, port = nearby.base_url.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(request_bytes(path, body))
        while not nearby.log.requests_open:
            await asyncio.sleep(0.001)
        link, asked = nearby.log.links[-1], nearby.log.exchanges[-1]
        hung_up_ns = time.monotonic_ns()
        writer.close()
        await asyncio.wait_for(until(lambda: link.closed_ns > 0), TIMEOUT_S)
        assert (link.closed_by, asked.ended) == ("peer", "peer_closed")
        assert 0 <= link.peer_closed_ns - hung_up_ns < 100_000_000
        assert nearby.log.requests_open == 0


async def until(is_so: Callable[[], bool]) -> None:
    while not is_so():
        await asyncio.sleep(0.001)
