"""OpenAI in, Anthropic behind: requests read into the canonical form, answers written back as OpenAI's."""

from typing import Any

import orjson
import pytest
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from bursar.adapters.providers import ProviderFailure
from bursar.adapters.providers.anthropic import Anthropic
from bursar.core.chat import BadRequest
from bursar.core.estimate import tokens_of_text
from bursar.core.usage import Meter
from bursar.gateway.dialects import Exchange
from bursar.gateway.dialects.openai_chat import reading
from bursar.gateway.dialects.openai_chat.writing import DONE
from bursar.gateway.exchange import open_exchange
from recorded import SECRET, attempt, recorded

HELLO = {"role": "user", "content": "Hello"}
CREATED_S = 1_795_000_000
FUNCTION = {"name": "get_weather", "description": "d", "parameters": {"type": "object", "properties": {}}}
TOOLS = [{"type": "function", "function": FUNCTION}]
PDF = "data:application/pdf;base64,JVBE"


def exchange(model: str = "claude-sonnet-4-5", **properties: Any) -> Exchange:
    call = reading.read(orjson.dumps({"model": "best-model", "messages": [HELLO], **properties}))
    return open_exchange(call, Anthropic(), attempt(model).deployment, SECRET, None, created_s=CREATED_S)


def sent(**properties: Any) -> dict[str, Any]:
    body = orjson.loads(exchange(**properties).body)
    assert isinstance(body, dict)
    return body


def refusal(**properties: Any) -> BadRequest:
    with pytest.raises(BadRequest) as refused:
        exchange(**properties)
    assert refused.value.status == 422
    return refused.value


