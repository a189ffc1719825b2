"""What Anthropic's official client can put in a request, at every type of provider.

Tools, pictures, documents, thinking and cached prompts, each with what it comes to on the bill.
"""

import base64
import zlib
from typing import Any

import anthropic
import pytest
from claude_clients import async_claude_client, claude_client, text_of
from operator_client import MODELS, Customer
from pydantic import BaseModel

# The client knows when each model is to end; the simulated one goes on.
pytestmark = pytest.mark.filterwarnings("ignore:The model .* is deprecated:DeprecationWarning")

THINKING_MODELS = {"anthropic": "claude-sonnet-4-5", "openai": "gpt-5"}


def tool(name: str, parameter: str) -> Any:
    schema = {
        "type": "object",
        "properties": {parameter: {"type": "string"}},
        "required": [parameter],
        "additionalProperties": False,
    }
    return {"name": name, "description": f"Looks up the {name}.", "input_schema": schema}


WEATHER, TIMEZONE = tool("get_weather", "city"), tool("get_timezone", "place")
ASK_WEATHER: list[Any] = [{"role": "user", "content": "What is the weather in Lisbon today?"}]
ASK_BOTH: list[Any] = [{"role": "user", "content": "Say the weather and the timezone of Lisbon, please."}]


def asked(kind: str, messages: list[Any], **more: Any) -> dict[str, Any]:
    return {"model": MODELS[kind], "max_tokens": 500, "messages": messages, **more}


def calls_of(message: Any) -> list[Any]:
    return [block for block in message.content if block.type == "tool_use"]


