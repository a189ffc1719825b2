"""What clients do now and then: old forms, big bodies, names with slashes, answers that end early."""

import asyncio
import subprocess
from decimal import Decimal
from typing import Any

import httpx2
import openai
import orjson
import pytest
from operator_client import MODELS, Customer, NewCustomer, Operator
from pydantic import BaseModel
from test_answers import HELLO, WITH_USAGE
from test_parameters import arrived
from test_tools import ASK_WEATHER, WEATHER

from bursar.simulator import Simulator

MEGABYTE = 1024 * 1024


class Verdict(BaseModel):
    verdict: str


def scripted(script: str) -> list[Any]:
    return [{"role": "user", "content": f"Say hello. [[sim: {script}]]"}]


@pytest.mark.parametrize("kind", MODELS)
class TestOldForms:
    FUNCTION = WEATHER["function"]

    def test_functions_are_called_as_they_used_to_be(self, customer: Customer, kind: str) -> None:
        answer = customer.sync.chat.completions.create(
            model=MODELS[kind], messages=ASK_WEATHER, functions=[self.FUNCTION]
        )
        assert answer.choices[0].finish_reason == "function_call"
        call = answer.choices[0].message.function_call
        assert call is not None
        assert call.name == "get_weather"
        assert "city" in orjson.loads(call.arguments)
        back: list[Any] = [
            *ASK_WEATHER,
            answer.choices[0].message.to_dict(),
            {"role": "function", "name": "get_weather", "content": "sunny and warm"},
        ]
        second = customer.sync.chat.completions.create(
            model=MODELS[kind], messages=back, functions=[self.FUNCTION]
        )
        assert "sunny and warm" in (second.choices[0].message.content or "")

    def test_functions_stream_as_they_used_to(self, customer: Customer, kind: str) -> None:
        chunks = list(
            customer.sync.chat.completions.create(
                model=MODELS[kind], messages=ASK_WEATHER, functions=[self.FUNCTION], stream=True
            )
        )
        calls = [c.choices[0].delta.function_call for c in chunks if c.choices[0].delta.function_call]
        assert calls[0].name == "get_weather"
        assert "city" in orjson.loads("".join(call.arguments or "" for call in calls))
        assert chunks[-1].choices[0].finish_reason == "function_call"

    def test_content_may_come_in_parts(self, customer: Customer, kind: str) -> None:
        parts: list[Any] = [{"type": "text", "text": "Say"}, {"type": "text", "text": "hello."}]
        messages: list[Any] = [
            {"role": "system", "content": [{"type": "text", "text": "Be brief."}]},
            {"role": "user", "content": parts},
            {"role": "assistant", "content": [{"type": "text", "text": "Hello."}]},
            {"role": "user", "content": parts},
        ]
        answer = customer.sync.chat.completions.create(model=MODELS[kind], messages=messages)
        assert answer.choices[0].message.content


@pytest.mark.parametrize("kind", MODELS)
class TestEndsOfAnswers:
    def test_the_parse_helper_tells_an_answer_cut_for_length(self, customer: Customer, kind: str) -> None:
        with pytest.raises(openai.LengthFinishReasonError):
            customer.sync.chat.completions.parse(
                model=MODELS[kind], messages=HELLO, response_format=Verdict, max_tokens=2
            )

    def test_the_parse_helper_tells_a_filtered_answer(self, customer: Customer, kind: str) -> None:
        with pytest.raises(openai.ContentFilterFinishReasonError):
            customer.sync.chat.completions.parse(
                model=MODELS[kind], messages=scripted("content_filter"), response_format=Verdict
            )
        [row] = customer.usage()
        assert row["outcome"] == "content_filtered"

    @pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
    def test_a_provider_that_reports_nothing_is_estimated_for(
        self, customer: Customer, kind: str, *, stream: bool
    ) -> None:
        script = scripted("no_usage output_tokens=40")
        answer: Any = customer.sync.chat.completions.create(
            model=MODELS[kind], messages=script, stream=stream, extra_body=self._options(stream=stream)
        )
        told = list(answer)[-1].usage if stream else None
        [row] = customer.usage()
        assert (row["outcome"], row["estimated"]) == ("usage_missing", True)
        assert row["output_tokens"] > 0
        assert Decimal(row["sale"]) > 0
        if told is not None:
            assert told.completion_tokens == row["output_tokens"]
            assert told.model_extra["cost"] == row["sale"]

    @pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
    def test_a_provider_that_reports_zero_is_taken_at_its_word(
        self, customer: Customer, kind: str, *, stream: bool
    ) -> None:
        answer: Any = customer.sync.chat.completions.create(
            model=MODELS[kind],
            messages=scripted("zero_usage"),
            stream=stream,
            extra_body=self._options(stream=stream),
        )
        usage = list(answer)[-1].usage if stream else answer.usage
        assert usage.total_tokens == 0
        [row] = customer.usage()
        assert (row["outcome"], row["sale"], row["cost"]) == ("usage_zero", "0.00", "0.00")
        assert customer.wallet()["balance"] == "100.00"

    @staticmethod
    def _options(*, stream: bool) -> dict[str, Any]:
        return {"stream_options": WITH_USAGE} if stream else {}


