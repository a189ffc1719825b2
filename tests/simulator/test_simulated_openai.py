"""The official OpenAI client against the simulator."""

from collections.abc import Iterator

import openai
import pytest
from pydantic import BaseModel
from raw_http import OPENAI_KEY

from bursar.simulator import Simulator

HELLO = [{"role": "user", "content": "Hello"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"enum": ["C", "F"]}},
            "required": ["city"],
        },
    },
}
CLOCK = {
    "type": "function",
    "function": {"name": "read_clock", "parameters": {"type": "object", "properties": {}}},
}
PNG = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9"
    "awAAAABJRU5ErkJggg=="
)


class Address(BaseModel):
    city: str
    lines: list[str]


class Person(BaseModel):
    name: str
    age: int
    address: Address
    friends: list["Person"]
    nickname: str | None


def said(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


class TestWholeAnswer:
    def test_has_the_usage_identity_of_openai(self, gpt: openai.OpenAI) -> None:
        answer = gpt.chat.completions.create(model="gpt-4o-mini", messages=HELLO)
        usage = answer.usage
        assert usage is not None
        assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
        assert answer.model == "gpt-4o-mini-2024-07-18"
        assert answer.choices[0].finish_reason == "stop"

    def test_is_the_same_for_the_same_request_but_for_its_id(self, gpt: openai.OpenAI) -> None:
        first, second = (gpt.chat.completions.create(model="gpt-4o", messages=HELLO) for _ in range(2))
        assert first.choices == second.choices
        assert first.id != second.id

    def test_differs_when_the_request_differs(self, gpt: openai.OpenAI) -> None:
        first = gpt.chat.completions.create(model="gpt-4o", messages=HELLO)
        second = gpt.chat.completions.create(model="gpt-4o", messages=said("Good day"))
        assert first.choices[0].message.content != second.choices[0].message.content

    def test_carries_the_headers_of_openai(self, gpt: openai.OpenAI) -> None:
        raw = gpt.chat.completions.with_raw_response.create(model="gpt-4o", messages=HELLO)
        assert raw.headers["x-request-id"].startswith("req_")
        assert raw.headers["x-ratelimit-limit-requests"].isdigit()

    def test_gives_n_choices_and_counts_them_all(self, gpt: openai.OpenAI) -> None:
        answer = gpt.chat.completions.create(model="gpt-4o", messages=HELLO, n=3, max_tokens=10)
        assert [choice.index for choice in answer.choices] == [0, 1, 2]
        assert len({choice.message.content for choice in answer.choices}) > 1
        assert answer.usage is not None
        assert answer.usage.completion_tokens == 30

    def test_stops_at_max_tokens(self, gpt: openai.OpenAI) -> None:
        answer = gpt.chat.completions.create(model="gpt-4o", messages=HELLO, max_tokens=5)
        assert answer.choices[0].finish_reason == "length"
        assert answer.usage is not None
        assert answer.usage.completion_tokens == 5

    def test_stops_before_a_stop_sequence(self, gpt: openai.OpenAI) -> None:
        asked = said('[[sim: text="one two three"]]')
        answer = gpt.chat.completions.create(model="gpt-4o", messages=asked, stop=["two"])
        assert answer.choices[0].message.content == "one "
        assert answer.choices[0].finish_reason == "stop"

    def test_lists_log_probabilities_of_every_token(self, gpt: openai.OpenAI) -> None:
        asked = said('[[sim: text="one two three"]]')
        answer = gpt.chat.completions.create(model="gpt-4o", messages=asked, logprobs=True, top_logprobs=2)
        logprobs = answer.choices[0].logprobs
        assert logprobs is not None
        assert logprobs.content is not None
        assert "".join(token.token for token in logprobs.content) == "one two three"
        assert all(len(token.top_logprobs) == 2 and token.logprob <= 0 for token in logprobs.content)

    def test_hides_reasoning_but_counts_it(self, gpt: openai.OpenAI) -> None:
        answer = gpt.chat.completions.create(model="gpt-5-mini", messages=HELLO, reasoning_effort="high")
        assert answer.usage is not None
        details = answer.usage.completion_tokens_details
        assert details is not None
        assert details.reasoning_tokens == 256
        assert answer.usage.completion_tokens > 256

    def test_says_nothing_when_reasoning_eats_the_limit(self, gpt: openai.OpenAI) -> None:
        answer = gpt.chat.completions.create(model="gpt-5-mini", messages=HELLO, max_completion_tokens=20)
        assert answer.choices[0].message.content == ""
        assert answer.choices[0].finish_reason == "length"
        assert answer.usage is not None
        assert answer.usage.completion_tokens == 20

    def test_counts_images_inside_the_prompt(self, gpt: openai.OpenAI) -> None:
        plain = gpt.chat.completions.create(model="gpt-4o", messages=said("What is this?"))
        parts = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": PNG}}]
        shown = gpt.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": parts}])
        assert plain.usage is not None
        assert shown.usage is not None
        assert shown.usage.prompt_tokens - plain.usage.prompt_tokens == 765

    def test_refuses_in_the_refusal_field(self, gpt: openai.OpenAI) -> None:
        choice = gpt.chat.completions.create(model="gpt-4o", messages=said("[[sim: refusal]]")).choices[0]
        assert choice.message.content is None
        assert choice.message.refusal

    def test_is_cut_off_by_the_content_filter(self, gpt: openai.OpenAI) -> None:
        choice = gpt.chat.completions.create(
            model="gpt-4o", messages=said("[[sim: content_filter]]")
        ).choices[0]
        assert choice.finish_reason == "content_filter"

    @pytest.mark.parametrize(
        ("asked", "served"), [("fast", "priority"), ("flex", "flex"), ("auto", "default")]
    )
    def test_names_the_tier_that_served(self, gpt: openai.OpenAI, asked: str, served: str) -> None:
        answer = gpt.chat.completions.create(model="gpt-4o", messages=HELLO, service_tier=asked)
        assert answer.service_tier == served

    def test_bills_rejected_prediction_tokens_as_output(self, gpt: openai.OpenAI) -> None:
        prediction = {"type": "content", "content": "a b c d e f g h"}
        answer = gpt.chat.completions.create(
            model="gpt-4o", messages=HELLO, max_tokens=10, prediction=prediction
        )
        assert answer.usage is not None
        details = answer.usage.completion_tokens_details
        assert details is not None
        assert details.rejected_prediction_tokens == 5
        assert answer.usage.completion_tokens == 15


class TestPromptCache:
    LONG = "A ledger never forgets. " * 400

    def test_reports_a_prefix_seen_before(self, gpt: openai.OpenAI) -> None:
        cached = []
        for _ in range(2):
            usage = gpt.chat.completions.create(model="gpt-4o", messages=said(self.LONG)).usage
            assert usage is not None
            assert usage.prompt_tokens_details is not None
            cached.append(usage.prompt_tokens_details.cached_tokens)
        assert cached[0] == 0
        assert cached[1] is not None
        assert cached[1] >= 1024
        assert cached[1] % 128 == 0

    def test_does_not_share_prefixes_between_keys(self, gpt: openai.OpenAI) -> None:
        gpt.chat.completions.create(model="gpt-4o", messages=said(self.LONG))
        other = gpt.with_options(api_key="sk-test-other")
        usage = other.chat.completions.create(model="gpt-4o", messages=said(self.LONG)).usage
        assert usage is not None
        assert usage.prompt_tokens_details is not None
        assert usage.prompt_tokens_details.cached_tokens == 0

    def test_charges_cache_writes_on_models_that_do(self, gpt: openai.OpenAI) -> None:
        usage = gpt.chat.completions.create(model="gpt-5.6-sol", messages=said(self.LONG)).usage
        assert usage is not None
        assert usage.prompt_tokens_details is not None
        written = usage.prompt_tokens_details.cache_write_tokens
        assert written is not None
        assert 1024 <= written <= usage.prompt_tokens

    def test_caches_nothing_short(self, gpt: openai.OpenAI) -> None:
        for _ in range(2):
            usage = gpt.chat.completions.create(model="gpt-4o", messages=HELLO).usage
            assert usage is not None
            assert usage.prompt_tokens_details is not None
            assert usage.prompt_tokens_details.cached_tokens == 0


class TestStream:
    def test_adds_up_to_the_whole_answer(self, gpt: openai.OpenAI) -> None:
        whole = gpt.chat.completions.create(model="gpt-4o", messages=HELLO)
        chunks = list(gpt.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True))
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
        assert text == whole.choices[0].message.content
        assert chunks[-1].choices[0].finish_reason == "stop"

    def test_sends_usage_last_when_asked(self, gpt: openai.OpenAI) -> None:
        options = {"include_usage": True}
        stream = gpt.chat.completions.create(
            model="gpt-4o", messages=HELLO, stream=True, stream_options=options
        )
        *others, last = list(stream)
        assert last.choices == []
        assert last.usage is not None
        assert all(chunk.usage is None for chunk in others)

    def test_sends_no_usage_unasked(self, gpt: openai.OpenAI) -> None:
        chunks = list(gpt.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True))
        assert all(chunk.usage is None and chunk.choices for chunk in chunks)

    def test_interleaves_choices(self, gpt: openai.OpenAI) -> None:
        chunks = list(
            gpt.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True, n=2, max_tokens=3)
        )
        assert {chunk.choices[0].index for chunk in chunks} == {0, 1}

    def test_leaves_padding_out_when_told(self, gpt: openai.OpenAI) -> None:
        options = {"include_obfuscation": False}
        stream = gpt.chat.completions.create(
            model="gpt-4o", messages=HELLO, stream=True, stream_options=options
        )
        assert all("obfuscation" not in chunk.model_fields_set for chunk in stream)

    def test_works_with_the_stream_helper(self, gpt: openai.OpenAI) -> None:
        with gpt.chat.completions.stream(model="gpt-4o", messages=HELLO) as stream:
            stream.until_done()
            final = stream.get_final_completion()
        whole = gpt.chat.completions.create(model="gpt-4o", messages=HELLO)
        assert final.choices[0].message.content == whole.choices[0].message.content

    async def test_works_with_the_async_client(self, nearby: Simulator) -> None:
        base = f"{nearby.base_url}/v1"
        async with openai.AsyncOpenAI(api_key=OPENAI_KEY, base_url=base, max_retries=0) as client:
            whole = await client.chat.completions.create(model="gpt-4o", messages=HELLO)
            stream = await client.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True)
            text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
        assert text == whole.choices[0].message.content


