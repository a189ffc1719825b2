"""What goes wrong, as the official client tells it: the class, the code, what it names, what it costs."""

import asyncio
import re
import time
from decimal import Decimal
from typing import Any

import httpx2
import openai
import pytest
from operator_client import MODELS, Customer, NewCustomer
from test_answers import HELLO

from bursar.simulator import Simulator

RETIRED = "claude-3-opus-20240229"
SUCCESSOR = "claude-opus-5-5"


def said(error: openai.APIStatusError) -> dict[str, Any]:
    """The error object of the answer."""
    assert isinstance(error.body, dict)
    return error.body


def faulty(script: str) -> list[Any]:
    return [{"role": "user", "content": f"Say hello. [[sim: {script}]]"}]


class TestKeys:
    def test_an_unknown_key_is_refused(self, customer: Customer) -> None:
        stranger = customer.sync.with_options(api_key="llm_sk_" + "x" * 40)
        with pytest.raises(openai.AuthenticationError) as caught:
            stranger.chat.completions.create(model=MODELS["openai"], messages=HELLO)
        assert caught.value.code == "invalid_api_key"
        assert caught.value.type == "authentication_error"
        assert caught.value.request_id

    def test_a_key_in_x_api_key_opens_as_well(self, customer: Customer) -> None:
        answer = httpx2.post(
            f"{customer.base_url}/chat/completions",
            headers={"x-api-key": customer.key},
            json={"model": MODELS["openai"], "messages": HELLO},
            timeout=30,
        )
        assert answer.status_code == 200
        assert answer.json()["choices"][0]["message"]["content"]

    def test_the_official_client_can_send_it_there(self, customer: Customer) -> None:
        headers: Any = {"X-API-Key": customer.key, "Authorization": openai.Omit()}
        assert customer.sync.models.list(extra_headers=headers).data

    def test_a_revoked_key_stops(self, customer: Customer) -> None:
        path = f"/organisations/{customer.organisation_id}/keys"
        [key] = customer.operator.get(path)["items"]
        customer.operator.post(f"{path}/{key['id']}/revoke", {})

        def ask_on() -> None:
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline:
                customer.sync.models.list()

        with pytest.raises(openai.AuthenticationError):
            ask_on()

    def test_a_model_that_is_not_on_the_keys_list_is_refused(self, new_customer: NewCustomer) -> None:
        narrow = new_customer(allowed_models=["claude-*"])
        with pytest.raises(openai.PermissionDeniedError) as caught:
            narrow.sync.chat.completions.create(model=MODELS["openai"], messages=HELLO)
        assert caught.value.code == "model_not_allowed"
        assert caught.value.param == "model"
        answer = narrow.sync.chat.completions.create(model=MODELS["anthropic"], messages=HELLO)
        assert answer.choices[0].message.content
        assert all(model.id.startswith("claude-") for model in narrow.sync.models.list())


class TestModels:
    def test_the_list_holds_what_can_be_called_and_nothing_retired(self, customer: Customer) -> None:
        listed = {model.id: model for model in customer.sync.models.list()}
        assert set(MODELS.values()) <= set(listed)
        assert RETIRED not in listed
        assert listed["gpt-4o-mini"].object == "model"
        assert listed["gpt-4o-mini"].owned_by == "openai"
        assert "claude-haiku-4-5-20251001" in listed  # an alias

    async def test_one_model_can_be_looked_at(self, customer: Customer) -> None:
        model = await customer.aio.models.retrieve("claude-sonnet-4-5")
        assert (model.id, model.owned_by) == ("claude-sonnet-4-5", "anthropic")
        assert model.created > 0

    def test_an_alias_answers_as_its_model(self, customer: Customer) -> None:
        customer.sync.chat.completions.create(model="claude-haiku-4-5-20251001", messages=HELLO)
        assert [row["model"] for row in customer.usage()] == ["claude-haiku-4-5"]

    def test_a_retired_model_names_its_successor(self, customer: Customer) -> None:
        with pytest.raises(openai.NotFoundError) as caught:
            customer.sync.chat.completions.create(model=RETIRED, messages=HELLO)
        assert caught.value.code == "model_not_found"
        assert caught.value.param == "model"
        assert said(caught.value)["successor"] == SUCCESSOR
        assert SUCCESSOR in caught.value.message
        answer = customer.sync.chat.completions.create(model=SUCCESSOR, messages=HELLO)
        assert answer.choices

    def test_looking_at_a_retired_model_names_its_successor_too(self, customer: Customer) -> None:
        with pytest.raises(openai.NotFoundError) as caught:
            customer.sync.models.retrieve(RETIRED)
        assert said(caught.value)["successor"] == SUCCESSOR

    def test_an_unknown_model_is_not_found(self, customer: Customer) -> None:
        for call in (
            lambda: customer.sync.models.retrieve("gpt-99"),
            lambda: customer.sync.chat.completions.create(model="gpt-99", messages=HELLO),
        ):
            with pytest.raises(openai.NotFoundError) as caught:
                call()
            assert caught.value.code == "model_not_found"

    def test_an_unknown_address_is_not_found(self, customer: Customer) -> None:
        with pytest.raises(openai.NotFoundError) as caught:
            customer.sync.moderations.create(input="Hello")
        assert caught.value.code == "unknown_url"


