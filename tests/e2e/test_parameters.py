"""What a caller may set, and what becomes of it: seen in the request that arrived at the provider."""

import base64
import struct
import zlib
from typing import Any

import openai
import orjson
import pytest
from operator_client import MODELS, Customer
from test_answers import HELLO, text_of

from bursar.simulator import Simulator

SAME_DIALECT = ["openai", "openai_compatible"]


def png(width: int, height: int) -> bytes:
    """A black picture."""

    def chunk(name: bytes, content: bytes) -> bytes:
        sum_ = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + sum_

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(b"".join(b"\0" + b"\0" * width for _ in range(height)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


PICTURE = base64.b64encode(png(64, 48)).decode()
LOOK: list[Any] = [
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "What is this?"},
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE}", "detail": "low"}},
        ],
    }
]


def arrived(providers: Simulator) -> dict[str, Any]:
    """The body of the last request a provider got."""
    body = orjson.loads(providers.log.exchanges[-1].body)
    assert isinstance(body, dict)
    return body


@pytest.mark.parametrize("kind", SAME_DIALECT)
class TestTheSameDialect:
    @pytest.mark.parametrize(
        "wanted",
        [
            {"temperature": 0.3, "top_p": 0.9},
            {"seed": 7},
            {"stop": ["one", "two"]},
            {"frequency_penalty": 0.5, "presence_penalty": -0.5},
            {"logit_bias": {"50256": -100}},
            {"metadata": {"order": "17"}, "store": True},
            {"user": "user-17"},
            {"safety_identifier": "hash-17"},
            {"max_completion_tokens": 33},
            {"service_tier": "auto"},
            {"prompt_cache_key": "docs"},
            {"prediction": {"type": "content", "content": "Hello"}},
        ],
        ids=lambda wanted: next(iter(wanted)),
    )
    def test_a_parameter_arrives_as_it_was_sent(
        self, customer: Customer, providers: Simulator, kind: str, wanted: dict[str, Any]
    ) -> None:
        customer.sync.chat.completions.create(model=MODELS[kind], messages=HELLO, **wanted)
        came = arrived(providers)
        assert {name: came.get(name) for name in wanted} == wanted
        assert came["messages"] == HELLO

    def test_several_answers_are_given_and_all_paid_for(self, customer: Customer, kind: str) -> None:
        one = customer.sync.chat.completions.create(model=MODELS[kind], messages=HELLO)
        three = customer.sync.chat.completions.create(model=MODELS[kind], messages=HELLO, n=3)
        assert [choice.index for choice in three.choices] == [0, 1, 2]
        assert len({choice.message.content for choice in three.choices}) == 3
        assert one.usage is not None
        assert three.usage is not None
        assert customer.usage()[-1]["output_tokens"] == three.usage.completion_tokens
        assert three.usage.completion_tokens > one.usage.completion_tokens

    def test_several_answers_stream_side_by_side(self, customer: Customer, kind: str) -> None:
        stream = customer.sync.chat.completions.create(model=MODELS[kind], messages=HELLO, n=2, stream=True)
        finished = [c.index for chunk in stream for c in chunk.choices if c.finish_reason == "stop"]
        assert sorted(finished) == [0, 1]

    def test_probabilities_come_back(self, customer: Customer, kind: str) -> None:
        answer = customer.sync.chat.completions.create(
            model=MODELS[kind], messages=HELLO, logprobs=True, top_logprobs=2
        )
        logprobs = answer.choices[0].logprobs
        assert logprobs is not None
        assert logprobs.content
        assert "".join(one.token for one in logprobs.content) == answer.choices[0].message.content
        assert all(len(one.top_logprobs) == 2 for one in logprobs.content)

    def test_probabilities_come_back_in_streams(self, customer: Customer, kind: str) -> None:
        chunks = list(
            customer.sync.chat.completions.create(
                model=MODELS[kind], messages=HELLO, logprobs=True, stream=True
            )
        )
        tokens = [
            one.token
            for chunk in chunks
            for choice in chunk.choices
            if choice.logprobs
            for one in choice.logprobs.content or []
        ]
        assert "".join(tokens) == text_of(chunks)

    def test_usage_is_asked_for_upstream_whatever_the_caller_says(
        self, customer: Customer, providers: Simulator, kind: str
    ) -> None:
        list(customer.sync.chat.completions.create(model=MODELS[kind], messages=HELLO, stream=True))
        assert arrived(providers)["stream_options"]["include_usage"] is True

    def test_a_picture_arrives_byte_for_byte(
        self, customer: Customer, providers: Simulator, kind: str
    ) -> None:
        answer = customer.sync.chat.completions.create(model=MODELS[kind], messages=LOOK)
        assert arrived(providers)["messages"] == LOOK
        assert answer.usage is not None
        assert answer.usage.prompt_tokens > 85


