"""The official Google client against the simulator."""

import base64
from typing import Any

import orjson
import pytest
from google import genai
from google.genai import errors, types
from pydantic import BaseModel
from raw_http import GEMINI_KEY, Call

from bursar.simulator import Simulator

LITE = "gemini-2.5-flash-lite"
FLASH = "gemini-2.5-flash"
SIGNING = "gemini-3.8-flash"
PNG = types.Part.from_bytes(data=base64.b64decode("iVBORw0KGgo="), mime_type="image/png")
WEATHER = types.Tool(
    function_declarations=[
        types.FunctionDeclaration(
            name="get_weather",
            description="Weather of a city",
            parameters_json_schema={
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            },
        )
    ]
)
NO_LOOP = types.AutomaticFunctionCallingConfig(disable=True)
ASKED = "What is the weather in Paris today?"
LONG = "A ledger never forgets. " * 600


class Receipt(BaseModel):
    shop: str
    total: int
    items: list[str]


def said(text: str) -> types.Content:
    return types.UserContent(text)


def usage(answer: types.GenerateContentResponse) -> types.GenerateContentResponseUsageMetadata:
    assert answer.usage_metadata is not None
    return answer.usage_metadata


def refusal(client: genai.Client, **asked: Any) -> errors.APIError:
    with pytest.raises(errors.APIError) as refused:
        client.models.generate_content(**{"model": LITE, "contents": "Hello", **asked})
    return refused.value


class TestWholeAnswer:
    def test_looks_like_one(self, gemini: genai.Client) -> None:
        answer = gemini.models.generate_content(model=LITE, contents="Hello")
        counted = usage(answer)
        assert answer.text
        assert answer.model_version == LITE
        assert answer.response_id
        assert answer.candidates is not None
        assert answer.candidates[0].finish_reason is types.FinishReason.STOP
        assert counted.total_token_count == (counted.prompt_token_count or 0) + (
            counted.candidates_token_count or 0
        )

    def test_is_the_same_for_the_same_request_but_for_its_id(self, gemini: genai.Client) -> None:
        first, second = (gemini.models.generate_content(model=LITE, contents="Hello") for _ in range(2))
        assert first.text == second.text
        assert first.response_id != second.response_id

    def test_stops_at_the_output_bound(self, gemini: genai.Client) -> None:
        config = types.GenerateContentConfig(max_output_tokens=5)
        answer = gemini.models.generate_content(model=LITE, contents="Hello", config=config)
        assert answer.candidates is not None
        assert answer.candidates[0].finish_reason is types.FinishReason.MAX_TOKENS
        assert usage(answer).candidates_token_count == 5

    def test_gives_several_candidates(self, gemini: genai.Client) -> None:
        config = types.GenerateContentConfig(candidate_count=2)
        answer = gemini.models.generate_content(model=LITE, contents="Hello", config=config)
        assert answer.candidates is not None
        assert [one.index for one in answer.candidates] == [0, 1]

    def test_conforms_to_a_schema(self, gemini: genai.Client) -> None:
        config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=Receipt)
        answer = gemini.models.generate_content(model=LITE, contents="A receipt", config=config)
        assert isinstance(answer.parsed, Receipt)

    def test_blocks_a_prompt(self, gemini: genai.Client) -> None:
        answer = gemini.models.generate_content(model=LITE, contents="Hello [[sim: blocked]]")
        assert answer.prompt_feedback is not None
        assert answer.prompt_feedback.block_reason is types.BlockedReason.PROHIBITED_CONTENT
        assert not answer.candidates
        assert usage(answer).candidates_token_count is None

    def test_is_filtered(self, gemini: genai.Client) -> None:
        answer = gemini.models.generate_content(model=LITE, contents="Hello [[sim: content_filter]]")
        assert answer.candidates is not None
        assert answer.candidates[0].finish_reason is types.FinishReason.SAFETY