class TestCachedInput:
    LONG: Any = "All work and no play makes Jack a dull boy. " * 400

    def test_a_marked_prefix_is_written_once_and_read_cheaper(self, customer: Customer) -> None:
        prefix = {
            "type": "text",
            "text": self.LONG + customer.key,
            "prompt_cache_breakpoint": {"mode": "explicit"},
        }
        messages: list[Any] = [{"role": "system", "content": [prefix]}, *HELLO]
        answers = [
            customer.sync.chat.completions.create(model=MODELS["anthropic"], messages=messages)
            for _ in range(2)
        ]
        first, second = (answer.usage for answer in answers)
        assert first is not None
        assert second is not None
        assert first.prompt_tokens == second.prompt_tokens
        assert second.prompt_tokens_details is not None
        rows = customer.usage()
        assert rows[0]["quantities"]["cache_write_5m"] == rows[1]["quantities"]["cache_read"]
        assert second.prompt_tokens_details.cached_tokens == rows[1]["quantities"]["cache_read"] > 1024
        assert Decimal(rows[1]["sale"]) < Decimal(rows[0]["sale"])

    def test_openais_own_cache_is_read_cheaper(self, customer: Customer) -> None:
        messages: list[Any] = [{"role": "system", "content": self.LONG + customer.key}, *HELLO]
        for _ in range(2):
            customer.sync.chat.completions.create(model=MODELS["openai"], messages=messages)
        rows = customer.usage()
        assert "cache_read" not in rows[0]["quantities"]
        assert rows[1]["quantities"]["cache_read"] > 1024
        assert rows[1]["input_tokens"] == rows[0]["input_tokens"]
        assert Decimal(rows[1]["sale"]) < Decimal(rows[0]["sale"])


class TestBodies:
    def test_ten_megabytes_of_picture_pass(self, customer: Customer, providers: Simulator) -> None:
        url = "data:image/png;base64," + "A" * (10 * MEGABYTE)
        messages: list[Any] = [
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}
        ]
        answer = customer.sync.chat.completions.create(
            model=MODELS["openai_compatible"], messages=messages, max_tokens=20
        )
        assert answer.choices[0].message.content
        assert providers.log.exchanges[-1].body_bytes > 10 * MEGABYTE

    def test_a_body_may_come_in_chunks_of_unknown_length(self, customer: Customer) -> None:
        body = orjson.dumps({"model": MODELS["openai"], "messages": HELLO})
        answer = httpx2.post(
            f"{customer.base_url}/chat/completions",
            headers={"authorization": f"Bearer {customer.key}", "content-type": "application/json"},
            content=(body[at : at + 7] for at in range(0, len(body), 7)),
            timeout=30,
        )
        assert answer.status_code == 200, answer.text

    def test_curl_need_not_wait_before_a_big_body(self, customer: Customer) -> None:
        text = "word " * (MEGABYTE // 2)
        body = orjson.dumps(
            {"model": MODELS["openai_compatible"], "messages": [{"role": "user", "content": text}]}
        )
        words = ["curl", "-sS", "--max-time", "30", f"{customer.base_url}/chat/completions"]
        words += ["-H", f"Authorization: Bearer {customer.key}", "-H", "Content-Type: application/json"]
        words += ["-H", "Expect: 100-continue", "--expect100-timeout", "120", "--data-binary", "@-"]
        done = subprocess.run(words, input=body, capture_output=True, check=True, timeout=40)
        assert orjson.loads(done.stdout)["object"] == "chat.completion"

    def test_a_body_above_the_limit_is_refused(self, customer: Customer) -> None:
        answer = httpx2.post(
            f"{customer.base_url}/chat/completions",
            headers={"authorization": f"Bearer {customer.key}"},
            content=b"x" * (100 * MEGABYTE + 1),
            timeout=60,
        )
        assert answer.status_code == 413
        assert answer.json()["error"]["code"] == "request_too_large"


class TestNames:
    NAME = "meta-llama/Llama-3.3-70B:free"

    def test_a_model_may_have_a_slash_in_its_name(
        self, operator: Operator, new_customer: NewCustomer, providers: Simulator
    ) -> None:
        operator.post("/models", {"id": self.NAME, "aliases": ["llama/latest"]})
        operator.post(
            "/routes",
            {
                "model_id": self.NAME,
                "provider_id": operator.provider_ids["openai_compatible"],
                "provider_model": MODELS["openai_compatible"],
            },
        )
        customer = new_customer(allowed_models=[self.NAME])
        assert customer.sync.models.retrieve(self.NAME).id == self.NAME
        answer = customer.sync.chat.completions.create(model="llama/latest", messages=HELLO)
        assert answer.choices[0].message.content
        assert arrived(providers)["model"] == MODELS["openai_compatible"]
        [row] = customer.usage()
        assert row["model"] == self.NAME

    def test_odd_names_are_plainly_refused(self, customer: Customer) -> None:
        for name in ("../../api/v1/organisations", "gpt-4o-mini\u0000", "x" * 300, "%2e%2e/usage"):
            with pytest.raises(openai.APIStatusError) as caught:
                customer.sync.chat.completions.create(model=name, messages=HELLO)
            assert caught.value.status_code in {404, 422}


class TestManyKeys:
    async def test_customers_at_once_pay_each_his_own(self, new_customer: NewCustomer) -> None:
        customers = [new_customer() for _ in range(4)]
        await asyncio.gather(
            *(
                customer.aio.chat.completions.create(
                    model=MODELS["openai"], messages=scripted(f"output_tokens={10 * (number + 1)}")
                )
                for number, customer in enumerate(customers)
                for _ in range(5)
            )
        )
        for number, customer in enumerate(customers):
            rows = customer.usage()
            assert [row["output_tokens"] for row in rows] == [10 * (number + 1)] * 5
            spent = sum(Decimal(row["sale"]) for row in rows)
            assert Decimal(customer.wallet()["balance"]) == 100 - spent
