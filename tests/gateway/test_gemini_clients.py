"""Google's official client against the gateway, at every type of provider: usage returned is usage booked."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from google import genai
from google.genai import errors, types
from proving import KINDS, Customer, as_nano
from pydantic import BaseModel

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.filterwarnings(
        "ignore:Inheritance class AiohttpClientSession:DeprecationWarning"
    ),  # the SDK's own
]

every_kind = pytest.mark.parametrize("kind", KINDS)
every_version = pytest.mark.parametrize("version", ["v1", "v1beta"])
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
NO_LOOP = types.AutomaticFunctionCallingConfig(disable=True)
WEATHER = types.Tool(
    function_declarations=[
        types.FunctionDeclaration(
            name="get_weather",
            description="Weather of a city",
            parameters_json_schema={
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
                "additionalProperties": False,
            },
        )
    ]
)
ASKED = "What is the weather in Paris today?"


class Receipt(BaseModel):
    shop: str
    total: int


@asynccontextmanager
async def google(customer: Customer, **options: Any) -> AsyncIterator[Any]:
    """The official asynchronous client."""
    address = customer.stack.url.removesuffix("/v1")
    client = genai.Client(
        api_key=options.pop("key", customer.key), http_options=types.HttpOptions(base_url=address, **options)
    )
    async with client.aio as speaking:
        yield speaking
    client.close()


async def assert_booked(customer: Customer, usage: types.GenerateContentResponseUsageMetadata | None) -> None:
    row = (await customer.usage())[-1]
    assert usage is not None
    assert row["outcome"] == "completed"
    assert row["dialect"] == "gemini"
    assert (usage.prompt_token_count or 0) + (usage.tool_use_prompt_token_count or 0) == row["input_tokens"]
    came = (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0)
    assert came == row["output_tokens"] > 0
    assert usage.total_token_count == row["input_tokens"] + row["output_tokens"]


@every_kind
class TestWholeAnswers:
    @every_version
    async def test_are_plain(self, customer: Customer, kind: str, version: str) -> None:
        async with google(customer, api_version=version) as client:
            answer = await client.models.generate_content(model=customer.models[kind], contents="Hello")
        row = await customer.one_row()
        assert answer.text
        assert answer.candidates[0].finish_reason is types.FinishReason.STOP
        await assert_booked(customer, answer.usage_metadata)
        assert row["endpoint"] == f"/{version}/models/{{model}}:generateContent"
        assert as_nano(answer.sdk_http_response.headers["x-bursar-cost"]) == row["sale"]

    async def test_stop_at_the_bound(self, customer: Customer, kind: str) -> None:
        config = types.GenerateContentConfig(
            max_output_tokens=5, temperature=0.5, system_instruction="Be brief."
        )
        async with google(customer) as client:
            answer = await client.models.generate_content(
                model=customer.models[kind], contents="Hello", config=config
            )
        assert answer.candidates[0].finish_reason is types.FinishReason.MAX_TOKENS
        assert answer.usage_metadata.candidates_token_count == 5

    async def test_look_at_pictures(self, customer: Customer, kind: str) -> None:
        parts = [
            types.Part.from_bytes(data=PNG, mime_type="image/png"),
            types.Part.from_text(text="What is it?"),
        ]
        async with google(customer) as client:
            answer = await client.models.generate_content(
                model=customer.models[kind], contents=types.UserContent(parts)
            )
        await assert_booked(customer, answer.usage_metadata)
        sent = orjson.loads(customer.stack.simulator.log.exchanges[-1].body)
        assert base64.b64encode(PNG).decode()[:40] in str(sent)

    @pytest.mark.parametrize("own", [False, True], ids=["json_schema", "googles_schema"])
    async def test_conform_to_a_schema(self, customer: Customer, kind: str, *, own: bool) -> None:
        schema = (
            {"response_schema": Receipt} if own else {"response_json_schema": Receipt.model_json_schema()}
        )
        config = types.GenerateContentConfig(response_mime_type="application/json", **schema)
        async with google(customer) as client:
            answer = await client.models.generate_content(
                model=customer.models[kind], contents="A receipt", config=config
            )
        assert Receipt.model_validate_json(answer.text)

    async def test_of_tools_make_a_round_trip(self, customer: Customer, kind: str) -> None:
        config = types.GenerateContentConfig(tools=[WEATHER], automatic_function_calling=NO_LOOP)
        model = customer.models[kind]
        async with google(customer) as client:
            called = await client.models.generate_content(model=model, contents=ASKED, config=config)
            call = called.function_calls[0]
            result = types.FunctionResponse(id=call.id, name=call.name, response={"result": "21 degrees"})
            contents = [
                types.UserContent(ASKED),
                called.candidates[0].content,
                types.UserContent(types.Part(function_response=result)),
            ]
            answer = await client.models.generate_content(model=model, contents=contents, config=config)
        assert (call.name, call.args) == ("get_weather", {"city": "Paris"})
        assert "21 degrees" in answer.text
        await assert_booked(customer, answer.usage_metadata)


@every_kind
class TestStreams:
    async def test_tell_the_usage_last(self, customer: Customer, kind: str) -> None:
        customer.fault(kind, 'text="one two three" input_tokens=9')
        async with google(customer) as client:
            stream = await client.models.generate_content_stream(
                model=customer.models[kind], contents="Hello"
            )
            chunks = [chunk async for chunk in stream]
        assert "".join(chunk.text or "" for chunk in chunks) == "one two three"
        assert chunks[-1].candidates[0].finish_reason is types.FinishReason.STOP
        assert [bool(c.finish_reason) for chunk in chunks for c in chunk.candidates].count(True) == 1
        await assert_booked(customer, chunks[-1].usage_metadata)

    async def test_call_tools(self, customer: Customer, kind: str) -> None:
        config = types.GenerateContentConfig(tools=[WEATHER], automatic_function_calling=NO_LOOP)
        async with google(customer) as client:
            stream = await client.models.generate_content_stream(
                model=customer.models[kind], contents=ASKED, config=config
            )
            chunks = [chunk async for chunk in stream]
        calls = [call for chunk in chunks for call in chunk.function_calls or ()]
        assert [(call.name, call.args) for call in calls] == [("get_weather", {"city": "Paris"})]

    async def test_of_a_chat_remember(self, customer: Customer, kind: str) -> None:
        async with google(customer) as client:
            chat = client.chats.create(model=customer.models[kind])
            async for _ in await chat.send_message_stream("Hello"):
                pass
            answer = await chat.send_message("And again")
        assert answer.text
        assert len(await customer.usage()) == 2

    async def test_broken_by_the_provider_raise(self, customer: Customer, kind: str) -> None:
        customer.fault(kind, 'error_event_after=5 text="one two three four five six seven"')
        async with google(customer) as client:
            stream = await client.models.generate_content_stream(
                model=customer.models[kind], contents="Hello"
            )
            with pytest.raises(errors.ServerError) as broken:
                async for _ in stream:
                    pass
        assert broken.value.code in {502, 503}
        assert broken.value.status == "UNAVAILABLE"
        assert (await customer.one_row())["outcome"] == "provider_error_after_output"


class TestThoughts:
    @pytest.mark.parametrize("stream", [False, True])
    async def test_of_claude_go_back_signed_as_they_came(self, customer: Customer, *, stream: bool) -> None:
        model = customer.models["anthropic"]
        thinking = types.ThinkingConfig(thinking_budget=1024, include_thoughts=True)
        config = types.GenerateContentConfig(
            thinking_config=thinking,
            max_output_tokens=4000,
            tools=[WEATHER],
            automatic_function_calling=NO_LOOP,
        )
        async with google(customer) as client:
            if stream:
                coming = await client.models.generate_content_stream(
                    model=model, contents=ASKED, config=config
                )
                chunks = [chunk async for chunk in coming]
                said = [chunk.candidates[0].content for chunk in chunks]
                call = next(call for chunk in chunks for call in chunk.function_calls or ())
            else:
                answer = await client.models.generate_content(model=model, contents=ASKED, config=config)
                said, call = [answer.candidates[0].content], answer.function_calls[0]
            result = types.FunctionResponse(id=call.id, name=call.name, response={"output": "21"})
            contents = [
                types.UserContent(ASKED),
                *said,
                types.UserContent(types.Part(function_response=result)),
            ]
            final = await client.models.generate_content(model=model, contents=contents, config=config)
        assert final.text
        sent = orjson.loads(customer.stack.simulator.log.exchanges[-1].body)
        blocks = [block["type"] for block in sent["messages"][1]["content"]]
        assert blocks[0] == "thinking"
        assert "tool_use" in blocks

    @pytest.mark.parametrize("stream", [False, True])
    async def test_of_claude_do_not_hinder_gemini(self, customer: Customer, *, stream: bool) -> None:
        thinking = types.ThinkingConfig(thinking_budget=1024, include_thoughts=True)
        config = types.GenerateContentConfig(thinking_config=thinking, max_output_tokens=4000)
        async with google(customer) as client:
            ask: Any = {"model": customer.models["anthropic"], "contents": "Hello", "config": config}
            if stream:
                coming = await client.models.generate_content_stream(**ask)
                said = [chunk.candidates[0].content async for chunk in coming]
            else:
                said = [(await client.models.generate_content(**ask)).candidates[0].content]
            contents = [types.UserContent("Hello"), *filter(None, said), types.UserContent("Go on.")]
            answer = await client.models.generate_content(model=customer.models["gemini"], contents=contents)
        assert answer.text
        assert any(part.thought_signature for content in filter(None, said) for part in content.parts or ())
        assert b"thoughtSignature" not in customer.stack.simulator.log.exchanges[-1].body

    async def test_of_gemini_keep_their_signatures_for_callers_of_its_dialect(
        self, customer: Customer
    ) -> None:
        await customer.serve("gemini", provider_model="gemini-3.8-flash")
        config = types.GenerateContentConfig(tools=[WEATHER], automatic_function_calling=NO_LOOP)
        async with google(customer) as client:
            chat = client.chats.create(model=customer.models["gemini"], config=config)
            called = await chat.send_message(ASKED)
            call = called.function_calls[0]
            result = types.FunctionResponse(id=call.id, name=call.name, response={"output": "21 degrees"})
            answer = await chat.send_message(types.Part(function_response=result))
        assert called.candidates[0].content.parts[0].thought_signature
        assert "21 degrees" in answer.text


class TestRefusals:
    @every_kind
    async def test_are_in_googles_shape(self, customer: Customer, kind: str) -> None:
        async with google(customer) as client:
            with pytest.raises(errors.ClientError) as refused:
                await client.models.generate_content(model="gemini-0", contents="Hello")
        error = refused.value.details["error"]
        assert (refused.value.code, refused.value.status) == (404, "NOT_FOUND")
        assert error["details"][0]["reason"] == "MODEL_NOT_FOUND"
        assert error["details"][1]["fieldViolations"][0]["field"] == "model"
        assert kind in KINDS

    async def test_of_a_bad_key(self, customer: Customer) -> None:
        async with google(customer, key="AIza-wrong") as client:
            with pytest.raises(errors.ClientError) as refused:
                await client.models.generate_content(model=customer.models["gemini"], contents="Hello")
        assert (refused.value.code, refused.value.status) == (401, "UNAUTHENTICATED")

    @pytest.mark.parametrize(
        ("config", "field"),
        [
            ({"candidate_count": 2}, "generationConfig.candidateCount"),
            ({"response_logprobs": True}, "generationConfig.responseLogprobs"),
            ({"tools": [types.Tool(google_search=types.GoogleSearch())]}, "tools[0].googleSearch"),
            ({"response_modalities": ["AUDIO"]}, "generationConfig.responseModalities"),
        ],
    )
    async def test_name_what_another_provider_cannot_do(
        self, customer: Customer, config: dict[str, Any], field: str
    ) -> None:
        async with google(customer) as client:
            with pytest.raises(errors.ClientError) as refused:
                await client.models.generate_content(
                    model=customer.models["openai"], contents="Hello", config=config
                )
        error = refused.value.details["error"]
        assert error["details"][0]["reason"] == "UNSUPPORTED_PARAMETER"
        assert error["details"][1]["fieldViolations"][0]["field"] == field
        assert await customer.usage() == []

    @pytest.mark.parametrize(
        ("config", "field"),
        [
            ({"tools": [types.Tool(google_search=types.GoogleSearch())]}, "tools[0].googleSearch"),
            ({"service_tier": "priority"}, "serviceTier"),
            ({"cached_content": "cachedContents/abc"}, "cachedContent"),
        ],
    )
    async def test_name_what_has_no_price_or_belongs_to_all(
        self, customer: Customer, config: dict[str, Any], field: str
    ) -> None:
        async with google(customer) as client:
            with pytest.raises(errors.ClientError) as refused:
                await client.models.generate_content(
                    model=customer.models["gemini"], contents="Hello", config=config
                )
        assert refused.value.details["error"]["details"][1]["fieldViolations"][0]["field"] == field

    async def test_of_files_kept_in_our_account(self, customer: Customer) -> None:
        uri = "https://generativelanguage.googleapis.com/v1beta/files/abc"
        part = types.Part.from_uri(file_uri=uri, mime_type="application/pdf")
        async with google(customer) as client:
            with pytest.raises(errors.ClientError) as refused:
                await client.models.generate_content(model=customer.models["gemini"], contents=[part])
        assert "fileUri" in refused.value.details["error"]["message"]


class TestTheRest:
    async def test_counts_tokens_at_google_for_its_models(self, customer: Customer) -> None:
        async with google(customer) as client:
            counted = await client.models.count_tokens(model=customer.models["gemini"], contents=ASKED)
            answer = await client.models.generate_content(model=customer.models["gemini"], contents=ASKED)
        assert counted.total_tokens == answer.usage_metadata.prompt_token_count
        assert len(await customer.usage()) == 1

    @pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "gemini"])
    async def test_estimates_tokens_for_others(self, customer: Customer, kind: str) -> None:
        async with google(customer) as client:
            counted = await client.models.count_tokens(model=customer.models[kind], contents=ASKED)
            answer = await client.models.generate_content(model=customer.models[kind], contents=ASKED)
        assert counted.total_tokens >= answer.usage_metadata.prompt_token_count

    @every_version
    async def test_lists_models(self, customer: Customer, version: str) -> None:
        async with google(customer, api_version=version) as client:
            names = [model.name async for model in await client.models.list(config={"page_size": 2})]
            shown = await client.models.get(model=customer.models["gemini"])
        assert {f"models/{name}" for name in customer.models.values()} <= set(names)
        assert len(names) == len(set(names))
        assert shown.output_token_limit == 4096
        assert "generateContent" in shown.supported_actions