class TestUsage:
    def test_has_thoughts_beside_candidates(self, gemini: genai.Client) -> None:
        counted = usage(gemini.models.generate_content(model=FLASH, contents="Hello"))
        assert counted.thoughts_token_count
        assert counted.total_token_count == (
            (counted.prompt_token_count or 0)
            + (counted.candidates_token_count or 0)
            + counted.thoughts_token_count
        )

    def test_has_the_cached_inside_the_prompt(self, gemini: genai.Client) -> None:
        first, second = (usage(gemini.models.generate_content(model=LITE, contents=LONG)) for _ in range(2))
        assert first.cached_content_token_count is None
        assert second.cached_content_token_count
        assert second.prompt_token_count == first.prompt_token_count
        assert second.cache_tokens_details is not None
        assert second.cache_tokens_details[0].token_count == second.cached_content_token_count

    def test_tells_modalities_apart(self, gemini: genai.Client) -> None:
        counted = usage(gemini.models.generate_content(model=LITE, contents=["What is it?", PNG]))
        assert counted.prompt_tokens_details is not None
        by_modality = {one.modality: one.token_count for one in counted.prompt_tokens_details}
        assert by_modality[types.MediaModality.IMAGE] == 258
        assert sum(filter(None, by_modality.values())) == counted.prompt_token_count

    @pytest.mark.parametrize(
        ("script", "total"),
        [
            ("input_tokens=10 output_tokens=5", 15),
            ("input_tokens=10 output_tokens=5 reasoning=7", 22),
            ("input_tokens=10 output_tokens=5 tool_use=3", 18),
            ("input_tokens=10 output_tokens=5 wrong_total", 16),
            ("zero_usage", 0),
        ],
    )
    def test_is_what_the_script_says(self, gemini: genai.Client, script: str, total: int) -> None:
        counted = usage(gemini.models.generate_content(model=LITE, contents=f"Hello [[sim: {script}]]"))
        assert counted.total_token_count == total

    def test_may_be_missing(self, gemini: genai.Client) -> None:
        answer = gemini.models.generate_content(model=LITE, contents="Hello [[sim: no_usage]]")
        assert answer.usage_metadata is None


class TestThinking:
    def test_is_shown_when_asked_for(self, gemini: genai.Client) -> None:
        config = types.GenerateContentConfig(thinking_config=types.ThinkingConfig(include_thoughts=True))
        answer = gemini.models.generate_content(model=FLASH, contents="Hello", config=config)
        assert answer.parts is not None
        assert [part.thought for part in answer.parts] == [True, None]

    def test_can_be_switched_off_where_the_model_allows_it(self, gemini: genai.Client) -> None:
        off = types.GenerateContentConfig(thinking_config=types.ThinkingConfig(thinking_budget=0))
        answer = gemini.models.generate_content(model=FLASH, contents="Hello", config=off)
        assert usage(answer).thoughts_token_count is None
        assert refusal(gemini, model="gemini-2.5-pro", config=off).status == "INVALID_ARGUMENT"

    def test_has_levels_on_newer_models_only(self, gemini: genai.Client) -> None:
        level = types.ThinkingConfig(thinking_level=types.ThinkingLevel.LOW)
        low = types.GenerateContentConfig(thinking_config=level)
        assert gemini.models.generate_content(model=SIGNING, contents="Hello", config=low).text
        assert "level" in str(refusal(gemini, model=FLASH, config=low).message)


class TestTools:
    config = types.GenerateContentConfig(tools=[WEATHER], automatic_function_calling=NO_LOOP)

    def called(self, client: genai.Client, model: str) -> types.Content:
        answer = client.models.generate_content(model=model, contents=ASKED, config=self.config)
        assert answer.function_calls is not None
        assert answer.function_calls[0].args == {"city": "Paris"}
        assert answer.candidates is not None
        assert answer.candidates[0].content is not None
        return answer.candidates[0].content

    @pytest.mark.parametrize("model", [LITE, SIGNING])
    def test_a_round_trip(self, gemini: genai.Client, model: str) -> None:
        called = self.called(gemini, model)
        assert called.parts is not None
        call = called.parts[0].function_call
        assert call is not None
        result = types.FunctionResponse(id=call.id, name="get_weather", response={"result": "21 degrees"})
        contents = [said(ASKED), called, types.UserContent(types.Part(function_response=result))]
        answer = gemini.models.generate_content(model=model, contents=contents, config=self.config)
        assert "21 degrees" in str(answer.text)

    def test_signatures_must_come_back(self, gemini: genai.Client) -> None:
        called = self.called(gemini, SIGNING)
        assert called.parts is not None
        assert called.parts[0].thought_signature
        result = types.FunctionResponse(
            id=called.parts[0].function_call.id if called.parts[0].function_call else None,
            name="get_weather",
            response={"result": "21"},
        )
        answered = types.UserContent(types.Part(function_response=result))
        called.parts[0].thought_signature = None
        contents = [said(ASKED), called, answered]
        refused = refusal(gemini, model=SIGNING, contents=contents, config=self.config)
        assert "missing a thought_signature" in str(refused.message)
        called.parts[0].thought_signature = b"something else"
        refused = refusal(gemini, model=SIGNING, contents=contents, config=self.config)
        assert refused.message == "Corrupted thought signature."

    def test_calls_are_answered_one_by_one(self, gemini: genai.Client) -> None:
        called = self.called(gemini, LITE)
        result = types.FunctionResponse(name="get_weather", response={"result": "21"})
        twice = types.UserContent(
            [types.Part(function_response=result), types.Part(function_response=result)]
        )
        refused = refusal(gemini, contents=[said(ASKED), called, twice], config=self.config)
        assert "number of function response parts" in str(refused.message)


