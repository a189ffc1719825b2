"""One attempt at embeddings: the same dialect on both sides, or through the canonical form."""

import base64
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.adapters.providers import Embedder, PassThrough, ProviderFailure
from bursar.adapters.providers.openai import OpenAI
from bursar.adapters.providers.openai_embeddings import Embeddings
from bursar.core.chat import BadRequest
from bursar.core.usage import Meter
from bursar.gateway.dialects import Exchange
from bursar.gateway.dialects.embedded import TranslatedEmbedding
from bursar.gateway.dialects.openai_embeddings.passing import READ_WHOLE_BYTES_MAX, frame_of_long
from bursar.gateway.dialects.openai_embeddings.reading import read
from bursar.gateway.exchange import open_exchange
from recorded import SECRET, attempt

floats = st.floats(width=32, allow_nan=False, allow_infinity=False)
vectors = st.lists(st.lists(floats, min_size=1, max_size=5), min_size=1, max_size=4)
USAGE = {"prompt_tokens": 5, "total_tokens": 5}


class Foreign(OpenAI):
    """A provider that callers of OpenAI's dialects reach through the canonical form alone."""

    kind = "foreign"
    embedder: Embedder | None = Embeddings()

    @property
    def passes(self) -> Mapping[str, PassThrough]:  # type: ignore[override]  # cached there, empty here
        return {}


def opened(given: Any, *, foreign: bool = False, **fields: Any) -> Exchange:
    call = read(orjson.dumps({"model": "m", "input": given, **fields}))
    return open_exchange(call, Foreign() if foreign else OpenAI(), attempt("real").deployment, SECRET, None)


def answer(found: Sequence[Sequence[Any]], **others: Any) -> bytes:
    entries = [{"object": "embedding", "index": n, "embedding": one} for n, one in enumerate(found)]
    return orjson.dumps({"object": "list", "data": entries, "model": "real", **others})


class TestPassingThrough:
    def test_hands_the_very_bytes_on(self) -> None:
        exchange = opened(["a", "b"])
        body = b'{"data" : [], "usage":{"prompt_tokens":5,"total_tokens":5}, "odd":1}'
        assert exchange.answer(200, body) is body
        measured = exchange.measured
        assert measured.usage is not None
        assert (measured.usage.quantities, measured.usage_final) == ({Meter.IN_FRESH: 5}, True)
        assert measured.terminal
        assert measured.delivered_tokens == 0

    def test_knows_when_no_usage_came(self) -> None:
        exchange = opened("a")
        exchange.answer(200, answer([[1]]))
        assert exchange.measured.usage is None

    def test_keeps_what_a_provider_says_instead_of_tokens(self) -> None:
        exchange = opened("a")
        exchange.answer(200, answer([[1]], usage={"cost": 0.1}))
        assert exchange.measured.usage is not None
        assert (exchange.measured.usage.raw, exchange.measured.usage_final) == (b'{"cost":0.1}', False)

    @pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"data": {}}', b'{"error": {"message": "no"}}'])
    def test_takes_nothing_else_for_an_answer(self, body: bytes) -> None:
        with pytest.raises(ProviderFailure):
            opened("a").answer(200, body)


