"""An operator lets an organisation's answers be kept; its client continues, reads and deletes them."""

import time
from typing import Any

import openai
import pytest
from operator_client import MODELS, POLL_S, READY_WAIT_S_MAX, Customer, NewCustomer


def let_keep(customer: Customer, *, allowed: bool) -> None:
    """Change the setting and wait until the gateway knows."""
    place = f"/organisations/{customer.organisation_id}"
    assert customer.operator.patch(place, {"store_responses": allowed})["store_responses"] is allowed
    end = time.monotonic() + READY_WAIT_S_MAX
    while is_kept(customer) is not allowed:
        assert time.monotonic() < end, "the gateway never heard of it"
        time.sleep(POLL_S)


def is_kept(customer: Customer) -> bool:
    answer = customer.sync.responses.create(model=MODELS["openai"], input="Hello")
    return bool(answer.to_dict()["store"])


def ask(customer: Customer, kind: str, text: str, previous: str | None, *, stream: bool) -> Any:
    asked: dict[str, Any] = {"model": MODELS[kind], "input": text, "previous_response_id": previous}
    if not stream:
        return customer.sync.responses.create(**asked)
    with customer.sync.responses.stream(**asked) as opened:
        return opened.get_final_response()


class TestKeptAnswers:
    @pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
    def test_are_continued_at_every_type_of_provider(
        self, new_customer: NewCustomer, *, stream: bool
    ) -> None:
        customer = new_customer()
        let_keep(customer, allowed=True)
        previous, ids = None, []
        for kind in MODELS:
            answer = ask(customer, kind, f"[[sim:echo]]Hello {kind}.", previous, stream=stream)
            assert answer.output_text == f"Hello {kind}."
            assert answer.previous_response_id == previous
            previous = answer.id
            ids.append(answer.id)
        booked = [row for row in customer.usage() if row["status"] == 200][-len(ids) :]
        counts = [row["input_tokens"] for row in booked]
        assert counts == sorted(counts)  # what was said before is sent, and billed, again
        assert len(set(counts)) == len(counts)
        shown = customer.sync.responses.retrieve(ids[-1])
        assert shown.output_text == answer.output_text
        customer.sync.responses.delete(ids[0])
        with pytest.raises(openai.NotFoundError):
            ask(customer, "openai", "And?", ids[-1], stream=stream)

    def test_are_none_until_an_operator_says_so_and_none_after(self, new_customer: NewCustomer) -> None:
        customer = new_customer()
        assert not is_kept(customer)
        let_keep(customer, allowed=True)
        answer = ask(customer, "openai", "Hello", None, stream=False)
        let_keep(customer, allowed=False)
        with pytest.raises(openai.UnprocessableEntityError):
            customer.sync.responses.create(model=MODELS["openai"], input="Hello", store=True)
        assert customer.sync.responses.retrieve(answer.id).id == answer.id  # until it expires