def png(width: int, height: int) -> str:
    """A black picture, in base64."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checked = kind + content
        return len(content).to_bytes(4, "big") + checked + zlib.crc32(checked).to_bytes(4, "big")

    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x00\x00\x00\x00"
    pixels = zlib.compress(b"".join(b"\x00" * (width + 1) for _ in range(height)))
    written = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return base64.b64encode(written).decode()


@pytest.mark.parametrize("kind", MODELS)
class TestTools:
    def test_are_called_with_arguments_that_fit_their_schema(self, customer: Customer, kind: str) -> None:
        with claude_client(customer) as client:
            message = client.messages.create(**asked(kind, ASK_WEATHER, tools=[WEATHER, TIMEZONE]))
        [call] = calls_of(message)
        assert message.stop_reason == "tool_use"
        assert (call.name, list(call.input)) == ("get_weather", ["city"])
        assert call.id

    @pytest.mark.parametrize(
        ("choice", "names"),
        [
            ({"type": "none"}, []),
            ({"type": "any"}, ["get_weather"]),
            ({"type": "tool", "name": "get_timezone"}, ["get_timezone"]),
            ({"type": "auto", "disable_parallel_tool_use": True}, ["get_weather"]),
            ({"type": "auto"}, ["get_weather", "get_timezone"]),
        ],
        ids=lambda value: value["type"] if isinstance(value, dict) else "",
    )
    def test_the_choice_among_them_is_kept(
        self, customer: Customer, kind: str, choice: Any, names: list[str]
    ) -> None:
        messages = ASK_BOTH if choice["type"] in {"auto", "none"} else ASK_WEATHER
        with claude_client(customer) as client:
            message = client.messages.create(
                **asked(kind, messages, tools=[WEATHER, TIMEZONE], tool_choice=choice)
            )
        assert [call.name for call in calls_of(message)] == names

    async def test_results_go_back_and_are_answered(self, customer: Customer, kind: str) -> None:
        async with async_claude_client(customer) as client:
            first = await client.messages.create(**asked(kind, ASK_BOTH, tools=[WEATHER, TIMEZONE]))
            weather, timezone = calls_of(first)
            told = [
                {"type": "tool_result", "tool_use_id": weather.id, "content": "sunny and warm"},
                {
                    "type": "tool_result",
                    "tool_use_id": timezone.id,
                    "content": [{"type": "text", "text": "no such place"}],
                    "is_error": True,
                },
            ]
            messages = [
                *ASK_BOTH,
                {"role": "assistant", "content": first.content},
                {"role": "user", "content": told},
            ]
            second = await client.messages.create(**asked(kind, messages, tools=[WEATHER, TIMEZONE]))
        assert second.stop_reason == "end_turn"
        assert "sunny and warm" in text_of(second)
        assert "no such place" in text_of(second)
        assert [row["outcome"] for row in customer.usage()] == ["completed", "completed"]

    def test_calls_stream_as_the_whole_answer_has_them(self, customer: Customer, kind: str) -> None:
        wanted = asked(kind, ASK_BOTH, tools=[WEATHER, TIMEZONE])
        with claude_client(customer) as client:
            whole = client.messages.create(**wanted)
            with client.messages.stream(**wanted) as stream:
                streamed = stream.get_final_message()
        assert [(call.name, call.input) for call in calls_of(streamed)] == [
            (call.name, call.input) for call in calls_of(whole)
        ]
        assert streamed.stop_reason == "tool_use"


class City(BaseModel):
    name: str
    inhabitants: int
    is_capital: bool


@pytest.mark.parametrize("kind", MODELS)
class TestAnswersInASchema:
    def test_the_parse_helper_gives_a_model(self, customer: Customer, kind: str) -> None:
        with claude_client(customer) as client:
            message: Any = client.messages.parse(**asked(kind, ASK_WEATHER), output_format=City)
        assert isinstance(message.parsed_output, City)

    def test_a_json_schema_is_kept_in_streams(self, customer: Customer, kind: str) -> None:
        schema = {**City.model_json_schema(), "additionalProperties": False}
        config: Any = {"format": {"type": "json_schema", "schema": schema}}
        with (
            claude_client(customer) as client,
            client.messages.stream(**asked(kind, ASK_WEATHER, output_config=config)) as stream,
        ):
            said = "".join(stream.text_stream)
        assert City.model_validate_json(said)


@pytest.mark.parametrize("kind", MODELS)
class TestPicturesAndDocuments:
    def test_are_seen_and_paid_for(self, customer: Customer, kind: str) -> None:
        picture = {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/png", "data": png(600, 400)},
        }
        plain: list[Any] = [{"role": "user", "content": [{"type": "text", "text": "What is this?"}]}]
        seen: list[Any] = [{"role": "user", "content": [picture, *plain[0]["content"]]}]
        with claude_client(customer) as client:
            without = client.messages.create(**asked(kind, plain)).usage.input_tokens
            with_it = client.messages.create(**asked(kind, seen)).usage.input_tokens
        assert with_it > without + 50
        assert [row["input_tokens"] for row in customer.usage()] == [without, with_it]

    def test_documents_of_text_are_read(self, customer: Customer, kind: str) -> None:
        source = {"type": "text", "media_type": "text/plain", "data": "The treaty was signed in Lisbon."}
        document = {"type": "document", "source": source, "title": "Treaty"}
        question = {"type": "text", "text": "Where was it signed?"}
        with claude_client(customer) as client:
            message = client.messages.create(
                **asked(kind, [{"role": "user", "content": [document, question]}])
            )
        assert text_of(message)

    def test_documents_in_pdf_are_read(self, customer: Customer, kind: str) -> None:
        content = base64.b64encode(b"%PDF-1.4\n%%EOF\n").decode()
        source = {"type": "base64", "media_type": "application/pdf", "data": content}
        messages = [{"role": "user", "content": [{"type": "document", "source": source}]}]
        with claude_client(customer) as client:
            message = client.messages.create(**asked(kind, messages))
        assert text_of(message)

    def test_files_kept_elsewhere_are_refused_by_name(self, customer: Customer, kind: str) -> None:
        image = {"type": "image", "source": {"type": "file", "file_id": "file_1"}}
        with claude_client(customer) as client, pytest.raises(anthropic.UnprocessableEntityError) as refused:
            client.messages.create(**asked(kind, [{"role": "user", "content": [image]}]))
        assert isinstance(refused.value.body, dict)
        error = refused.value.body["error"]
        assert (error["code"], error["param"]) == (
            "unsupported_parameter",
            "messages.0.content.0.source.file_id",
        )


@pytest.mark.parametrize("kind", THINKING_MODELS)
class TestThinking:
    def test_comes_and_goes_back_and_is_counted(self, customer: Customer, kind: str) -> None:
        wanted: dict[str, Any] = {
            "model": THINKING_MODELS[kind],
            "max_tokens": 3000,
            "thinking": {"type": "enabled", "budget_tokens": 1500},
        }
        with claude_client(customer) as client:
            first = client.messages.create(**wanted, messages=ASK_WEATHER)
            answered: Any = {"role": "assistant", "content": first.content}
            client.messages.create(**wanted, messages=[*ASK_WEATHER, answered, *ASK_WEATHER])
        assert first.usage.output_tokens_details is not None
        assert first.usage.output_tokens_details.thinking_tokens > 0
        rows = customer.usage()
        assert [row["outcome"] for row in rows] == ["completed", "completed"]
        assert rows[0]["quantities"]["out_reasoning"] == first.usage.output_tokens_details.thinking_tokens

    def test_streams(self, customer: Customer, kind: str) -> None:
        with (
            claude_client(customer) as client,
            client.messages.stream(
                model=THINKING_MODELS[kind],
                max_tokens=3000,
                messages=ASK_WEATHER,
                thinking={"type": "enabled", "budget_tokens": 1500},
            ) as stream,
        ):
            final = stream.get_final_message()
        [row] = customer.usage()
        assert text_of(final)
        assert final.usage.output_tokens == row["output_tokens"]
        shown = [block.type for block in final.content]
        assert shown == (["thinking", "text"] if kind == "anthropic" else ["text"])


class TestCachedPrompts:
    LONG = "All of the history of Lisbon, from the beginning to the present day. " * 300

    @pytest.mark.parametrize(("life", "meter"), [("5m", "cache_write_5m"), ("1h", "cache_write_1h")])
    def test_are_written_once_then_read_and_booked_apart(
        self, customer: Customer, life: str, meter: str
    ) -> None:
        mark = {"type": "ephemeral", "ttl": life}
        system = [{"type": "text", "text": f"{life} {self.LONG}", "cache_control": mark}]
        with claude_client(customer) as client:
            wanted = asked("anthropic", ASK_WEATHER, system=system)
            written = client.messages.create(**wanted).usage
            with client.messages.stream(**wanted) as stream:
                read = stream.get_final_message().usage
        first, second = (row["quantities"] for row in customer.usage())
        assert written.cache_creation_input_tokens == read.cache_read_input_tokens
        assert first[meter] == written.cache_creation_input_tokens
        assert second["cache_read"] == read.cache_read_input_tokens
        assert first["in_fresh"] == second["in_fresh"] == read.input_tokens

    @pytest.mark.parametrize("kind", ["openai", "openai_compatible"])
    def test_marks_are_hints_elsewhere(self, customer: Customer, kind: str) -> None:
        system = [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]
        with claude_client(customer) as client:
            assert text_of(client.messages.create(**asked(kind, ASK_WEATHER, system=system)))


class TestBetas:
    def test_reach_anthropic_with_their_fields(self, customer: Customer) -> None:
        with claude_client(customer) as client:
            message = client.beta.messages.create(
                model=MODELS["anthropic"],
                max_tokens=100,
                messages=[{"role": "user", "content": "Hello"}],
                betas=["context-management-2025-06-27", "of-tomorrow-2030-01-01"],
                context_management={"edits": [{"type": "clear_tool_uses_20250919"}]},
            )
        assert text_of(message)

    def test_are_refused_by_name_where_nobody_knows_them(self, customer: Customer) -> None:
        with claude_client(customer) as client, pytest.raises(anthropic.UnprocessableEntityError) as refused:
            client.beta.messages.create(
                model=MODELS["openai"],
                max_tokens=100,
                messages=[{"role": "user", "content": "Hello"}],
                betas=["context-management-2025-06-27"],
                context_management={"edits": [{"type": "clear_tool_uses_20250919"}]},
            )
        assert isinstance(refused.value.body, dict)
        assert refused.value.body["error"]["param"] == "context_management"