class TestLimits:
    def test_a_key_that_calls_too_often_is_told_when_to_come_back(self, new_customer: NewCustomer) -> None:
        slow = new_customer(requests_per_minute=3)

        def ask_often() -> None:
            for _ in range(10):
                slow.sync.chat.completions.create(model=MODELS["openai"], messages=HELLO)

        with pytest.raises(openai.RateLimitError) as caught:
            ask_often()
        assert caught.value.code == "rate_limit_exceeded"
        assert 1 <= int(caught.value.response.headers["retry-after"]) <= 60
        assert len(slow.usage()) <= 3

    def test_the_official_client_waits_and_gets_through(self, new_customer: NewCustomer) -> None:
        slow = new_customer(requests_per_minute=60)
        patient = slow.sync.with_options(max_retries=8)
        answers = [
            patient.chat.completions.create(model=MODELS["openai"], messages=HELLO, max_tokens=5)
            for _ in range(3)
        ]
        assert len(slow.usage()) == len(answers)


class TestMoney:
    def test_an_empty_wallet_is_told_the_figures(
        self, new_customer: NewCustomer, providers: Simulator
    ) -> None:
        poor = new_customer(balance="0")
        before = providers.log.requests_total
        with pytest.raises(openai.APIStatusError) as caught:
            poor.sync.chat.completions.create(model=MODELS["openai"], messages=HELLO)
        assert caught.value.status_code == 402
        told = said(caught.value)
        assert told["code"] == "insufficient_balance"
        assert told["type"] == "insufficient_quota"
        assert Decimal(told["spendable"]) == 0
        assert Decimal(told["estimate"]) > 0
        assert told["currency"] == "USD"
        assert providers.log.requests_total == before

    @pytest.mark.parametrize("stream", [False, True])
    def test_a_bound_that_the_wallet_cannot_cover_is_refused(
        self, new_customer: NewCustomer, *, stream: bool
    ) -> None:
        poor = new_customer(balance="0.001")
        with pytest.raises(openai.APIStatusError) as caught:
            poor.sync.chat.completions.create(
                model=MODELS["anthropic"], messages=HELLO, max_tokens=4000, stream=stream
            )
        told = said(caught.value)
        assert (caught.value.status_code, told["code"]) == (402, "insufficient_balance")
        assert Decimal(told["spendable"]) == Decimal("0.001")
        assert Decimal(told["estimate"]) >= Decimal("0.072")  # 4000 tokens at USD 18 per million
        assert poor.wallet()["balance"] == "0.001"

    def test_a_bound_that_nobody_set_is_set_to_what_the_wallet_covers(
        self, new_customer: NewCustomer, providers: Simulator
    ) -> None:
        poor = new_customer(balance="0.001")
        poor.sync.chat.completions.create(
            model=MODELS["openai_compatible"], messages=faulty("output_tokens=4000")
        )
        sent = providers.log.exchanges[-1].body
        bound = re.search(rb'"max_tokens":(\d+)', sent)
        assert bound is not None
        assert 16 <= int(bound[1]) <= 347  # USD 0.001 at USD 2.88 per million
        assert Decimal(poor.wallet()["balance"]) >= 0