class TestTools:
    ASKED = said("What is the weather in Paris today?")

    def test_round_trip_brings_the_result_into_the_answer(self, gpt: openai.OpenAI) -> None:
        first = gpt.chat.completions.create(model="gpt-4o", messages=self.ASKED, tools=[WEATHER, CLOCK])
        choice = first.choices[0]
        assert choice.finish_reason == "tool_calls"
        assert choice.message.tool_calls is not None
        called = choice.message.tool_calls[0]
        assert called.type == "function"
        assert called.function.name == "get_weather"
        assert "Paris" in called.function.arguments
        result = {"role": "tool", "tool_call_id": called.id, "content": "17 degrees"}
        messages = [*self.ASKED, choice.message, result]
        second = gpt.chat.completions.create(model="gpt-4o", messages=messages, tools=[WEATHER, CLOCK])
        assert second.choices[0].finish_reason == "stop"
        assert "17 degrees" in (second.choices[0].message.content or "")

    def test_stream_adds_up_to_the_same_call(self, gpt: openai.OpenAI) -> None:
        whole = gpt.chat.completions.create(model="gpt-4o", messages=self.ASKED, tools=[WEATHER])
        with gpt.chat.completions.stream(model="gpt-4o", messages=self.ASKED, tools=[WEATHER]) as stream:
            final = stream.get_final_completion()
        ours, theirs = final.choices[0].message.tool_calls, whole.choices[0].message.tool_calls
        assert ours is not None
        assert theirs is not None
        assert ours[0].id == theirs[0].id
        assert ours[0].function.arguments == theirs[0].function.arguments

    def test_calls_several_at_once_unless_forbidden(self, gpt: openai.OpenAI) -> None:
        asked = said("Weather in Paris, and the clock please")
        many = gpt.chat.completions.create(model="gpt-4o", messages=asked, tools=[WEATHER, CLOCK])
        one = gpt.chat.completions.create(
            model="gpt-4o", messages=asked, tools=[WEATHER, CLOCK], parallel_tool_calls=False
        )
        assert len(many.choices[0].message.tool_calls or ()) == 2
        assert len(one.choices[0].message.tool_calls or ()) == 1

    def test_calls_the_tool_insisted_on(self, gpt: openai.OpenAI) -> None:
        choice = {"type": "function", "function": {"name": "read_clock"}}
        answer = gpt.chat.completions.create(
            model="gpt-4o", messages=HELLO, tools=[WEATHER, CLOCK], tool_choice=choice
        )
        called = answer.choices[0].message.tool_calls
        assert called is not None
        assert called[0].function.name == "read_clock"

    @pytest.mark.parametrize(
        ("choice", "finish"), [("required", "tool_calls"), ("none", "stop"), ("auto", "stop")]
    )
    def test_obeys_the_tool_choice(self, gpt: openai.OpenAI, choice: str, finish: str) -> None:
        answer = gpt.chat.completions.create(
            model="gpt-4o", messages=HELLO, tools=[WEATHER], tool_choice=choice
        )
        assert answer.choices[0].finish_reason == finish

    def test_passes_free_text_to_custom_tools(self, gpt: openai.OpenAI) -> None:
        tool = {"type": "custom", "custom": {"name": "shell"}}
        answer = gpt.chat.completions.create(
            model="gpt-4o", messages=HELLO, tools=[tool], tool_choice="required"
        )
        called = (answer.choices[0].message.tool_calls or [])[0]
        assert called.type == "custom"
        assert called.custom.input

    def test_still_speaks_the_old_functions(self, gpt: openai.OpenAI) -> None:
        answer = gpt.chat.completions.create(
            model="gpt-4o", messages=self.ASKED, functions=[WEATHER["function"]]
        )
        assert answer.choices[0].finish_reason == "function_call"
        assert answer.choices[0].message.function_call is not None
        assert answer.choices[0].message.function_call.name == "get_weather"


