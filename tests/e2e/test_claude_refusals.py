"""What goes wrong, as Anthropic's official client tells it: the class, the type and our code."""

from typing import Any

import anthropic
import httpx2
import pytest
from claude_clients import claude_client, text_of
from operator_client import MODELS, Customer, NewCustomer

# The client knows when each model is to end; the simulated one goes on.
pytestmark = pytest.mark.filterwarnings("ignore:The model .* is deprecated:DeprecationWarning")

HELLO: list[Any] = [{"role": "user", "content": "Say hello to the world."}]
UNKNOWN_KEY = "llm_sk_" + "x" * 40


def asked(kind: str, **more: Any) -> dict[str, Any]:
    return {"model": MODELS[kind], "max_tokens": 200, "messages": HELLO, **more}


def said(error: anthropic.APIStatusError) -> dict[str, Any]:
    """The error object; what must be in every refusal is looked at on the way."""
    body: Any = error.body
    assert (body["type"], body["request_id"]) == ("error", error.request_id)
    assert error.request_id
    told = body["error"]
    assert told["message"]
    assert isinstance(told, dict)
    return told


def refused(customer: Customer, kind: type[Any] = anthropic.APIStatusError, **wanted: Any) -> dict[str, Any]:
    with claude_client(customer) as client, pytest.raises(kind) as raised:
        client.messages.create(**wanted)
    return said(raised.value)


def faulty(script: str) -> list[Any]:
    return [{"role": "user", "content": f"Say hello. [[sim: {script}]]"}]


class TestKeys:
    @pytest.mark.parametrize("options", [{"api_key": UNKNOWN_KEY}, {"auth_token": UNKNOWN_KEY}])
    def test_an_unknown_one_is_refused(self, customer: Customer, options: dict[str, str]) -> None:
        with (
            anthropic.Anthropic(base_url=customer.address, max_retries=0, **options) as client,  # type: ignore[arg-type]  # one of two strings
            pytest.raises(anthropic.AuthenticationError) as raised,
        ):
            client.messages.create(**asked("anthropic"))
        told = said(raised.value)
        assert (told["type"], told["code"]) == ("authentication_error", "invalid_api_key")

    def test_one_as_a_bearer_token_opens_as_well(self, customer: Customer) -> None:
        with anthropic.Anthropic(auth_token=customer.key, base_url=customer.address) as client:
            assert text_of(client.messages.create(**asked("anthropic")))

    def test_a_model_that_is_not_on_its_list_is_refused(self, new_customer: NewCustomer) -> None:
        narrow = new_customer(allowed_models=["claude-*"])
        told = refused(narrow, anthropic.PermissionDeniedError, **asked("openai"))
        assert (told["type"], told["code"], told["param"]) == (
            "permission_error",
            "model_not_allowed",
            "model",
        )

    def test_one_that_calls_too_often_is_told_when_to_come_back(self, new_customer: NewCustomer) -> None:
        busy = new_customer(requests_per_minute=3)

        def ask_on() -> None:
            with claude_client(busy) as client:
                for _ in range(10):
                    client.messages.create(**asked("anthropic"))

        with pytest.raises(anthropic.RateLimitError) as raised:
            ask_on()
        assert said(raised.value)["type"] == "rate_limit_error"
        assert int(raised.value.response.headers["retry-after"]) >= 1


class TestMoney:
    @pytest.mark.parametrize("kind", MODELS)
    def test_an_empty_wallet_is_told_the_figures(self, new_customer: NewCustomer, kind: str) -> None:
        told = refused(new_customer(balance="0"), anthropic.PaymentRequiredError, **asked(kind))
        assert (told["type"], told["code"]) == ("billing_error", "insufficient_balance")
        assert (told["spendable"], told["currency"]) == ("0.00", "USD")


class TestRequests:
    def test_an_unknown_model_is_not_found(self, customer: Customer) -> None:
        told = refused(
            customer, anthropic.NotFoundError, model="claude-nothing", max_tokens=9, messages=HELLO
        )
        assert (told["type"], told["code"]) == ("not_found_error", "model_not_found")

    @pytest.mark.parametrize("kind", MODELS)
    @pytest.mark.parametrize(
        ("wrong", "param"),
        [
            ({"messages": []}, "messages"),
            ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "messages.0.content.0.source"),
            ({"max_tokens": -1}, "max_tokens"),
            ({"tool_choice": "auto"}, "tool_choice"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_a_wrong_one_names_the_property(
        self, customer: Customer, kind: str, wrong: dict[str, Any], param: str
    ) -> None:
        told = refused(customer, anthropic.UnprocessableEntityError, **asked(kind, **wrong))
        assert (told["type"], told["param"]) == ("invalid_request_error", param)
        assert customer.usage() == []

    def test_bad_json_is_unprocessable(self, customer: Customer) -> None:
        answer = httpx2.post(
            f"{customer.base_url}/messages", content=b"{", headers={"x-api-key": customer.key}, timeout=30
        )
        assert answer.status_code == 422
        assert answer.json()["error"]["code"] == "invalid_json"

    def test_speak_the_callers_language(self, customer: Customer) -> None:
        with (
            claude_client(customer, default_headers={"accept-language": "ko"}) as client,
            pytest.raises(anthropic.NotFoundError) as raised,
        ):
            client.messages.create(model="claude-nothing", max_tokens=9, messages=HELLO)
        assert any("가" <= letter <= "힣" for letter in said(raised.value)["message"])

    @pytest.mark.parametrize("kind", MODELS)
    def test_what_the_provider_refuses_is_told_and_free(self, customer: Customer, kind: str) -> None:
        twice = {"name": "f", "input_schema": {"type": "object", "properties": {}}}
        told = refused(
            customer, anthropic.BadRequestError, **asked(kind, messages=faulty("status=400"), tools=[twice])
        )
        assert told["type"] == "invalid_request_error"
        assert [row["sale"] for row in customer.usage()] in (["0.00"], [])