class TestBadRequests:
    @pytest.mark.parametrize(
        ("body", "param"),
        [
            ({"messages": HELLO}, "model"),
            ({"model": "gpt-4o-mini"}, "messages"),
            ({"model": 5, "messages": HELLO}, "model"),
            ({"model": "gpt-4o-mini", "messages": []}, "messages"),
            ({"model": "gpt-4o-mini", "messages": HELLO, "temperature": "hot"}, "temperature"),
            ({"model": "gpt-4o-mini", "messages": HELLO, "max_tokens": -1}, "max_tokens"),
            ({"model": "gpt-4o-mini", "messages": HELLO, "n": 1.5}, "n"),
        ],
        ids=lambda one: one if isinstance(one, str) else "",
    )
    def test_a_wrong_body_is_unprocessable_and_names_the_property(
        self, customer: Customer, body: dict[str, Any], param: str
    ) -> None:
        with pytest.raises(openai.UnprocessableEntityError) as caught:
            customer.sync.post("/chat/completions", body=body, cast_to=object)
        assert caught.value.param == param
        assert param in caught.value.message

    def test_bad_json_is_unprocessable(self, customer: Customer) -> None:
        answer = httpx2.post(
            f"{customer.base_url}/chat/completions",
            headers={"authorization": f"Bearer {customer.key}", "content-type": "application/json"},
            content=b'{"model": "gpt-4o-mini",',
            timeout=30,
        )
        assert answer.status_code == 422
        assert answer.json()["error"]["code"] == "invalid_json"

    def test_what_the_provider_refuses_is_told_and_free(self, customer: Customer) -> None:
        with pytest.raises(openai.BadRequestError) as caught:
            customer.sync.chat.completions.create(
                model=MODELS["openai"], messages=HELLO, response_format={"type": "json_object"}
            )
        assert "json" in caught.value.message
        assert customer.wallet()["balance"] == "100.00"

    def test_an_error_comes_before_a_stream_begins(self, customer: Customer) -> None:
        for kind in MODELS:
            with pytest.raises(openai.APIStatusError) as caught:
                customer.sync.chat.completions.create(
                    model=MODELS[kind], messages=faulty("status=400"), stream=True
                )
            assert caught.value.status_code == 400


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
class TestProviderFailures:
    @pytest.mark.parametrize(
        ("script", "status", "code"),
        [
            ("status=500", 502, "provider_error"),
            ("status=503 retry_after=7", 503, "provider_overloaded"),
            ("status=429 retry_after=7", 503, "provider_rate_limited"),
            ("status=401", 502, "provider_error"),
            ("billing", 502, "provider_error"),
            ("status=500 html", 502, "provider_error"),
            ("rst", 502, "provider_error"),
            ("garbage", 502, "provider_error"),
        ],
    )
    def test_it_is_an_internal_server_error_and_free(  # noqa: PLR0913 - one row of the table above
        self, customer: Customer, kind: str, script: str, status: int, code: str, *, stream: bool
    ) -> None:
        model = customer.until_offered(customer.operator.new_model(kind))
        with pytest.raises(openai.InternalServerError) as caught:
            customer.sync.chat.completions.create(model=model, messages=faulty(script), stream=stream)
        error = caught.value
        assert (error.status_code, error.code) == (status, code)
        assert "127.0.0.1" not in str(error.body)
        assert "sk-" not in str(error.body)
        if "retry_after" in script:
            assert error.response.headers["retry-after"] == "7"
        assert customer.wallet()["balance"] == "100.00"
        assert {row["outcome"] for row in customer.usage()} == {"provider_error_before_output"}


@pytest.mark.parametrize("kind", MODELS)
class TestBrokenStreams:
    @pytest.mark.parametrize("script", ["cut_after_events=8", "error_event_after=8", "rst_after_events=8"])
    def test_an_error_ends_the_iteration_and_what_came_is_paid(
        self, customer: Customer, kind: str, script: str
    ) -> None:
        came: list[Any] = []
        model = customer.until_offered(customer.operator.new_model(kind))
        stream = customer.sync.chat.completions.create(
            model=model, messages=faulty(f"{script} output_tokens=40"), stream=True
        )
        with pytest.raises(openai.APIError) as caught:
            came.extend(stream)
        assert caught.value.code in {"provider_error", "provider_overloaded"}
        assert came
        [row] = customer.usage()
        assert row["outcome"] == "provider_error_after_output"
        assert row["estimated"] is True
        assert 0 < row["output_tokens"] < 40
        assert Decimal(row["sale"]) > 0


@pytest.mark.parametrize("kind", MODELS)
class TestImpatience:
    def test_the_clients_time_out_frees_what_was_held(self, customer: Customer, kind: str) -> None:
        hasty = customer.sync.with_options(timeout=0.3)
        with pytest.raises(openai.APITimeoutError):
            hasty.chat.completions.create(model=MODELS[kind], messages=faulty("silence_before_headers"))
        self._assert_left(customer, "hangup_before_output")

    async def test_a_cancelled_call_frees_what_was_held(self, customer: Customer, kind: str) -> None:
        calling = asyncio.create_task(
            customer.aio.chat.completions.create(model=MODELS[kind], messages=faulty("delay_ms=20000"))
        )
        await asyncio.sleep(0.3)
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
        self._assert_left(customer, "hangup_before_output")

    async def test_a_stream_left_midway_costs_what_was_delivered(self, customer: Customer, kind: str) -> None:
        stream = await customer.aio.chat.completions.create(
            model=MODELS[kind], messages=faulty("slow_ms_per_event=20 output_tokens=2000"), stream=True
        )
        came = 0
        async for _ in stream:
            came += 1
            if came == 10:
                break
        await stream.close()
        row = self._assert_left(customer, "hangup_midstream")
        assert 0 < row["output_tokens"] < 200
        assert Decimal(row["sale"]) > 0

    @staticmethod
    def _assert_left(customer: Customer, outcome: str) -> dict[str, Any]:
        deadline = time.monotonic() + 20
        while not (rows := customer.usage()):
            assert time.monotonic() < deadline, "nothing was booked"
            time.sleep(0.02)
        [row] = rows
        assert row["outcome"] == outcome
        assert customer.wallet()["balance"] == str(Decimal("100.00") - Decimal(row["sale"]))
        return row