class TestStructuredOutput:
    def test_parses_into_a_nested_recursive_model(self, gpt: openai.OpenAI) -> None:
        answer = gpt.chat.completions.parse(model="gpt-4o", messages=HELLO, response_format=Person)
        assert isinstance(answer.choices[0].message.parsed, Person)

    def test_parses_tool_arguments(self, gpt: openai.OpenAI) -> None:
        tool = openai.pydantic_function_tool(Address)
        answer = gpt.chat.completions.parse(
            model="gpt-4o", messages=HELLO, tools=[tool], tool_choice="required"
        )
        called = (answer.choices[0].message.tool_calls or [])[0]
        assert isinstance(called.function.parsed_arguments, Address)

    def test_gives_any_object_in_json_mode(self, gpt: openai.OpenAI) -> None:
        asked = said("Answer in JSON")
        answer = gpt.chat.completions.create(
            model="gpt-4o", messages=asked, response_format={"type": "json_object"}
        )
        assert (answer.choices[0].message.content or "").startswith("{")


class TestModels:
    def test_are_listed_and_found(self, gpt: openai.OpenAI) -> None:
        names = [model.id for model in gpt.models.list()]
        assert "gpt-4o-mini" in names
        assert gpt.models.retrieve("gpt-4o-mini").owned_by == "system"

    def test_unknown_ones_are_not_found(self, gpt: openai.OpenAI) -> None:
        with pytest.raises(openai.NotFoundError):
            gpt.models.retrieve("gpt-nonesuch")


