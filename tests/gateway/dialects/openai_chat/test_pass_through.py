"""OpenAI in, OpenAI out: bytes stay what they were, and are measured on the way."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.adapters.providers import ProviderFailure
from bursar.adapters.providers.openai import OpenAI
from bursar.adapters.providers.openai_compatible import OpenAICompatible
from bursar.core.chat import BadRequest
from bursar.core.estimate import tokens_of_text
from bursar.core.sse import EVENT_BYTES_MAX
from bursar.core.usage import Meter
from bursar.gateway.dialects import FOLD_SIZE, Exchange
from bursar.gateway.dialects.openai_chat import reading
from bursar.gateway.dialects.openai_chat.passing import is_plain, text_of, text_of_frames
from bursar.gateway.dialects.openai_chat.writing import DONE
from bursar.gateway.exchange import open_exchange
from recorded import SECRET, attempt, recorded

STREAM = recorded("openai/stream.sse")
ASKING: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}


def exchange(provider: OpenAI | None = None, *, max_tokens: int | None = None, **properties: Any) -> Exchange:
    body = {"model": "best-model", "messages": [{"role": "user", "content": "Hello"}], **properties}
    call = reading.read(orjson.dumps(body))
    return open_exchange(call, provider or OpenAI(), attempt("gpt-5.4-mini").deployment, SECRET, max_tokens)


def frame(**chunk: Any) -> bytes:
    return b"data: " + orjson.dumps(chunk) + b"\n\n"


def delta(index: int = 0, finish: str | None = None, **said: Any) -> bytes:
    return frame(id="c", choices=[{"index": index, "delta": said, "finish_reason": finish}])


def payloads(frames: list[bytes]) -> list[Any]:
    return [orjson.loads(part[6:]) for part in b"".join(frames).split(b"\n\n") if part.startswith(b"data: {")]


class TestRequest:
    def test_changes_the_model_and_nothing_else(self) -> None:
        asked = exchange(temperature=0.3, unknown_field={"kept": [1]}, metadata={"a": "b"})
        assert orjson.loads(asked.body) == {
            "model": "gpt-5.4-mini",
            "messages": [{"role": "user", "content": "Hello"}],
            "temperature": 0.3,
            "unknown_field": {"kept": [1]},
            "metadata": {"a": "b"},
        }
        assert asked.path == "/chat/completions"
        assert asked.headers == {"authorization": f"Bearer {SECRET}", "content-type": "application/json"}

    def test_always_asks_for_usage_in_streams(self) -> None:
        asked = exchange(stream=True, stream_options={"include_obfuscation": False})
        assert orjson.loads(asked.body)["stream_options"] == {
            "include_obfuscation": False,
            "include_usage": True,
        }
        assert "stream_options" not in orjson.loads(exchange().body)

    @pytest.mark.parametrize(
        ("given_bounds", "gateway", "written"),
        [
            ({}, None, {}),
            ({}, 50, {"max_completion_tokens": 50}),
            ({"max_tokens": 80}, 50, {"max_tokens": 50}),
            ({"max_tokens": 20}, 50, {"max_tokens": 20}),
            (
                {"max_completion_tokens": 80, "max_tokens": 90},
                50,
                {"max_completion_tokens": 50, "max_tokens": 50},
            ),
            ({"max_completion_tokens": 80}, None, {"max_completion_tokens": 80}),
            (
                {"max_completion_tokens": 80, "max_tokens": 20},
                None,
                {"max_completion_tokens": 20, "max_tokens": 20},
            ),
            ({"max_tokens": 64_001}, None, {"max_tokens": 64_000}),
        ],
    )
    def test_lowers_the_output_bound_where_the_caller_put_it(
        self, given_bounds: dict[str, int], gateway: int | None, written: dict[str, int]
    ) -> None:
        body = orjson.loads(exchange(max_tokens=gateway).body) if not given_bounds else None
        asked = reading.read(
            orjson.dumps({"model": "m", "messages": [{"role": "user", "content": "x"}], **given_bounds})
        )
        opened = open_exchange(asked, OpenAI(), attempt("gpt").deployment, SECRET, gateway)
        body = orjson.loads(opened.body)
        assert {
            name: body[name] for name in ("max_completion_tokens", "max_tokens") if name in body
        } == written

    def test_compatible_servers_know_the_older_name(self) -> None:
        assert orjson.loads(exchange(OpenAICompatible(), max_tokens=9).body)["max_tokens"] == 9

    @pytest.mark.parametrize("tier", ["priority", "fast", "scale"])
    def test_refuses_tiers_that_have_no_price(self, tier: str) -> None:
        with pytest.raises(BadRequest) as refused:
            exchange(service_tier=tier)
        assert (refused.value.param, refused.value.code) == ("service_tier", "unsupported_parameter")
        assert orjson.loads(exchange(OpenAICompatible(), service_tier=tier).body)["service_tier"] == tier

    def test_a_property_given_twice_means_one_thing(self) -> None:
        call = reading.read(b'{"model":"m","messages":[{"role":"user","content":"x"}],"n":9,"n":1}')
        body = open_exchange(call, OpenAI(), attempt("gpt").deployment, SECRET, None).body
        assert call.n == 1
        assert body.count(b'"n"') == 1


class TestWholeAnswers:
    def test_pass_untouched_and_are_measured(self) -> None:
        body = recorded("openai/answer.json")
        asked = exchange()
        assert asked.answer(200, body) is body
        measured = asked.measured
        assert measured.usage is not None
        assert (measured.usage.input_tokens, measured.usage.output_tokens) == (1219, 110)
        assert (measured.terminal, measured.usage_final, measured.output_started) == (True, True, True)
        assert (measured.finish_reason, measured.content_filtered) == ("stop", False)
        assert measured.provider_request_id == "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT"
        assert measured.delivered_tokens == tokens_of_text("Hello! How can I assist you today?")
        assert measured.best_usage(5) is measured.usage

    def test_tool_calls_are_output_too(self) -> None:
        asked = exchange()
        asked.answer(200, recorded("openai/answer_tools.json"))
        assert asked.measured.finish_reason == "tool_calls"
        assert asked.measured.delivered_tokens > 10

    def test_blank_lines_before_the_answer_are_forgiven(self) -> None:
        body = b"\n\n\n" + recorded("openai/answer.json")
        assert exchange().answer(200, body) == body

    @pytest.mark.parametrize(
        "body", [b"", b"<html>", b"[]", b"{}", b'{"choices": {}}', b'{"error": {"message": "no"}}']
    )
    def test_anything_else_is_the_providers_failure(self, body: bytes) -> None:
        with pytest.raises(ProviderFailure) as failed:
            exchange().answer(200, body)
        assert failed.value.code == "provider_error"

    def test_the_providers_request_id_comes_from_its_headers(self) -> None:
        asked = exchange()
        asked.opened({"x-request-id": "req-7"})
        asked.answer(200, recorded("openai/answer.json"))
        assert asked.measured.provider_request_id == "req-7"

    @pytest.mark.parametrize(
        ("usage", "zero"),
        [
            ({"prompt_tokens": 0, "completion_tokens": 0}, True),
            ({"prompt_tokens": 0, "completion_tokens": -1}, False),
            ({"prompt_tokens": 1, "completion_tokens": 0}, False),
            ({}, False),
            (None, False),
            ("free", False),
        ],
    )
    def test_a_zero_is_explicit_or_no_zero(self, usage: object, zero: bool) -> None:  # noqa: FBT001 - a table's column
        asked = exchange()
        asked.answer(200, orjson.dumps({"choices": [], "usage": usage}))
        assert asked.measured.explicit_zero is zero

    def test_half_a_usage_is_not_final(self) -> None:
        asked = exchange()
        answer = {"choices": [{"message": {"content": "twelve words"}}, 7], "usage": {"prompt_tokens": 9}}
        asked.answer(200, orjson.dumps(answer))
        assert not asked.measured.usage_final
        best = asked.measured.best_usage(1)
        assert (best.input_tokens, best.estimated) == (9, True)
        assert best.output_tokens == asked.measured.delivered_tokens > 0

    def test_filtered_content_is_noted(self) -> None:
        asked = exchange()
        asked.answer(200, orjson.dumps({"choices": [{"message": {}, "finish_reason": "content_filter"}]}))
        assert asked.measured.content_filtered
        assert asked.measured.best_usage(8).quantities == {Meter.IN_FRESH: 8, Meter.OUT_TEXT: 0}

    def test_errors_are_classified_by_the_provider(self) -> None:
        failure = exchange().error(429, {"retry-after": "3"}, b"{}")
        assert (failure.kind, failure.retry_after_s) == ("rate_limited", 3)


class TestStreams:
    @pytest.mark.parametrize("size", [1, 7, 100, 1_000_000])
    def test_pass_byte_for_byte_but_for_the_end(self, size: int) -> None:
        asked = exchange(**ASKING)
        passed = [kept for n in range(0, len(STREAM), size) for kept in asked.feed(STREAM[n : n + size])]
        passed += asked.end()
        assert b"".join(passed) == STREAM[: STREAM.index(b"data: ", STREAM.index(b'"finish_reason":"stop"'))]
        measured = asked.measured
        assert (measured.terminal, measured.usage_final, measured.finish_reason) == (True, True, "stop")
        assert measured.usage is not None
        assert measured.usage.quantities == {Meter.IN_FRESH: 9, Meter.OUT_TEXT: 10, Meter.OUT_REASONING: 2}
        assert measured.usage.service_tier == "default"
        assert measured.provider_request_id == "chatcmpl-123"

    def test_the_tail_carries_usage_and_cost_when_asked(self) -> None:
        asked = exchange(**ASKING)
        asked.feed(STREAM)
        usage, done = asked.tail({"cost": "0.000123", "balance": "99.99"})
        assert done == DONE
        chunk = orjson.loads(usage[6:])
        assert (chunk["id"], chunk["object"], chunk["choices"]) == (
            "chatcmpl-123",
            "chat.completion.chunk",
            [],
        )
        assert chunk["usage"]["total_tokens"] == 21
        assert (chunk["usage"]["cost"], chunk["usage"]["balance"]) == ("0.000123", "99.99")

    def test_the_tail_is_bare_when_usage_was_not_asked_for(self) -> None:
        asked = exchange(stream=True)
        asked.feed(STREAM)
        assert asked.tail({"cost": "1"}) == [DONE]

    def test_the_tail_tells_the_estimate_when_no_usage_came(self) -> None:
        asked = exchange(**ASKING)
        asked.feed(delta(content="Hello"))
        [usage] = payloads(asked.tail({"cost": "1", "input_tokens": 4, "output_tokens": 2}))
        assert usage["usage"]["total_tokens"] == 6
        [usage] = payloads(asked.tail(None))
        assert usage["usage"]["completion_tokens"] == asked.measured.delivered_tokens

    def test_output_starts_with_the_first_words(self) -> None:
        asked = exchange(stream=True)
        asked.feed(delta(role="assistant", content=""))
        assert not asked.measured.output_started
        asked.feed(delta(content="H"))
        assert asked.measured.output_started

    def test_a_plain_chunk_goes_through_whole(self) -> None:
        asked = exchange(stream=True)
        asked.feed(delta(content="a"))
        several = delta(content="b") * 3
        assert asked.feed(several) == [several]

    def test_counts_what_was_delivered_of_every_kind(self) -> None:
        asked = exchange(stream=True)
        asked.feed(delta(content="Hello "))
        asked.feed(delta(content="world") + delta(reasoning_content=" thinking"))
        asked.feed(delta(tool_calls=[{"index": 0, "function": {"name": " f", "arguments": "{}"}}]))
        assert asked.measured.delivered_tokens == tokens_of_text("Hello world thinking f{}")
        asked.feed(delta(refusal="No", function_call={"name": "g", "arguments": "[]"}))
        assert asked.measured.delivered_tokens >= tokens_of_text("Hello world thinking f{}Nog[]")

    def test_counting_is_put_off_but_not_for_ever(self) -> None:
        asked = exchange(stream=True)
        asked.feed(delta(content="a"))
        word = delta(content="word")
        for _ in range(2 * FOLD_SIZE // len(word)):
            asked.feed(word)
        assert sum(map(len, asked.measured._unread)) <= FOLD_SIZE
        assert asked.measured.delivered_tokens >= tokens_of_text("word" * (2 * FOLD_SIZE // len(word)))

    @pytest.mark.parametrize("junk", [b"\xff\xfe{\x00\n\n", b"<html>\n\n", b": \xc3\x28\n\n"])
    def test_bytes_that_are_no_events_are_kept_from_the_caller(self, junk: bytes) -> None:
        asked = exchange(**ASKING)
        assert asked.feed(junk) == []
        assert b"".join(asked.feed(STREAM)).startswith(b"data: ")

    def test_comments_pass_and_late_usage_is_withheld(self) -> None:
        asked = exchange(OpenAICompatible(), **ASKING)
        passed = asked.feed(recorded("compatible/openrouter.sse"))
        assert passed[0] == b": OPENROUTER PROCESSING\n\n"
        last = payloads([passed[-1]])[0]
        assert (last["usage"], last["choices"][0]["finish_reason"]) == (None, "stop")
        assert asked.measured.usage is not None
        assert asked.measured.usage.output_tokens == 1
        assert b'"cost":0.0001' in (asked.measured.usage.raw or b"")
        assert "cost" not in payloads(asked.tail({}))[0]["usage"], "what the operator paid is not told"

    def test_reads_a_local_servers_reasoning(self) -> None:
        asked = exchange(OpenAICompatible(), stream=True)
        passed = asked.feed(recorded("compatible/ollama.sse"))
        assert len(passed) == 3
        assert asked.measured.delivered_tokens >= tokens_of_text("OkayHi")
        assert asked.measured.terminal

    def test_the_latest_usage_survives_a_cut(self) -> None:
        asked = exchange(stream=True)
        usage = {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6}
        asked.feed(frame(choices=[{"delta": {"content": "a"}}], usage=usage))
        asked.feed(
            frame(
                choices=[{"delta": {"content": "b"}}],
                usage={**usage, "completion_tokens": 2, "total_tokens": 7},
            )
        )
        assert not asked.measured.terminal
        assert asked.measured.usage is not None
        assert asked.measured.usage.output_tokens == 2

    def test_an_error_in_the_stream_is_swallowed_and_told(self) -> None:
        asked = exchange(OpenAICompatible(), stream=True)
        passed = asked.feed(recorded("compatible/openrouter_error.sse"))
        assert b"10.2.3.4" not in b"".join(passed)
        error = asked.measured.error
        assert error is not None
        assert (error.kind, error.status) == ("server", 502)
        assert asked.feed(delta(content="more")) == []
        assert asked.end() == []
        assert not asked.measured.terminal

    def test_a_named_error_event_is_an_error(self) -> None:
        asked = exchange(stream=True)
        asked.feed(b'event: error\ndata: {"message": "x", "type": "server_error"}\n\n')
        assert asked.measured.error is not None

    @pytest.mark.parametrize(
        "garbage", [b"data: {oops\n\n", b"data: [1]\n\n", b"data: \xff\xfe\n\n", b"data\n\n"]
    )
    def test_garbage_ends_the_stream(self, garbage: bytes) -> None:
        asked = exchange(stream=True)
        assert asked.feed(delta(content="ok") + garbage + delta(content="never")) == [delta(content="ok")]
        assert asked.measured.error is not None
        assert asked.measured.error.code == "provider_error"

    def test_an_event_without_end_ends_the_stream(self) -> None:
        asked = exchange(stream=True)
        for _ in range(EVENT_BYTES_MAX // 1_000_000 + 1):
            asked.feed(b"x" * 1_000_000)
        assert asked.measured.error is not None
        assert "too large" in asked.measured.error.message

    def test_a_megabyte_event_passes(self) -> None:
        asked = exchange(stream=True)
        large = delta(content="x" * 1_000_000)
        passed = [kept for n in range(0, len(large), 65_536) for kept in asked.feed(large[n : n + 65_536])]
        assert b"".join(passed) == large

    def test_nothing_follows_the_end(self) -> None:
        asked = exchange(stream=True)
        asked.feed(delta(content="a") + b"data: [DONE]\n\n")
        assert asked.feed(delta(content="b")) == []

    def test_a_stream_that_breaks_off_is_not_complete(self) -> None:
        asked = exchange(stream=True)
        asked.feed(delta(content="a"))
        assert asked.end() == []
        assert not asked.measured.terminal

    def test_every_choice_finished_is_complete_without_the_marker(self) -> None:
        asked = exchange(stream=True, n=2)
        asked.feed(delta(0, "stop", content="a") + delta(1, content="b"))
        asked.end()
        assert not asked.measured.terminal
        asked.feed(delta(1, "stop"))
        assert asked.end() == []
        assert asked.measured.terminal

    def test_a_last_event_without_its_blank_line_counts(self) -> None:
        asked = exchange(stream=True)
        asked.feed(delta(content="a") + b"data: [DONE]")
        asked.end()
        assert asked.measured.terminal

    def test_cut_tells_the_error_and_ends(self) -> None:
        error, done = exchange(stream=True).cut("provider_error", "The provider failed.")
        assert orjson.loads(error[6:])["error"]["code"] == "provider_error"
        assert done == DONE

    @given(st.lists(st.integers(1, 40), max_size=60))
    def test_any_chunking_gives_the_same_bytes_and_figures(self, sizes: list[int]) -> None:
        asked, rest, passed = exchange(stream=True), recorded("openai/stream_tools.sse"), []
        for size in sizes:
            passed += asked.feed(rest[:size])
            rest = rest[size:]
        passed += asked.feed(rest) + asked.end()
        whole = exchange(stream=True)
        assert b"".join(passed) == b"".join(whole.feed(recorded("openai/stream_tools.sse")))
        assert asked.measured.usage == whole.measured.usage
        assert asked.measured.delivered_tokens == whole.measured.delivered_tokens > 0

    @given(st.binary(max_size=300), st.booleans())
    def test_survives_any_bytes(self, noise: bytes, started: bool) -> None:  # noqa: FBT001 - drawn
        asked = exchange(stream=True)
        if started:
            asked.feed(delta(content="a"))
        asked.feed(noise)
        asked.end()
        assert asked.measured.delivered_tokens >= 0


class TestIsPlain:
    @pytest.mark.parametrize(
        "unusual",
        [
            delta(finish="stop"),
            frame(choices=[], usage={"prompt_tokens": 1}),
            frame(error={"message": "x"}),
            b"data: [DONE]\n\n",
            b": comment\n\n",
            b"data: {}\r\n\r\n",
            delta(content="a")[:-1],
            delta(content="a") + b"event: x\ndata: {}\n\n",
            b'data: {"a":\ndata: 1}\n\n',
        ],
    )
    def test_looks_at_what_is_unusual(self, unusual: bytes) -> None:
        assert not is_plain(unusual)

    def test_text_about_usage_and_errors_is_text(self) -> None:
        assert is_plain(delta(content='{"usage": 1, "error": "finish_reason"}'))


class TestTextOf:
    @pytest.mark.parametrize(
        "message", [None, 7, {}, {"content": 7}, {"tool_calls": 7}, {"tool_calls": [7, {}]}]
    )
    def test_finds_nothing_in_nonsense(self, message: object) -> None:
        assert text_of(message) == ""

    def test_reads_custom_tools(self) -> None:
        assert text_of({"tool_calls": [{"custom": {"name": "n", "input": "i"}}]}) == "ni"

    def test_what_does_not_parse_counts_as_written(self) -> None:
        assert text_of_frames(b"data: {oops}\n\n") == "data: {oops}"

    @pytest.mark.parametrize("choices", [5, True, "five", {"index": 0}, [7], [{"delta": 7}]])
    def test_odd_choices_count_as_nothing(self, choices: object) -> None:
        opened = exchange(**ASKING)
        opened.feed(delta(content="hello"))
        counted = opened.measured.delivered_tokens
        opened.feed(frame(choices=choices))
        assert opened.measured.delivered_tokens == counted