class TestUnknownParameters:
    def test_a_compatible_server_gets_what_only_it_knows(
        self, customer: Customer, providers: Simulator
    ) -> None:
        known_there = {"top_k": 40, "repetition_penalty": 1.1, "provider": {"order": ["a"]}}
        customer.sync.chat.completions.create(
            model=MODELS["openai_compatible"], messages=HELLO, extra_body=known_there
        )
        came = arrived(providers)
        assert {name: came.get(name) for name in known_there} == known_there

    def test_openai_itself_answers_for_what_it_does_not_know(
        self, customer: Customer, providers: Simulator
    ) -> None:
        with pytest.raises(openai.BadRequestError, match="top_k"):
            customer.sync.chat.completions.create(
                model=MODELS["openai"], messages=HELLO, extra_body={"top_k": 40}
            )
        assert arrived(providers)["top_k"] == 40
        assert [row["sale"] for row in customer.usage()] == ["0.00"]

    def test_where_we_translate_it_is_refused_by_name(self, customer: Customer, providers: Simulator) -> None:
        before = providers.log.requests_total
        with pytest.raises(openai.UnprocessableEntityError) as caught:
            customer.sync.chat.completions.create(
                model=MODELS["anthropic"], messages=HELLO, extra_body={"top_k": 40}
            )
        assert caught.value.code == "unsupported_parameter"
        assert caught.value.param == "top_k"
        assert "top_k" in caught.value.message
        assert providers.log.requests_total == before


class TestTranslation:
    def test_common_parameters_arrive_in_anthropics_words(
        self, customer: Customer, providers: Simulator
    ) -> None:
        messages: list[Any] = [
            {"role": "system", "content": "Be brief."},
            {"role": "developer", "content": "Be kind."},
            *HELLO,
        ]
        customer.sync.chat.completions.create(
            model=MODELS["anthropic"],
            messages=messages,
            max_completion_tokens=77,
            temperature=0.5,
            stop=["END"],
            user="user-17",
            metadata={"order": "17"},
            n=1,
        )
        came = arrived(providers)
        assert came["model"] == "claude-sonnet-4-5"
        assert came["max_tokens"] == 77
        assert came["temperature"] == 0.5
        assert came["stop_sequences"] == ["END"]
        assert came["metadata"] == {"user_id": "user-17"}
        assert [block["text"] for block in came["system"]] == ["Be brief.", "Be kind."]
        assert [message["role"] for message in came["messages"]] == ["user"]
        assert not {"n", "stop", "user", "max_completion_tokens"} & set(came)

    def test_a_picture_becomes_an_image_block(self, customer: Customer, providers: Simulator) -> None:
        answer = customer.sync.chat.completions.create(model=MODELS["anthropic"], messages=LOOK)
        [_, image] = arrived(providers)["messages"][0]["content"]
        assert image == {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/png", "data": PICTURE},
        }
        assert answer.choices[0].message.content

    @pytest.mark.parametrize(
        ("wanted", "param"),
        [
            ({"n": 2}, "n"),
            ({"seed": 7}, "seed"),
            ({"logprobs": True}, "logprobs"),
            ({"frequency_penalty": 1}, "frequency_penalty"),
            ({"logit_bias": {"5": 1}}, "logit_bias"),
            ({"store": True}, "store"),
            ({"response_format": {"type": "json_object"}}, "response_format.type"),
        ],
        ids=lambda one: one if isinstance(one, str) else "",
    )
    def test_what_anthropic_cannot_do_is_refused_by_name_and_free(
        self, customer: Customer, wanted: Any, param: str
    ) -> None:
        with pytest.raises(openai.UnprocessableEntityError) as caught:
            customer.sync.chat.completions.create(model=MODELS["anthropic"], messages=HELLO, **wanted)
        assert caught.value.code == "unsupported_parameter"
        assert caught.value.param == param
        wallet = customer.wallet()
        assert wallet["balance"] == "100.00"

    def test_a_stop_sequence_ends_the_answer(self, customer: Customer) -> None:
        asked: list[Any] = [{"role": "user", "content": '[[sim: text="one two three four"]]'}]
        for kind in MODELS:
            answer = customer.sync.chat.completions.create(
                model=MODELS[kind], messages=asked, stop=[" three"]
            )
            assert answer.choices[0].message.content == "one two"
            assert answer.choices[0].finish_reason == "stop"


