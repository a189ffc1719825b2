"""Pictures through the official client: whole and streamed, by tokens and by the piece, and their costs."""

import base64
import time
from typing import Any
from uuid import uuid4

import openai
import pytest
from operator_client import POLL_S, READY_WAIT_S_MAX, Customer, Operator

DRAWS = "gpt-image-1"


@pytest.fixture
def by_the_piece(operator: Operator, customer: Customer) -> str:
    """A model that tells no tokens, sold by the picture, dearer when it is fine and wide."""
    name = f"dall-e-3-{uuid4().hex[:8]}"
    provider_id = operator.provider_ids["openai"]
    for model, sale in (("dall-e-3", "0.05"), ("dall-e-3:hd:1792x1024", "0.15")):
        if not operator.get("/prices", model=model)["items"]:
            price = {"provider_id": provider_id, "model": model, "meter": "image", "per": "unit"}
            operator.post("/prices", {**price, "cost": "0.04", "sale": sale})
    operator.post("/models", {"id": name, "services": ["images"]})
    operator.post("/routes", {"model_id": name, "provider_id": provider_id, "provider_model": "dall-e-3"})
    deadline = time.monotonic() + READY_WAIT_S_MAX
    while name not in {model.id for model in customer.sync.models.list()}:
        assert time.monotonic() < deadline, "the gateway never heard of the new model"
        time.sleep(POLL_S)
    return name


def draw(customer: Customer, **asked: Any) -> Any:
    return customer.sync.images.generate(**{"model": DRAWS, "prompt": "a cat with a hat", **asked})


class TestPictures:
    def test_come_in_base64(self, customer: Customer) -> None:
        answer = draw(customer, n=2, quality="low", size="1024x1024")
        assert all(base64.b64decode(entry.b64_json).startswith(b"\x89PNG") for entry in answer.data)
        assert (len(answer.data), answer.usage.output_tokens) == (2, 544)

    async def test_come_to_the_asynchronous_client(self, customer: Customer) -> None:
        answer = await customer.aio.images.generate(model=DRAWS, prompt="a cat", quality="low")
        assert answer.data

    @pytest.mark.parametrize("form", ["url", "b64_json"])
    def test_come_as_the_caller_wants_them(self, customer: Customer, by_the_piece: str, form: str) -> None:
        (entry,) = draw(customer, model=by_the_piece, response_format=form).data
        assert getattr(entry, form)

    def test_stream_and_end_with_usage_and_cost(self, customer: Customer) -> None:
        events = list(draw(customer, stream=True, partial_images=2, quality="low", size="1024x1024"))
        assert [event.type.rpartition(".")[2] for event in events] == ["partial_image"] * 2 + ["completed"]
        [row] = customer.usage()
        usage = events[-1].usage.model_dump()
        assert usage["output_tokens"] == row["output_tokens"] == 472
        assert (usage["cost"], usage["currency"]) == (row["sale"], "USD")
        assert row["streamed"]


class TestCosts:
    def test_by_tokens_are_what_answer_books_and_explanation_say(self, customer: Customer) -> None:
        raw = customer.sync.images.with_raw_response.generate(
            model=DRAWS, prompt=f"a cat [[sim: input_tokens={10**6} output_tokens={10**5}]]"
        )
        told = customer.explanation(raw.headers["x-request-id"])
        [row] = customer.usage()
        sale = "10.80"  # USD 5 and 40 per million, and 20 %
        assert raw.headers["x-bursar-cost"] == row["sale"] == told["sale"] == sale
        assert {line["meter"]: line["priced_as"] for line in told["lines"]} == {
            "in_fresh": "in_fresh",
            "out_image": "out_text",
            "image": None,
        }
        assert told["adds_up"] is True

    def test_by_the_piece_follow_quality_and_size(self, customer: Customer, by_the_piece: str) -> None:
        draw(customer, model=by_the_piece)
        draw(customer, model=by_the_piece, quality="hd", size="1792x1024")
        assert [row["sale"] for row in customer.usage()] == ["0.05", "0.15"]
        assert [row["estimated"] for row in customer.usage()] == [False, False]


class TestRefusals:
    def test_of_a_chat_model_name_the_endpoint(self, customer: Customer) -> None:
        with pytest.raises(openai.BadRequestError) as refused:
            draw(customer, model="gpt-4o-mini")
        assert refused.value.code == "wrong_endpoint"
        assert "/v1/chat/completions" in refused.value.message

    def test_of_a_chat_with_an_image_model_name_the_endpoint(self, customer: Customer) -> None:
        with pytest.raises(openai.BadRequestError) as refused:
            customer.sync.chat.completions.create(
                model=DRAWS, messages=[{"role": "user", "content": "hello"}]
            )
        assert "/v1/images/generations" in refused.value.message

    @pytest.mark.parametrize(
        ("asked", "param"),
        [({"n": 11}, "n"), ({"n": 2, "stream": True}, "n"), ({"size": "9999x9999"}, "size")],
    )
    def test_of_what_cannot_be_name_it(
        self, customer: Customer, asked: dict[str, object], param: str
    ) -> None:
        with pytest.raises(openai.UnprocessableEntityError) as refused:
            draw(customer, **asked)
        assert refused.value.param == param
        assert customer.usage() == []

    def test_of_the_safety_system_cost_nothing(self, customer: Customer) -> None:
        with pytest.raises(openai.BadRequestError, match="safety"):
            draw(customer, prompt="a cat [[sim: content_filter]]")
        assert customer.usage()[0]["sale"] == "0.00"
