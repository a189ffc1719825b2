"""OpenAI's embeddings as a provider's surface: usage, requests built, answers read."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.adapters.providers import ProviderFailure
from bursar.adapters.providers.openai_embeddings import Embeddings, read_usage
from bursar.core.chat import BadRequest
from bursar.core.embedding import EmbeddingRequest
from bursar.core.usage import Meter
from recorded import SECRET, attempt

ASKED = EmbeddingRequest(inputs=("one", "two"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["data", "usage", "embedding", "index", "prompt_tokens"]), inner)
    ),
    max_leaves=10,
)


def answer(*entries: Any, **others: Any) -> bytes:
    return orjson.dumps({"object": "list", "data": list(entries), "model": "m", **others})


def entry(index: int, *numbers: Any) -> dict[str, Any]:
    return {"object": "embedding", "index": index, "embedding": list(numbers)}


class TestUsage:
    # OpenAI and Azure as documented; what Mistral, Ollama, vLLM, Voyage and a server with strings send.
    @pytest.mark.parametrize(
        ("raw", "quantities", "flags"),
        [
            ({"prompt_tokens": 8, "total_tokens": 8}, {"in_fresh": 8}, ()),
            ({"prompt_tokens": 15, "total_tokens": 15, "completion_tokens": 0}, {"in_fresh": 15}, ()),
            ({"prompt_tokens": 7, "total_tokens": 7, "prompt_tokens_details": None}, {"in_fresh": 7}, ()),
            ({"total_tokens": 10}, {"in_fresh": 10}, ()),
            ({"prompt_tokens": "12", "total_tokens": 12.0}, {"in_fresh": 12}, ()),
            ({"prompt_tokens": 0, "total_tokens": 0}, {}, ()),
            ({"prompt_tokens": 3, "total_tokens": 4}, {"in_fresh": 3}, ("usage_total_mismatch",)),
            (
                {"prompt_tokens": 3, "total_tokens": 5, "completion_tokens": 2},
                {"in_fresh": 3, "out_text": 2},
                (),
            ),
            ({"prompt_tokens": -1, "total_tokens": 5}, {"in_fresh": 5}, ("usage_malformed",)),
        ],
    )
    def test_is_the_prompt(
        self, raw: dict[str, Any], quantities: dict[str, int], flags: tuple[str, ...]
    ) -> None:
        usage = read_usage(raw)
        assert usage is not None
        assert ({meter.value: n for meter, n in usage.quantities.items()}, usage.flags) == (quantities, flags)
        assert usage.raw == orjson.dumps(raw)

    @pytest.mark.parametrize("raw", [{}, {"prompt_tokens": None}, {"total_tokens": "many"}])
    def test_that_counts_nothing_is_none(self, raw: dict[str, Any]) -> None:
        assert read_usage(raw) is None


class TestEdit:
    def test_changes_the_model_and_nothing_else(self) -> None:
        raw = {"model": "alias", "input": [[1, 2]], "dimensions": 3, "odd": {"kept": True}}
        request = Embeddings().edit(raw, attempt("real"), stream=False, headers={})
        assert orjson.loads(request.body) == {**raw, "model": "real"}
        assert (request.path, request.headers["authorization"]) == ("/embeddings", f"Bearer {SECRET}")


class TestBuild:
    def test_asks_for_numbers_whatever_the_caller_speaks(self) -> None:
        asked = EmbeddingRequest(inputs=("one", (1, 2)), dimensions=8, end_user="u")
        body = orjson.loads(Embeddings().build(asked, attempt("real")).body)
        assert body == {
            "model": "real",
            "input": ["one", [1, 2]],
            "encoding_format": "float",
            "dimensions": 8,
            "user": "u",
        }

    @pytest.mark.parametrize(("field", "name"), [("task", "taskType"), ("title", "title")])
    def test_refuses_by_the_callers_name_what_openai_cannot_do(self, field: str, name: str) -> None:
        asked = EmbeddingRequest(inputs=("one",), names={"task": "taskType"}, **{field: "x"})  # type: ignore[arg-type]  # by name
        with pytest.raises(BadRequest) as refused:
            Embeddings().build(asked, attempt("real"))
        assert (refused.value.code, refused.value.param) == ("unsupported_parameter", name)


class TestReadAnswer:
    def test_puts_the_vectors_in_the_order_of_the_inputs(self) -> None:
        body = answer(entry(1, 2, 0.5), entry(0, 1), usage={"prompt_tokens": 4, "total_tokens": 4})
        read = Embeddings().read_answer(body, ASKED)
        assert (read.vectors, read.model) == ([[1], [2, 0.5]], "m")
        assert read.usage is not None
        assert read.usage.quantities == {Meter.IN_FRESH: 4}

    def test_knows_when_no_usage_came(self) -> None:
        assert Embeddings().read_answer(answer(entry(0, 1), entry(1, 1)), ASKED).usage is None

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"[]",
            b"{}",
            answer(entry(0, 1)),
            answer(entry(0, 1), entry(0, 1)),
            answer(entry(0, 1), entry(2, 1)),
            answer(entry(0, 1), entry(1, "x")),
            answer(entry(0, 1), entry(1, None)),
            answer(entry(0, 1), {"index": 1, "embedding": "AAAA"}),
            answer("x", "y"),
        ],
    )
    def test_takes_nothing_else_for_an_answer(self, body: bytes) -> None:
        with pytest.raises(ProviderFailure):
            Embeddings().read_answer(body, ASKED)

    @given(JSON)
    def test_never_breaks_on_strangers_words(self, said: Any) -> None:
        try:
            read = Embeddings().read_answer(orjson.dumps(said), ASKED)
        except ProviderFailure:
            return
        assert len(read.vectors) == 2
