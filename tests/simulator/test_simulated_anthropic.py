"""The official Anthropic client against the simulator."""

import base64
import struct

import anthropic
import pytest
from pydantic import BaseModel
from raw_http import ANTHROPIC_KEY

from bursar.simulator import Simulator

HAIKU = "claude-haiku-4-5"
SONNET = "claude-sonnet-4-6"
HELLO = [{"role": "user", "content": "Hello"}]
LONG = "A ledger never forgets. " * 600
WEATHER = {
    "name": "get_weather",
    "description": "Weather of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
CLOCK = {"name": "read_clock", "input_schema": {"type": "object", "properties": {}}}
ASKED = [{"role": "user", "content": "What is the weather in Paris today?"}]


class Receipt(BaseModel):
    shop: str
    total: int
    items: list[str]


def said(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def text_of(message: anthropic.types.Message) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


class TestWholeAnswer:
    def test_looks_like_a_message(self, claude: anthropic.Anthropic) -> None:
        answer = claude.messages.create(model=HAIKU, max_tokens=100, messages=HELLO)
        assert answer.model == "claude-haiku-4-5-20251001"
        assert answer.stop_reason == "end_turn"
        assert answer.usage.input_tokens > 0
        assert answer.usage.output_tokens > 0
        assert answer._request_id is not None
        assert answer._request_id.startswith("req_")

    def test_is_the_same_for_the_same_request_but_for_its_id(self, claude: anthropic.Anthropic) -> None:
        first, second = (claude.messages.create(model=HAIKU, max_tokens=99, messages=HELLO) for _ in range(2))
        assert first.content == second.content
        assert first.id != second.id

    def test_stops_at_max_tokens(self, claude: anthropic.Anthropic) -> None:
        answer = claude.messages.create(model=HAIKU, max_tokens=5, messages=HELLO)
        assert answer.stop_reason == "max_tokens"
        assert answer.usage.output_tokens == 5

    def test_names_the_stop_sequence_it_met(self, claude: anthropic.Anthropic) -> None:
        asked = said('[[sim: text="one two three"]]')
        answer = claude.messages.create(model=HAIKU, max_tokens=99, messages=asked, stop_sequences=["two"])
        assert (answer.stop_reason, answer.stop_sequence) == ("stop_sequence", "two")
        assert text_of(answer) == "one "

    def test_refuses_with_a_reason(self, claude: anthropic.Anthropic) -> None:
        answer = claude.messages.create(model=HAIKU, max_tokens=99, messages=said("[[sim: refusal]]"))
        assert answer.stop_reason == "refusal"
        assert answer.stop_details is not None

    def test_charges_an_image_by_its_pixels(self, claude: anthropic.Anthropic) -> None:
        header = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 750, 100) + bytes(5)
        source = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(header).decode()}
        image = {"type": "image", "source": source}
        parts = [{"type": "text", "text": "Hello"}, image]
        plain = claude.messages.create(model=HAIKU, max_tokens=9, messages=HELLO)
        shown = claude.messages.create(
            model=HAIKU, max_tokens=9, messages=[{"role": "user", "content": parts}]
        )
        assert shown.usage.input_tokens - plain.usage.input_tokens == 100

    def test_counts_tokens_beforehand_as_it_bills_them(self, claude: anthropic.Anthropic) -> None:
        counted = claude.messages.count_tokens(model=HAIKU, messages=ASKED, tools=[WEATHER])
        answer = claude.messages.create(model=HAIKU, max_tokens=99, messages=ASKED, tools=[WEATHER])
        assert counted.input_tokens == answer.usage.input_tokens

    def test_continues_a_prefilled_answer(self, claude: anthropic.Anthropic) -> None:
        messages = [*HELLO, {"role": "assistant", "content": "The answer is"}]
        assert text_of(claude.messages.create(model=HAIKU, max_tokens=9, messages=messages))


