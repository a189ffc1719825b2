"""The official OpenAI client at the simulated embeddings."""

import openai
import pytest

from bursar.simulator import Simulator

SMALL = "text-embedding-3-small"


class TestEmbeddings:
    def test_of_the_same_text_are_the_same(self, gpt: openai.OpenAI) -> None:
        one = gpt.embeddings.create(model=SMALL, input=["a", "b", "a"])
        assert [entry.index for entry in one.data] == [0, 1, 2]
        assert one.data[0].embedding == one.data[2].embedding != one.data[1].embedding
        assert {len(entry.embedding) for entry in one.data} == {1536}

    def test_are_of_length_one_however_short(self, gpt: openai.OpenAI) -> None:
        for dimensions in (1, 8, 1536):
            (entry,) = gpt.embeddings.create(model=SMALL, input="a", dimensions=dimensions).data
            assert sum(number * number for number in entry.embedding) == pytest.approx(1)
            assert len(entry.embedding) == dimensions

    def test_packed_and_plain_say_the_same(self, gpt: openai.OpenAI) -> None:
        """The client asks for base64 unless told otherwise."""
        (packed,) = gpt.embeddings.create(model=SMALL, input="a").data
        (plain,) = gpt.embeddings.create(model=SMALL, input="a", encoding_format="float").data
        assert packed.embedding == pytest.approx(plain.embedding)

    def test_count_texts_and_tokens(self, gpt: openai.OpenAI) -> None:
        assert gpt.embeddings.create(model=SMALL, input="one two").usage.prompt_tokens == 2
        assert gpt.embeddings.create(model=SMALL, input=[5, 6, 7]).usage.total_tokens == 3
        assert gpt.embeddings.create(model=SMALL, input=[[5], [6, 7]]).usage.prompt_tokens == 3

    @pytest.mark.parametrize(
        ("asked", "param"),
        [
            ({"input": ""}, "input"),
            ({"input": []}, "input"),
            ({"input": ["a"] * 2049}, "input"),
            ({"input": [["a"]]}, "input[0][0]"),
            ({"input": ["a", 5]}, "input"),
            ({"input": [5] * 8193}, "input"),
            ({"input": "a", "dimensions": 1537}, "dimensions"),
            ({"input": "a", "model": "text-embedding-ada-002", "dimensions": 8}, "dimensions"),
            ({"input": "a", "extra_body": {"encoding_format": "int8"}}, "encoding_format"),
        ],
    )
    def test_refuse_what_openai_refuses(
        self, gpt: openai.OpenAI, asked: dict[str, object], param: str
    ) -> None:
        with pytest.raises(openai.BadRequestError) as refused:
            gpt.embeddings.create(**{"model": SMALL, **asked})  # type: ignore[arg-type]  # wrong on purpose
        assert refused.value.param == param

    def test_of_an_unknown_model_there_are_none(self, gpt: openai.OpenAI) -> None:
        with pytest.raises(openai.NotFoundError):
            gpt.embeddings.create(model="gpt-4o", input="a")

    def test_fail_as_the_script_says(self, simulator: Simulator, gpt: openai.OpenAI) -> None:
        simulator.faults.add("fewer", count=1)
        assert len(gpt.embeddings.create(model=SMALL, input=["a", "b"]).data) == 1
        assert gpt.embeddings.create(model=f"{SMALL}+input_tokens=99", input="a").usage.prompt_tokens == 99
        with pytest.raises(openai.RateLimitError):
            gpt.embeddings.create(model=SMALL, input="hello [[sim: status=429]]")
        with pytest.raises(openai.InternalServerError):
            gpt.embeddings.create(model=f"{SMALL}+status=500+times=1", input="b")
        assert gpt.embeddings.create(model=f"{SMALL}+status=500+times=1", input="b").data