class TestReasoning:
    def test_openai_gets_the_effort_and_reports_the_tokens(
        self, customer: Customer, providers: Simulator
    ) -> None:
        answer = customer.sync.chat.completions.create(
            model="gpt-5-mini", messages=HELLO, reasoning_effort="high"
        )
        assert arrived(providers)["reasoning_effort"] == "high"
        assert answer.usage is not None
        assert answer.usage.completion_tokens_details is not None
        [row] = customer.usage()
        assert (
            row["quantities"]["out_reasoning"]
            == answer.usage.completion_tokens_details.reasoning_tokens
            == 256
        )
        assert row["output_tokens"] == answer.usage.completion_tokens

    @pytest.mark.parametrize(
        ("model", "thinking"),
        [
            ("claude-sonnet-4-5", {"type": "enabled", "budget_tokens": 6400}),
            ("claude-opus-4-6", {"type": "adaptive", "display": "summarized"}),
        ],
    )
    def test_anthropic_thinks_and_its_thoughts_can_go_back(
        self, customer: Customer, providers: Simulator, model: str, thinking: dict[str, Any]
    ) -> None:
        first = customer.sync.chat.completions.create(
            model=model, messages=HELLO, reasoning_effort="high", max_tokens=8000
        )
        assert arrived(providers)["thinking"] == thinking
        message = first.choices[0].message
        told = message.model_extra or {}
        assert told["reasoning_content"]
        assert told["thinking_blocks"][0]["signature"]
        back: list[Any] = [*HELLO, message.to_dict(), {"role": "user", "content": "And now?"}]
        customer.sync.chat.completions.create(
            model=model, messages=back, reasoning_effort="high", max_tokens=8000
        )
        assert arrived(providers)["messages"][1]["content"][0]["type"] == "thinking"

    def test_the_stream_helper_keeps_whole_thoughts(self, customer: Customer) -> None:
        with customer.sync.chat.completions.stream(
            model=MODELS["anthropic"], messages=HELLO, reasoning_effort="high", max_tokens=8000
        ) as stream:
            final = stream.get_final_completion()
        told = final.choices[0].message.model_extra or {}
        assert told["reasoning_content"] == told["thinking_blocks"][0]["thinking"]
        assert final.choices[0].message.content


class TestWhoAsked:
    @pytest.mark.parametrize("kind", MODELS)
    def test_the_end_user_is_in_the_books(self, customer: Customer, kind: str) -> None:
        customer.sync.chat.completions.create(model=MODELS[kind], messages=HELLO, user="user-17")
        assert [row["end_user"] for row in customer.usage()] == ["user-17"]