class TestLongAnswers:
    @pytest.mark.parametrize(
        "tail",
        [{"usage": USAGE}, {"usage": USAGE, "odd": [1, {"x": "}"}]}, {"model": "usage", "usage": USAGE}],
    )
    def test_are_read_at_their_end_only(self, tail: dict[str, Any]) -> None:
        body = answer([[0.125] * 1_000] * 60, **tail)
        assert len(body) > READ_WHOLE_BYTES_MAX
        found = frame_of_long(body)
        assert found is not None
        assert found["usage"] == USAGE
        exchange = opened("a")
        assert exchange.answer(200, body) is body
        assert exchange.measured.usage is not None
        assert exchange.measured.usage.quantities == {Meter.IN_FRESH: 5}

    @pytest.mark.parametrize(
        "body",
        [
            answer([[0.125] * 1_000] * 60),
            orjson.dumps({"usage": USAGE, "data": [{"embedding": [0.1] * 100_000}], "model": "usage"}),
            orjson.dumps({"model": "m", "data": [{"embedding": [0.1] * 100_000, "usage": USAGE}]}),
        ],
        ids=["no usage", "a word", "of an entry"],
    )
    def test_whose_end_is_odd_are_read_in_full(self, body: bytes) -> None:
        assert len(body) > READ_WHOLE_BYTES_MAX
        assert frame_of_long(body) is None
        exchange = opened("a")
        assert exchange.answer(200, body) is body
        usage = exchange.measured.usage
        whole = orjson.loads(body).get("usage")
        assert (usage is None) is (whole is None)

    def test_that_are_cut_are_no_answer(self) -> None:
        with pytest.raises(ProviderFailure):
            opened("a").answer(200, answer([[0.125] * 1_000] * 60, usage=USAGE)[:-1])


class TestTranslating:
    def test_goes_through_the_canonical_form(self) -> None:
        exchange = opened(["a", "b"], foreign=True, dimensions=2, user="u")
        assert isinstance(exchange, TranslatedEmbedding)
        assert orjson.loads(exchange.body) == {
            "model": "real",
            "input": ["a", "b"],
            "encoding_format": "float",
            "dimensions": 2,
            "user": "u",
        }

    @pytest.mark.parametrize(
        ("given", "inputs"),
        [("a", ["a"]), ([1, 2], [[1, 2]]), ([[1], [2, 3]], [[1], [2, 3]]), (["a", "b"], ["a", "b"])],
    )
    def test_knows_every_form_of_input(self, given: Any, inputs: list[Any]) -> None:
        assert orjson.loads(opened(given, foreign=True).body)["input"] == inputs

    def test_refuses_by_name_what_the_form_cannot_say(self) -> None:
        with pytest.raises(BadRequest) as refused:
            opened("a", foreign=True, input_type="query")
        assert (refused.value.code, refused.value.param) == ("unsupported_parameter", "input_type")

    @given(vectors)
    def test_keeps_every_number(self, found: list[list[float]]) -> None:
        exchange = opened(["a"] * len(found), foreign=True)
        told = orjson.loads(exchange.answer(200, answer(found, usage=USAGE)))
        assert [entry["embedding"] for entry in told["data"]] == found
        assert [entry["index"] for entry in told["data"]] == list(range(len(found)))
        assert (told["object"], told["model"], told["usage"]) == ("list", "real", USAGE)

    @given(vectors)
    def test_packs_every_number_when_asked(self, found: list[list[float]]) -> None:
        exchange = opened(["a"] * len(found), foreign=True, encoding_format="base64")
        told = orjson.loads(exchange.answer(200, answer(found, usage=USAGE)))
        unpacked = [base64.b64decode(entry["embedding"]) for entry in told["data"]]
        assert [list(struct.unpack(f"<{len(one) // 4}f", one)) for one in unpacked] == found

    def test_tells_our_estimate_where_the_provider_told_nothing(self) -> None:
        exchange = opened("abcdef", foreign=True)
        told = orjson.loads(exchange.answer(200, answer([[1]])))
        assert told["usage"] == {"prompt_tokens": 3, "total_tokens": 3}
        assert exchange.measured.usage is None

    def test_takes_no_number_that_cannot_be_packed(self) -> None:
        exchange = opened("a", foreign=True, encoding_format="base64")
        with pytest.raises(ProviderFailure):
            exchange.answer(200, answer([[1e300]]))


class TestNothingStreams:
    def test_whatever_is_fed(self) -> None:
        exchange = opened("a")
        assert exchange.feed(b"data: {}\n\n") == exchange.end() == exchange.tail(None) == []
        assert exchange.cut("code", "message") == []