class TestStream:
    def test_ends_with_the_reason_and_the_usage(self, gemini: genai.Client) -> None:
        script = 'Hello [[sim: text="one two" input_tokens=9]]'
        chunks = list(gemini.models.generate_content_stream(model=LITE, contents=script))
        assert [chunk.text for chunk in chunks] == ["one", " two", ""]
        assert [usage(chunk).candidates_token_count for chunk in chunks] == [1, 2, 2]
        ends = [chunk.candidates[0].finish_reason for chunk in chunks if chunk.candidates]
        assert ends == [None, None, types.FinishReason.STOP]
        assert usage(chunks[-1]).total_token_count == 11

    def test_breaks_with_an_error(self, gemini: genai.Client) -> None:
        stream = gemini.models.generate_content_stream(
            model=LITE, contents='Hello [[sim: error_event_after=2 text="one two three"]]'
        )
        with pytest.raises(errors.ServerError) as broken:
            list(stream)
        assert (broken.value.code, broken.value.status) == (503, "UNAVAILABLE")

    async def test_is_one_json_array_without_sse(self, call: Call) -> None:
        body = {"contents": [{"parts": [{"text": 'Hello [[sim: text="one two"]]'}]}]}
        path = f"/gemini/v1beta/models/{LITE}:streamGenerateContent?key={GEMINI_KEY}"
        raw = await call(path, body)
        parts = [chunk["candidates"][0]["content"]["parts"][0]["text"] for chunk in orjson.loads(raw.body)]
        assert parts == ["one", " two", ""]


class TestErrors:
    @pytest.mark.parametrize(
        ("script", "code", "status"),
        [
            ("status=400", 400, "INVALID_ARGUMENT"),
            ("status=403", 403, "PERMISSION_DENIED"),
            ("status=429", 429, "RESOURCE_EXHAUSTED"),
            ("status=500", 500, "INTERNAL"),
            ("status=503", 503, "UNAVAILABLE"),
            ("billing", 429, "RESOURCE_EXHAUSTED"),
        ],
    )
    def test_are_in_googles_shape(self, gemini: genai.Client, script: str, code: int, status: str) -> None:
        refused = refusal(gemini, contents=f"Hello [[sim: {script}]]")
        assert (refused.code, refused.status) == (code, status)

    def test_say_when_to_retry(self, gemini: genai.Client) -> None:
        refused = refusal(gemini, contents="Hello [[sim: status=429 retry_after=7]]")
        assert refused.details["error"]["details"][0]["retryDelay"] == "7s"

    def test_know_a_bad_key(self, simulator: Simulator) -> None:
        options = types.HttpOptions(base_url=simulator.base_url)
        with genai.Client(api_key="nonsense", http_options=options) as client:
            refused = refusal(client)
        assert refused.details["error"]["details"][0]["reason"] == "API_KEY_INVALID"

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            ({}, "contents is not specified"),
            ({"contents": []}, "must be in the supported range"),
            ({"contents": [{"parts": [{"text": 7}]}]}, "TYPE_STRING"),
            ({"contents": [{"parts": [{"text": "x"}], "role": "narrator"}]}, "TYPE_ENUM"),
            ({"contents": [{"parts": [{"text": "x"}]}], "temperature": 1}, 'Unknown name "temperature"'),
            ({"contents": [{"parts": [{}]}]}, "required oneof field"),
        ],
    )
    async def test_name_what_is_wrong(self, call: Call, body: dict[str, Any], message: str) -> None:
        path = f"/gemini/v1beta/models/{LITE}:generateContent?key={GEMINI_KEY}"
        raw = await call(path, body)
        assert raw.status == 400
        assert message in orjson.loads(raw.body)["error"]["message"]

    def test_know_no_such_model(self, gemini: genai.Client) -> None:
        assert refusal(gemini, model="gemini-0").code == 404


class TestTheRest:
    def test_counts_tokens_beforehand_as_it_bills_them(self, gemini: genai.Client) -> None:
        counted = gemini.models.count_tokens(model=LITE, contents=ASKED)
        answer = gemini.models.generate_content(model=LITE, contents=ASKED)
        assert counted.total_tokens == usage(answer).prompt_token_count

    def test_lists_models_by_the_page(self, gemini: genai.Client) -> None:
        listed = list(gemini.models.list(config={"page_size": 5}))
        assert f"models/{SIGNING}" in [model.name for model in listed]
        assert gemini.models.get(model=LITE).output_token_limit == 65_536

    def test_embeds(self, gemini: genai.Client) -> None:
        config = types.EmbedContentConfig(output_dimensionality=8)
        contents = [said("one"), said("two"), said("one")]
        answer = gemini.models.embed_content(model="gemini-embedding-2", contents=contents, config=config)
        assert answer.embeddings is not None
        first, second, third = (one.values for one in answer.embeddings)
        assert first == third != second
        assert first is not None
        assert len(first) == 8
        assert answer.usage_metadata is not None
        assert answer.usage_metadata.prompt_token_count == 3
