"""Embeddings through the official client: every form of input and output, and what it costs."""

import openai
import pytest
from operator_client import Customer, Operator

SMALL, LARGE = "text-embedding-3-small", "text-embedding-3-large"


class TestEmbeddings:
    @pytest.mark.parametrize(
        ("given", "number"),
        [("hello there", 1), (["a", "b", "c"], 3), ([11, 12, 13], 1), ([[11], [12, 13]], 2)],
        ids=["text", "texts", "tokens", "token arrays"],
    )
    def test_of_every_form_of_input(self, customer: Customer, given: list[str], number: int) -> None:
        answer = customer.sync.embeddings.create(model=SMALL, input=given, dimensions=16)
        assert [entry.index for entry in answer.data] == list(range(number))
        assert {len(entry.embedding) for entry in answer.data} == {16}
        assert answer.usage.total_tokens == customer.usage()[0]["input_tokens"]

    @pytest.mark.parametrize("dimensions", [8, 256, 3072])
    def test_packed_or_plain_are_the_same_numbers(self, customer: Customer, dimensions: int) -> None:
        """The client asks for base64 by itself."""
        packed = customer.sync.embeddings.create(model=LARGE, input="a cat", dimensions=dimensions)
        plain = customer.sync.embeddings.create(
            model=LARGE, input="a cat", dimensions=dimensions, encoding_format="float"
        )
        assert len(plain.data[0].embedding) == dimensions
        assert packed.data[0].embedding == pytest.approx(plain.data[0].embedding)

    async def test_of_the_asynchronous_client(self, customer: Customer) -> None:
        answer = await customer.aio.embeddings.create(model=SMALL, input=["a", "b"])
        assert {len(entry.embedding) for entry in answer.data} == {1536}

    def test_cost_what_answer_books_and_explanation_say(self, customer: Customer) -> None:
        asked = f"hello [[sim: input_tokens={10**6}]]"
        raw = customer.sync.embeddings.with_raw_response.create(model=SMALL, input=asked)
        told = customer.explanation(raw.headers["x-request-id"])
        [row] = customer.usage()
        assert raw.parse().usage.prompt_tokens == 10**6
        assert raw.headers["x-bursar-cost"] == row["sale"] == told["sale"] == "0.024"  # USD 0.02 and 20 %
        assert [line["meter"] for line in told["lines"]] == ["in_fresh"]
        assert (row["endpoint"], row["output_tokens"], told["adds_up"]) == ("/v1/embeddings", 0, True)

    def test_by_the_thousand_come_whole(self, customer: Customer) -> None:
        answer = customer.sync.embeddings.create(model=SMALL, input=[f"text {n}" for n in range(2_048)])
        assert len(answer.data) == 2_048
        assert customer.usage()[0]["outcome"] == "completed"


class TestRefusals:
    def test_of_a_chat_model_name_the_endpoint(self, customer: Customer) -> None:
        with pytest.raises(openai.BadRequestError) as refused:
            customer.sync.embeddings.create(model="gpt-4o-mini", input="a")
        assert (refused.value.code, refused.value.param) == ("wrong_endpoint", "model")
        assert "/v1/chat/completions" in refused.value.message
        assert customer.usage() == []

    def test_of_a_chat_with_an_embedding_model_name_the_endpoint(self, customer: Customer) -> None:
        with pytest.raises(openai.BadRequestError) as refused:
            customer.sync.chat.completions.create(
                model=SMALL, messages=[{"role": "user", "content": "hello"}]
            )
        assert refused.value.code == "wrong_endpoint"
        assert "/v1/embeddings" in refused.value.message

    @pytest.mark.parametrize(
        ("asked", "param"), [({"input": ""}, "input"), ({"input": "a", "dimensions": 0}, "dimensions")]
    )
    def test_of_what_is_wrong_name_it(self, customer: Customer, asked: dict[str, object], param: str) -> None:
        with pytest.raises(openai.UnprocessableEntityError) as refused:
            customer.sync.embeddings.create(**{"model": SMALL, **asked})  # type: ignore[arg-type]  # wrong on purpose
        assert refused.value.param == param
        assert customer.usage() == []

    def test_of_the_provider_come_in_its_own_words(self, customer: Customer, operator: Operator) -> None:
        with pytest.raises(openai.BadRequestError) as refused:
            customer.sync.embeddings.create(model=SMALL, input="a", dimensions=4_000)
        assert refused.value.param == "dimensions"
        assert customer.usage()[0]["sale"] == "0.00"
        assert operator.get("/models/" + SMALL)["services"] == ["embeddings"]