def turn(*parts: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": list(parts), **more}]


def payloads(frames: list[bytes]) -> list[Any]:
    parts = b"".join(frames).split(b"\n\n")
    return [orjson.loads(part[6:]) for part in parts if part.startswith(b"data: {")]


class TestMessages:
    def test_a_whole_conversation(self) -> None:
        call = {"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
        thinking = [
            {"type": "thinking", "thinking": "hm", "signature": "s"},
            {"type": "redacted_thinking", "data": "d"},
        ]
        said = {
            "role": "assistant",
            "content": "Let me look.",
            "refusal": None,
            "reasoning_content": "hm",
            "annotations": [],
            "thinking_blocks": thinking,
            "tool_calls": [call],
        }
        written = sent(
            tools=TOOLS,
            messages=[
                {"role": "system", "content": "Be brief."},
                {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]},
                HELLO,
                said,
                {"role": "tool", "tool_call_id": "c1", "content": "21 °C", "name": "get_weather"},
                {"role": "user", "content": "Thanks"},
            ],
        )
        assert [block["text"] for block in written["system"]] == ["Be brief.", "Be kind."]
        assert [message["role"] for message in written["messages"]] == ["user", "assistant", "user"]
        spoken, answered = written["messages"][1]["content"], written["messages"][2]["content"]
        assert [block["type"] for block in spoken] == ["thinking", "redacted_thinking", "text", "tool_use"]
        assert answered[0] == {
            "type": "tool_result",
            "tool_use_id": "c1",
            "content": [{"type": "text", "text": "21 °C"}],
        }
        assert answered[1] == {"type": "text", "text": "Thanks"}

    def test_the_older_functions(self) -> None:
        call = {"name": "get_weather", "arguments": "{}"}
        written = sent(
            functions=[FUNCTION],
            function_call={"name": "get_weather"},
            messages=[
                HELLO,
                {"role": "assistant", "content": None, "function_call": call},
                {"role": "function", "name": "get_weather", "content": "21"},
            ],
        )
        use, result = written["messages"][1]["content"][0], written["messages"][2]["content"][0]
        assert use["id"] == result["tool_use_id"] == "call_1"
        assert written["tools"][0]["name"] == "get_weather"
        assert written["tool_choice"] == {"type": "tool", "name": "get_weather"}

    def test_pictures(self) -> None:
        inline = {"url": "data:image/PNG;charset=x;base64,aGk=", "detail": "high"}
        written = sent(
            messages=turn(
                {"type": "image_url", "image_url": inline},
                {"type": "image_url", "image_url": {"url": "http://x.example/a.png"}},
            )
        )
        sources = [block["source"] for block in written["messages"][0]["content"]]
        assert sources == [
            {"type": "base64", "media_type": "image/png", "data": "aGk="},
            {"type": "url", "url": "http://x.example/a.png"},
        ]

    def test_documents_and_refusals(self) -> None:
        written = sent(
            messages=[
                *turn({"type": "file", "file": {"file_data": PDF, "filename": "a.pdf"}}),
                {"role": "assistant", "content": [{"type": "refusal", "refusal": "I will not."}]},
                HELLO,
            ]
        )
        assert written["messages"][0]["content"][0]["title"] == "a.pdf"
        assert written["messages"][1]["content"][0]["text"] == "I will not."

    @pytest.mark.parametrize(
        ("messages", "param"),
        [
            ([{"role": "narrator", "content": "x"}], "messages[0].role"),
            (turn({"type": "text"}), "messages[0].content[0].text"),
            (turn({"type": "video"}), "messages[0].content[0].type"),
            (turn({"type": "image_url", "image_url": "x"}), "messages[0].content[0].image_url.url"),
            (
                turn({"type": "image_url", "image_url": {"url": "ftp://x"}}),
                "messages[0].content[0].image_url.url",
            ),
            (turn({"type": "file", "file": 7}), "messages[0].content[0].file"),
            (turn({"type": "text", "text": "x"}, name="Ann"), "messages[0].name"),
            (turn({"type": "text", "text": "x"}, weight=1), "messages[0].weight"),
            ([HELLO, {"role": "tool", "content": "x"}], "messages[1].tool_call_id"),
            ([{"role": "function", "content": "x", "name": "f"}], "messages[0].role"),
            ([HELLO, {"role": "assistant", "tool_calls": 7}], "messages[1].tool_calls"),
            ([HELLO, {"role": "assistant", "tool_calls": [7]}], "messages[1].tool_calls[0].type"),
            ([HELLO, {"role": "assistant", "tool_calls": [{"id": 7}]}], "messages[1].tool_calls[0].id"),
            (
                [HELLO, {"role": "assistant", "tool_calls": [{"id": "c", "type": "function"}]}],
                "messages[1].tool_calls[0].function.name",
            ),
            (
                [HELLO, {"role": "assistant", "thinking_blocks": [7]}],
                "messages[1].thinking_blocks[].thinking",
            ),
            ([HELLO, {"role": "assistant", "refusal": 7}], "messages[1].refusal"),
        ],
    )
    def test_refuses_by_name_what_makes_no_sense(self, messages: list[Any], param: str) -> None:
        assert refusal(messages=messages).param == param

    def test_a_tool_cannot_answer_with_a_document(self) -> None:
        part = {"type": "file", "file": {"file_data": PDF}}
        messages = [HELLO, {"role": "tool", "tool_call_id": "c", "content": [part]}]
        assert refusal(messages=messages).param == "messages[1].content"


class TestTools:
    def test_allowed_tools_are_the_only_ones_offered(self) -> None:
        other = {"type": "function", "function": {"name": "other"}}
        choice = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [other]}}
        written = sent(tools=[*TOOLS, other], tool_choice=choice)
        assert [tool["name"] for tool in written["tools"]] == ["other"]
        assert written["tool_choice"] == {"type": "any"}

    def test_one_call_at_a_time(self) -> None:
        written = sent(tools=TOOLS, parallel_tool_calls=False)
        assert written["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}

    @pytest.mark.parametrize(
        ("properties", "param"),
        [
            ({"tools": [{"type": "function"}]}, "tools[0].function.name"),
            (
                {"tools": [{"type": "function", "function": {"name": "f", "parameters": 7}}]},
                "tools[0].function.parameters",
            ),
            ({"functions": [{"name": "f", "description": 7}]}, "functions[0].description"),
            ({"tools": TOOLS, "tool_choice": "maybe"}, "tool_choice"),
            ({"tools": TOOLS, "function_call": "maybe"}, "tool_choice"),
            ({"tools": TOOLS, "tool_choice": {"type": "function"}}, "tool_choice.function.name"),
            ({"tool_choice": {"type": "allowed_tools"}}, "tool_choice.allowed_tools.mode"),
            (
                {"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "x"}}},
                "tool_choice.allowed_tools",
            ),
        ],
    )
    def test_refuses_by_name_what_makes_no_sense(self, properties: dict[str, Any], param: str) -> None:
        assert refusal(**properties).param == param


class TestOptions:
    @pytest.mark.parametrize(
        ("properties", "param"),
        [
            ({"reasoning_effort": "extreme"}, "reasoning_effort"),
            ({"response_format": {"type": "json_schema"}}, "response_format.json_schema.schema"),
            ({"prompt_cache_options": {"ttl": "soon"}}, "prompt_cache_options.ttl"),
            ({"prompt_cache_options": {"ttl": 30}}, "prompt_cache_options.ttl"),
            ({"prompt_cache_options": {"size": 1}}, "prompt_cache_options.size"),
            ({"top_k": 5}, "top_k"),
            ({"stream_options": {"colour": "red"}}, "stream_options.colour"),
        ],
    )
    def test_refuses_by_name(self, properties: dict[str, Any], param: str) -> None:
        assert refusal(**properties).param == param

    def test_null_means_left_out(self) -> None:
        assert sent(seed=None, top_k=None, stream_options={"colour": None}, reasoning_effort=None) == sent()


class TestWholeAnswers:
    def test_are_written_in_openais_shape(self) -> None:
        asked = exchange()
        body = asked.answer(200, recorded("anthropic/answer.json"))
        completion = ChatCompletion.model_validate_json(body)
        choice = completion.choices[0]
        assert (completion.created, choice.finish_reason) == (CREATED_S, "stop")
        assert choice.message.content == "Hi! My name is Claude."
        parsed = orjson.loads(body)
        assert parsed["choices"][0]["message"]["reasoning_content"] == "The user greets me."
        assert len(parsed["choices"][0]["message"]["thinking_blocks"]) == 2
        assert parsed["usage"] == {
            "prompt_tokens": 1525,
            "completion_tokens": 503,
            "total_tokens": 2028,
            "prompt_tokens_details": {"cached_tokens": 1200, "cache_write_tokens": 300, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 80, "audio_tokens": 0},
        }

    def test_are_measured(self) -> None:
        asked = exchange()
        asked.answer(200, recorded("anthropic/answer.json"))
        measured = asked.measured
        assert (measured.terminal, measured.usage_final, measured.finish_reason) == (True, True, "stop")
        assert measured.provider_request_id == "msg_013Zva2CMHLNnXjNJJKqJ2EF"
        assert measured.delivered_tokens >= tokens_of_text("The user greets me.Hi! My name is Claude.")

    def test_tool_calls(self) -> None:
        body = exchange(tools=TOOLS).answer(200, recorded("anthropic/answer_tools.json"))
        message = ChatCompletion.model_validate_json(body).choices[0].message
        assert message.content == "I'll check the weather."
        assert message.tool_calls is not None
        assert [call.to_dict()["function"] for call in message.tool_calls] == [
            {"name": "get_weather", "arguments": '{"location":"San Francisco, CA"}'},
            {"name": "get_time", "arguments": "{}"},
        ]

    def test_the_older_function_call(self) -> None:
        body = exchange(functions=[FUNCTION]).answer(200, recorded("anthropic/answer_tools.json"))
        choice = orjson.loads(body)["choices"][0]
        assert choice["finish_reason"] == "function_call"
        assert choice["message"]["function_call"]["name"] == "get_weather"

    @pytest.mark.parametrize(
        ("content", "words"), [([{"type": "tool_use", "id": "t", "name": "f", "input": {}}], None), ([], "")]
    )
    def test_words_are_null_only_beside_tool_calls(self, content: list[Any], words: str | None) -> None:
        body = exchange().answer(200, orjson.dumps({"id": "m", "content": content}))
        assert orjson.loads(body)["choices"][0]["message"]["content"] == words

    def test_a_refusal_is_filtered_content(self) -> None:
        asked = exchange()
        answer = {"content": [], "stop_reason": "refusal", "stop_details": {"explanation": "Not this."}}
        choice = orjson.loads(asked.answer(200, orjson.dumps(answer)))["choices"][0]
        assert (choice["finish_reason"], choice["message"]["refusal"]) == ("content_filter", "Not this.")
        assert asked.measured.content_filtered
        assert asked.measured.usage is None

    def test_garbage_is_the_providers_failure(self) -> None:
        asked = exchange()
        with pytest.raises(ProviderFailure):
            asked.answer(200, b"<html>")

    def test_errors_are_classified_by_the_provider(self) -> None:
        assert exchange().error(529, {}, b"").kind == "overloaded"


class TestStreams:
    def asking(self) -> Exchange:
        return exchange(stream=True, stream_options={"include_usage": True})

    @pytest.mark.parametrize("size", [1, 13, 1_000_000])
    def test_are_written_in_openais_shape(self, size: int) -> None:
        stream, asked = recorded("anthropic/stream.sse"), self.asking()
        frames = [kept for n in range(0, len(stream), size) for kept in asked.feed(stream[n : n + size])]
        frames += asked.end() + asked.tail({"cost": "0.5"})
        assert frames[-1] == DONE
        state = ChatCompletionStreamState()
        for chunk in payloads(frames):
            state.handle_chunk(ChatCompletionChunk.model_validate(chunk))
        completion = state.get_final_completion()
        assert completion.choices[0].message.content == "Hello 세계!"
        assert completion.choices[0].finish_reason == "stop"
        assert completion.usage is not None
        assert completion.usage.to_dict()["cost"] == "0.5"
        assert completion.usage.prompt_tokens == 1525
        assert (asked.measured.terminal, asked.measured.usage_final) == (True, True)
        assert {chunk["created"] for chunk in payloads(frames)} == {CREATED_S}

    def test_tool_calls_add_up(self) -> None:
        asked = exchange(stream=True, tools=TOOLS)
        state = ChatCompletionStreamState()
        for chunk in payloads(asked.feed(recorded("anthropic/stream_tools.sse"))):
            state.handle_chunk(ChatCompletionChunk.model_validate(chunk))
        calls = state.get_final_completion().choices[0].message.tool_calls
        assert calls is not None
        assert [(call.id, call.function.name, call.function.arguments) for call in calls] == [
            ("toolu_01T1x1fJ34qAmk2tNTrN7Up6", "get_weather", '{"location": "San Francisco, CA"}'),
            ("toolu_02", "get_time", "{}"),
        ]
        assert asked.measured.finish_reason == "tool_calls"

    def test_the_older_functions_stream_one_call(self) -> None:
        asked = exchange(stream=True, functions=[FUNCTION])
        chunks = payloads(asked.feed(recorded("anthropic/stream_tools.sse")))
        calls = [chunk["choices"][0]["delta"].get("function_call") for chunk in chunks]
        assert "".join(call["arguments"] for call in calls if call) == '{"location": "San Francisco, CA"}'
        assert chunks[-1]["choices"][0]["finish_reason"] == "function_call"

    def test_thinking_streams_and_its_blocks_come_signed(self) -> None:
        chunks = payloads(exchange(stream=True).feed(recorded("anthropic/stream_thinking.sse")))
        deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
        thought = "".join(delta.get("reasoning_content", "") for delta in deltas)
        blocks = [block for delta in deltas for block in delta.get("thinking_blocks", ())]
        assert [(block["index"], block["type"]) for block in blocks] == [
            (0, "thinking"),
            (1, "redacted_thinking"),
        ]
        assert blocks[0]["thinking"] == thought
        state = ChatCompletionStreamState()
        for chunk in chunks:
            state.handle_chunk(ChatCompletionChunk.model_validate(chunk))
        assert state.get_final_completion().choices[0].message.content == "27 * 453 = 12,231"

    def test_usage_is_null_until_the_end_and_only_when_asked_for(self) -> None:
        asking, silent = self.asking(), exchange(stream=True)
        stream = recorded("anthropic/stream.sse")
        assert [chunk["usage"] for chunk in payloads(asking.feed(stream))] == [None] * 5
        assert ["usage" in chunk for chunk in payloads(silent.feed(stream))] == [False] * 5
        assert silent.tail({"cost": "1"}) == [DONE]

    def test_a_placeholder_is_never_final(self) -> None:
        asked = self.asking()
        stream = recorded("anthropic/stream.sse")
        asked.feed(stream[: stream.index(b"event: message_delta")])
        measured = asked.measured
        assert not measured.usage_final
        assert not measured.explicit_zero
        best = measured.best_usage(1)
        assert (best.input_tokens, best.estimated) == (1525, True)
        assert best.quantity(Meter.OUT_TEXT) == measured.delivered_tokens > 0
        [usage] = payloads(asked.tail({"input_tokens": 1525, "output_tokens": 3}))
        assert usage["usage"]["completion_tokens"] == 3

    def test_an_error_event_is_swallowed_and_told(self) -> None:
        asked = exchange(stream=True)
        frames = asked.feed(recorded("anthropic/stream_error.sse"))
        assert [chunk["choices"][0]["delta"].get("content") for chunk in payloads(frames)] == ["", "Hel"]
        assert asked.measured.error is not None
        assert asked.measured.error.kind == "overloaded"
        assert asked.feed(recorded("anthropic/stream.sse")) == []
        assert not asked.measured.terminal

    def test_comments_keep_the_caller_waiting_too(self) -> None:
        assert exchange(stream=True).feed(b": their words\n\n") == [b": keep-alive\n\n"]

    def test_garbage_ends_the_stream(self) -> None:
        asked = exchange(stream=True)
        assert asked.feed(b"data: {oops\n\n") == []
        assert asked.measured.error is not None

    def test_a_refusal_is_told(self) -> None:
        details = {"stop_reason": "refusal", "stop_details": {"explanation": "No."}}
        event = orjson.dumps({"type": "message_delta", "delta": details})
        [chunk] = payloads(exchange(stream=True).feed(b"data: " + event + b"\n\n"))
        assert chunk["choices"][0]["delta"] == {"refusal": "No."}
        assert chunk["choices"][0]["finish_reason"] == "content_filter"
