"""Embedding requests from one dialect to a provider of the other and back mean the same."""

import orjson
from hypothesis import given
from hypothesis import strategies as st

from bursar.adapters.providers.gemini import Gemini
from bursar.adapters.providers.gemini.embedding import EMBEDDER as AT_GEMINI
from bursar.adapters.providers.openai import OpenAI
from bursar.adapters.providers.openai_embeddings import Embeddings
from bursar.core.embedding import EmbeddingAnswer, EmbeddingRequest
from bursar.core.usage import Meter, Usage
from bursar.gateway.dialects import Asked
from bursar.gateway.dialects.registry import GEMINI_EMBEDDINGS, OPENAI_EMBEDDINGS
from bursar.gateway.exchange import open_exchange
from recorded import SECRET, attempt

BATCH = "/v1beta/models/m:batchEmbedContents"
AT_OPENAI = Embeddings()
texts = st.lists(
    st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=20), min_size=1, max_size=5
)
dimensions = st.none() | st.integers(1, 3_072)
numbers = st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=4)


def meaning(request: EmbeddingRequest) -> tuple[object, ...]:
    return request.inputs, request.dimensions


class TestRequests:
    @given(texts, dimensions)
    def test_from_openai_to_gemini_keep_their_meaning(self, said: list[str], wanted: int | None) -> None:
        asked = {"model": "m", "input": said, **({} if wanted is None else {"dimensions": wanted})}
        call = OPENAI_EMBEDDINGS.read(orjson.dumps(asked), Asked("/v1/embeddings"))
        canonical = OPENAI_EMBEDDINGS.canonical_embedding(call, Gemini())
        built = AT_GEMINI.build(canonical, attempt("real")).body
        again = GEMINI_EMBEDDINGS.read(built, Asked(BATCH, model="m", action="batchEmbedContents"))
        assert meaning(GEMINI_EMBEDDINGS.canonical_embedding(again, OpenAI())) == meaning(canonical)
        assert meaning(canonical) == (tuple(said), wanted)

    @given(texts, dimensions)
    def test_from_gemini_to_openai_keep_their_meaning(self, said: list[str], wanted: int | None) -> None:
        option = {} if wanted is None else {"outputDimensionality": wanted}
        asked = {"requests": [{"content": {"parts": [{"text": text}]}, **option} for text in said]}
        call = GEMINI_EMBEDDINGS.read(
            orjson.dumps(asked), Asked(BATCH, model="m", action="batchEmbedContents")
        )
        canonical = GEMINI_EMBEDDINGS.canonical_embedding(call, OpenAI())
        built = AT_OPENAI.build(canonical, attempt("real")).body
        again = OPENAI_EMBEDDINGS.read(built, Asked("/v1/embeddings"))
        assert meaning(OPENAI_EMBEDDINGS.canonical_embedding(again, Gemini())) == meaning(canonical)
        assert meaning(canonical) == (tuple(said), wanted)


class TestAnswers:
    @given(st.lists(numbers, min_size=1, max_size=4), st.integers(0, 1_000))
    def test_of_gemini_told_in_openais_words_are_read_back_the_same(
        self, vectors: list[list[float]], tokens: int
    ) -> None:
        call = OPENAI_EMBEDDINGS.read(
            orjson.dumps({"model": "m", "input": ["a"] * len(vectors)}), Asked("/v1/embeddings")
        )
        exchange = open_exchange(call, Gemini(), attempt("real").deployment, SECRET, None)
        said = {
            "embeddings": [{"values": vector} for vector in vectors],
            "usageMetadata": {"promptTokenCount": tokens, "totalTokenCount": tokens},
        }
        told = exchange.answer(200, orjson.dumps(said))
        request = EmbeddingRequest(inputs=("a",) * len(vectors))
        assert AT_OPENAI.read_answer(told, request) == EmbeddingAnswer(
            vectors=vectors,
            usage=Usage(
                {Meter.IN_FRESH: tokens} if tokens else {},
                raw=orjson.dumps({"prompt_tokens": tokens, "total_tokens": tokens}),
            ),
            model="m",
        )
