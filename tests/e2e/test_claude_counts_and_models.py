"""Counting tokens and listing models with Anthropic's official client, at every type of provider."""

from typing import Any

import anthropic
import httpx2
import pytest
from claude_clients import async_claude_client, claude_client
from operator_client import MODELS, Customer, NewCustomer

# The client knows when each model is to end; the simulated one goes on.
pytestmark = pytest.mark.filterwarnings("ignore:The model .* is deprecated:DeprecationWarning")

HELLO: list[Any] = [{"role": "user", "content": "Say hello to the world."}]
TOOL: Any = {"name": "get_weather", "input_schema": {"type": "object", "properties": {}}}


class TestCounts:
    def test_come_from_anthropic_for_its_models(self, customer: Customer) -> None:
        with claude_client(customer) as client:
            asked: dict[str, Any] = {"model": MODELS["anthropic"], "messages": HELLO, "tools": [TOOL]}
            counted = client.messages.count_tokens(**asked)
            message = client.messages.create(**asked, max_tokens=20)
        assert counted.input_tokens == message.usage.input_tokens
        assert counted.to_dict() == {"input_tokens": counted.input_tokens}

    @pytest.mark.parametrize("kind", ["openai", "openai_compatible"])
    def test_are_estimates_on_the_high_side_for_others(self, customer: Customer, kind: str) -> None:
        with claude_client(customer) as client:
            counted = client.messages.count_tokens(model=MODELS[kind], messages=HELLO)
            message = client.messages.create(model=MODELS[kind], messages=HELLO, max_tokens=20)
        assert counted.input_tokens >= message.usage.input_tokens
        assert counted.to_dict()["estimated"] is True

    @pytest.mark.parametrize("kind", MODELS)
    async def test_cost_nothing_and_leave_no_row(self, customer: Customer, kind: str) -> None:
        async with async_claude_client(customer) as client:
            await client.messages.count_tokens(model=MODELS[kind], messages=HELLO, system="Be brief.")
        assert customer.usage() == []
        assert customer.wallet()["balance"] == customer.wallet()["spendable"]

    def test_of_unknown_models_are_refused(self, customer: Customer) -> None:
        with claude_client(customer) as client, pytest.raises(anthropic.NotFoundError) as refused:
            client.messages.count_tokens(model="claude-nothing", messages=HELLO)
        assert isinstance(refused.value.body, dict)
        assert refused.value.body["error"]["code"] == "model_not_found"

    def test_of_what_the_provider_refuses_say_so_in_its_words(self, customer: Customer) -> None:
        twice: Any = [TOOL, TOOL]
        with claude_client(customer) as client, pytest.raises(anthropic.BadRequestError) as refused:
            client.messages.count_tokens(model=MODELS["anthropic"], messages=HELLO, tools=twice)
        assert "Tool names must be unique" in str(refused.value)


class TestModels:
    def test_are_listed_page_by_page(self, customer: Customer) -> None:
        with claude_client(customer) as client:
            names = [model.id for model in client.models.list(limit=3)]
            first = client.models.list(limit=1000)
        assert {*MODELS.values()} <= set(names)
        assert names == [model.id for model in first.data] == sorted(set(names))
        assert (first.has_more, first.first_id, first.last_id) == (False, names[0], names[-1])

    def test_are_listed_backwards_too(self, customer: Customer) -> None:
        with claude_client(customer) as client:
            names = [model.id for model in client.models.list(limit=1000)]
            page = client.models.list(limit=2, before_id=names[3])
        assert [model.id for model in page.data] == names[1:3]
        assert page.has_more

    @pytest.mark.parametrize("kind", MODELS)
    def test_are_shown_one_by_one(self, customer: Customer, kind: str) -> None:
        with claude_client(customer) as client:
            model = client.models.retrieve(MODELS[kind])
        assert (model.id, model.type, model.lifecycle) == (MODELS[kind], "model", "active")
        assert model.created_at.year >= 2020
        assert model.max_tokens

    def test_are_called_as_the_operator_calls_them(self, customer: Customer) -> None:
        named = customer.operator.get(f"/models/{MODELS['anthropic']}")["display_name"]
        with claude_client(customer) as client:
            assert client.models.retrieve(MODELS["anthropic"]).display_name == named

    def test_unknown_ones_are_not_found(self, customer: Customer) -> None:
        with claude_client(customer) as client, pytest.raises(anthropic.NotFoundError) as refused:
            client.models.retrieve("claude-nothing")
        assert isinstance(refused.value.body, dict)
        assert refused.value.body["error"]["type"] == "not_found_error"

    @pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 1001}, {"after_id": "nothing"}])
    def test_pages_that_cannot_be_are_refused(self, customer: Customer, query: dict[str, Any]) -> None:
        with claude_client(customer) as client, pytest.raises(anthropic.UnprocessableEntityError) as refused:
            client.models.list(**query)
        assert isinstance(refused.value.body, dict)
        assert refused.value.body["error"]["param"] == next(iter(query))

    def test_only_those_of_the_key(self, new_customer: NewCustomer) -> None:
        customer = new_customer(allowed_models=[MODELS["openai"]])
        with claude_client(customer) as client:
            assert [model.id for model in client.models.list()] == [MODELS["openai"]]

    def test_callers_without_a_version_see_openais_list(self, customer: Customer) -> None:
        listed = httpx2.get(
            f"{customer.base_url}/models", headers={"authorization": f"Bearer {customer.key}"}, timeout=30
        )
        assert listed.json()["object"] == "list"


class TestNowhere:
    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [("GET", "/v1/nothing", 404), ("GET", "/v1/messages", 405), ("DELETE", "/v1/models", 405)],
    )
    def test_is_told_in_anthropics_shape(
        self, customer: Customer, method: str, path: str, status: int
    ) -> None:
        headers = {"x-api-key": customer.key, "anthropic-version": "2023-06-01"}
        said = httpx2.request(method, f"{customer.address}{path}", headers=headers, timeout=30)
        assert (said.status_code, said.json()["type"]) == (status, "error")