class TestPromptCache:
    @staticmethod
    def system(ttl: str) -> list[dict[str, object]]:
        return [{"type": "text", "text": LONG, "cache_control": {"type": "ephemeral", "ttl": ttl}}]

    @pytest.mark.parametrize("ttl", ["5m", "1h"])
    def test_writes_first_and_reads_after(self, claude: anthropic.Anthropic, ttl: str) -> None:
        first, second = (
            claude.messages.create(model=SONNET, max_tokens=9, messages=HELLO, system=self.system(ttl)).usage
            for _ in range(2)
        )
        assert first.cache_creation is not None
        by_ttl = {
            "5m": first.cache_creation.ephemeral_5m_input_tokens,
            "1h": first.cache_creation.ephemeral_1h_input_tokens,
        }
        assert first.cache_read_input_tokens == 0
        assert by_ttl.pop(ttl) == first.cache_creation_input_tokens
        assert set(by_ttl.values()) == {0}
        assert second.cache_creation_input_tokens == 0
        assert second.cache_read_input_tokens == first.cache_creation_input_tokens
        assert first.input_tokens == second.input_tokens

    def test_keeps_cache_tokens_beside_input_tokens(self, claude: anthropic.Anthropic) -> None:
        plain = claude.messages.create(model=SONNET, max_tokens=9, messages=HELLO, system=LONG).usage
        cached = claude.messages.create(
            model=SONNET, max_tokens=9, messages=HELLO, system=self.system("5m")
        ).usage
        assert cached.cache_creation_input_tokens is not None
        assert cached.input_tokens + cached.cache_creation_input_tokens == plain.input_tokens

    def test_splits_one_request_over_both_lives(self, claude: anthropic.Anthropic) -> None:
        mark = {"type": "ephemeral", "ttl": "5m"}
        asked = [
            {"role": "user", "content": [{"type": "text", "text": LONG + "more", "cache_control": mark}]}
        ]
        usage = claude.messages.create(
            model=SONNET, max_tokens=9, messages=asked, system=self.system("1h")
        ).usage
        assert usage.cache_creation is not None
        assert usage.cache_creation.ephemeral_1h_input_tokens > 1000
        assert usage.cache_creation.ephemeral_5m_input_tokens > 1000

    def test_caches_nothing_short(self, claude: anthropic.Anthropic) -> None:
        short = [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]
        usage = claude.messages.create(model=SONNET, max_tokens=9, messages=HELLO, system=short).usage
        assert usage.cache_creation_input_tokens == 0


class TestThinking:
    def test_comes_first_and_is_part_of_the_output(self, claude: anthropic.Anthropic) -> None:
        answer = claude.messages.create(
            model=HAIKU, max_tokens=3000, messages=HELLO, thinking={"type": "enabled", "budget_tokens": 1024}
        )
        assert [block.type for block in answer.content] == ["thinking", "text"]
        assert answer.usage.output_tokens_details is not None
        thought = answer.usage.output_tokens_details.thinking_tokens
        assert 0 < thought < answer.usage.output_tokens

    def test_follows_the_effort(self, claude: anthropic.Anthropic) -> None:
        tokens = []
        for effort in ("low", "max"):
            answer = claude.messages.create(
                model=SONNET,
                max_tokens=3000,
                messages=HELLO,
                thinking={"type": "adaptive"},
                output_config={"effort": effort},
            )
            assert answer.usage.output_tokens_details is not None
            tokens.append(answer.usage.output_tokens_details.thinking_tokens)
        assert tokens == [16, 384]

    def test_is_signed_and_must_come_back_unchanged(self, claude: anthropic.Anthropic) -> None:
        thinking = {"type": "enabled", "budget_tokens": 1024}
        first = claude.messages.create(
            model=HAIKU, max_tokens=3000, messages=ASKED, tools=[WEATHER], thinking=thinking
        )
        called = first.content[-1]
        assert called.type == "tool_use"
        result = {"type": "tool_result", "tool_use_id": called.id, "content": "17 degrees"}
        turns = [
            *ASKED,
            {"role": "assistant", "content": first.content},
            {"role": "user", "content": [result]},
        ]
        second = claude.messages.create(
            model=HAIKU, max_tokens=3000, messages=turns, tools=[WEATHER], thinking=thinking
        )
        assert "17 degrees" in text_of(second)
        changed = first.content[0].model_copy(update={"thinking": "something else"})
        turns[1] = {"role": "assistant", "content": [changed, called]}
        with pytest.raises(anthropic.BadRequestError, match="Invalid `signature`"):
            claude.messages.create(
                model=HAIKU, max_tokens=3000, messages=turns, tools=[WEATHER], thinking=thinking
            )
        turns[1] = {"role": "assistant", "content": [called]}
        with pytest.raises(anthropic.BadRequestError, match="must start with a thinking block"):
            claude.messages.create(
                model=HAIKU, max_tokens=3000, messages=turns, tools=[WEATHER], thinking=thinking
            )

    def test_may_be_withheld(self, claude: anthropic.Anthropic) -> None:
        thinking = {"type": "adaptive", "display": "omitted"}
        answer = claude.messages.create(model=SONNET, max_tokens=3000, messages=HELLO, thinking=thinking)
        first = answer.content[0]
        assert first.type == "thinking"
        assert (first.thinking, bool(first.signature)) == ("", True)

    def test_may_be_redacted(self, claude: anthropic.Anthropic) -> None:
        answer = claude.messages.create(model=HAIKU, max_tokens=99, messages=said("[[sim: redacted]]"))
        assert [block.type for block in answer.content] == ["redacted_thinking", "text"]