@pytest.fixture
def imitator(simulator: Simulator) -> Iterator[openai.OpenAI]:
    base = f"{simulator.base_url}/compat/v1"
    with openai.OpenAI(api_key="anything", base_url=base, max_retries=0) as client:
        yield client


class TestImitator:
    def test_takes_any_model_key_and_field(self, imitator: openai.OpenAI) -> None:
        answer = imitator.chat.completions.create(
            model="deepseek-chat", messages=HELLO, extra_body={"top_k": 5}, max_tokens=7
        )
        assert answer.model == "deepseek-chat"
        assert answer.usage is not None
        assert answer.usage.completion_tokens == 7

    def test_shows_its_reasoning(self, imitator: openai.OpenAI) -> None:
        asked = said("[[sim: reasoning=5]]")
        chunks = list(
            imitator.chat.completions.create(model="deepseek-reasoner", messages=asked, stream=True)
        )
        shown = [chunk for chunk in chunks if getattr(chunk.choices[0].delta, "reasoning_content", None)]
        assert len(shown) == 5

    def test_answers_an_empty_account_with_402(self, imitator: openai.OpenAI) -> None:
        with pytest.raises(openai.APIStatusError) as failed:
            imitator.chat.completions.create(model="deepseek-chat", messages=said("[[sim: billing]]"))
        assert failed.value.status_code == 402