class TestStream:
    def test_adds_up_to_the_whole_answer(self, claude: anthropic.Anthropic) -> None:
        whole = claude.messages.create(model=HAIKU, max_tokens=100, messages=HELLO)
        with claude.messages.stream(model=HAIKU, max_tokens=100, messages=HELLO) as stream:
            final = stream.get_final_message()
        assert text_of(final) == text_of(whole)
        assert final.usage.output_tokens == whole.usage.output_tokens
        assert final.usage.input_tokens == whole.usage.input_tokens
        assert final.stop_reason == whole.stop_reason

    def test_keeps_the_documented_order_of_events(self, claude: anthropic.Anthropic) -> None:
        thinking = {"type": "enabled", "budget_tokens": 1024}
        with claude.messages.create(
            model=HAIKU, max_tokens=3000, messages=HELLO, thinking=thinking, stream=True
        ) as stream:
            kinds = [event.type for event in stream]
        assert kinds[:2] == ["message_start", "content_block_start"]
        assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
        assert kinds.count("content_block_start") == kinds.count("content_block_stop") == 2

    def test_starts_with_a_placeholder_count(self, claude: anthropic.Anthropic) -> None:
        with claude.messages.create(model=HAIKU, max_tokens=100, messages=HELLO, stream=True) as stream:
            events = list(stream)
        start, end = events[0], events[-2]
        assert start.type == "message_start"
        assert end.type == "message_delta"
        assert 1 <= start.message.usage.output_tokens <= 4 < end.usage.output_tokens

    async def test_works_with_the_async_client(self, nearby: Simulator) -> None:
        async with (
            anthropic.AsyncAnthropic(
                api_key=ANTHROPIC_KEY, base_url=nearby.base_url, max_retries=0
            ) as client,
            client.messages.stream(model=HAIKU, max_tokens=100, messages=HELLO) as stream,
        ):
            text = "".join([piece async for piece in stream.text_stream])
            assert text == text_of(await stream.get_final_message())


class TestTools:
    def test_round_trip_brings_the_result_into_the_answer(self, claude: anthropic.Anthropic) -> None:
        first = claude.messages.create(model=HAIKU, max_tokens=500, messages=ASKED, tools=[WEATHER, CLOCK])
        assert first.stop_reason == "tool_use"
        called = first.content[0]
        assert called.type == "tool_use"
        assert (called.name, called.input) == ("get_weather", {"city": "Paris"})
        result = {
            "type": "tool_result",
            "tool_use_id": called.id,
            "content": [{"type": "text", "text": "17"}],
        }
        turns = [
            *ASKED,
            {"role": "assistant", "content": first.content},
            {"role": "user", "content": [result]},
        ]
        second = claude.messages.create(model=HAIKU, max_tokens=500, messages=turns, tools=[WEATHER, CLOCK])
        assert second.stop_reason == "end_turn"
        assert "The tool says: 17" in text_of(second)

    def test_stream_adds_up_to_the_same_call(self, claude: anthropic.Anthropic) -> None:
        whole = claude.messages.create(model=HAIKU, max_tokens=500, messages=ASKED, tools=[WEATHER])
        with claude.messages.stream(model=HAIKU, max_tokens=500, messages=ASKED, tools=[WEATHER]) as stream:
            final = stream.get_final_message()
        assert final.content == whole.content

    @pytest.mark.parametrize(
        ("choice", "names"),
        [
            ({"type": "any"}, ["get_weather"]),
            ({"type": "tool", "name": "read_clock"}, ["read_clock"]),
            ({"type": "none"}, []),
            ({"type": "auto"}, []),
        ],
    )
    def test_obeys_the_tool_choice(
        self, claude: anthropic.Anthropic, choice: dict[str, str], names: list[str]
    ) -> None:
        answer = claude.messages.create(
            model=HAIKU, max_tokens=500, messages=HELLO, tools=[WEATHER, CLOCK], tool_choice=choice
        )
        assert [block.name for block in answer.content if block.type == "tool_use"] == names

    def test_calls_one_at_a_time_when_told(self, claude: anthropic.Anthropic) -> None:
        asked = said("weather and clock [[sim: tools=3]]")
        counts = []
        for choice in ({"type": "auto"}, {"type": "auto", "disable_parallel_tool_use": True}):
            answer = claude.messages.create(
                model=HAIKU, max_tokens=500, messages=asked, tools=[WEATHER, CLOCK], tool_choice=choice
            )
            counts.append(len(answer.content))
        assert counts == [3, 1]


class TestStructuredOutput:
    def test_parses_into_the_model_asked_for(self, claude: anthropic.Anthropic) -> None:
        answer = claude.messages.parse(model=SONNET, max_tokens=900, messages=HELLO, output_format=Receipt)
        assert isinstance(answer.parsed_output, Receipt)


class TestModels:
    def test_are_listed_page_by_page(self, claude: anthropic.Anthropic) -> None:
        names = [model.id for model in claude.models.list(limit=3)]
        assert len(names) == len(set(names)) > 3
        assert "claude-haiku-4-5-20251001" in names

    def test_are_found_by_alias(self, claude: anthropic.Anthropic) -> None:
        assert claude.models.retrieve(HAIKU).id == "claude-haiku-4-5-20251001"
        with pytest.raises(anthropic.NotFoundError):
            claude.models.retrieve("claude-3-opus-20240229")
