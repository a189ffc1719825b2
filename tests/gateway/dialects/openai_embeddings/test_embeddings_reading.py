"""What is an embedding request, what of it is refused by name, and how much it may be."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.core.chat import BadRequest
from bursar.core.service import Service
from bursar.gateway.dialects.openai_embeddings.reading import DIMENSIONS_MAX, INPUTS_MAX, TOKENS_MAX, read

NEEDED = {"model": "m", "input": "hello"}
ATOMS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.floats(allow_nan=False)
    | st.text(max_size=4)
)
JSON = st.recursive(
    ATOMS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)
NAMES = st.sampled_from(["model", "input", "encoding_format", "dimensions", "user", "stream", "odd"])


def refusal(**fields: Any) -> BadRequest:
    with pytest.raises(BadRequest) as refused:
        read(orjson.dumps({**NEEDED, **fields}))
    return refused.value


class TestRead:
    def test_knows_what_is_asked(self) -> None:
        call = read(orjson.dumps({**NEEDED, "user": "u", "dimensions": 3, "odd": 1}))
        assert (call.dialect, call.endpoint, call.model) == ("openai_embeddings", "/v1/embeddings", "m")
        assert (call.service, call.scope_class, call.stream) == (Service.EMBEDDINGS, "text", False)
        assert (call.max_tokens, call.n, call.end_user) == (0, 1, "u")
        assert call.raw["odd"] == 1

    @pytest.mark.parametrize(
        ("given", "tokens"),
        [
            ("abcdef", 1 + 2),
            (["abcdef", "abc"], 2 + 4),
            ([1, 2, 3], 3),
            ([[1, 2], [3]], 3),
            ("가" * 10, 1 + 15),
        ],
    )
    def test_counts_on_the_high_side_and_tokens_exactly(self, given: Any, tokens: int) -> None:
        assert read(orjson.dumps({**NEEDED, "input": given})).input_tokens == tokens

    @pytest.mark.parametrize("name", ["model", "input"])
    def test_needs_model_and_input(self, name: str) -> None:
        assert (refusal(**{name: None}).code, refusal(**{name: None}).param) == (
            "missing_required_parameter",
            name,
        )

    @pytest.mark.parametrize(
        ("fields", "param"),
        [
            ({"model": 5}, "model"),
            ({"input": ""}, "input"),
            ({"input": []}, "input"),
            ({"input": {}}, "input"),
            ({"input": 7}, "input"),
            ({"input": ["a", ""]}, "input[1]"),
            ({"input": ["a", 1]}, "input[1]"),
            ({"input": [1, "a"]}, "input"),
            ({"input": [[1], "a"]}, "input[1]"),
            ({"input": [[1], []]}, "input[1]"),
            ({"input": [1.5]}, "input[0]"),
            ({"input": [[1], [1.5]]}, "input[1]"),
            ({"input": [-1]}, "input"),
            ({"input": [2**31]}, "input"),
            ({"input": [[True]]}, "input[0]"),
            ({"input": [True]}, "input[0]"),
            ({"input": [None]}, "input[0]"),
            ({"input": ["a"] * (INPUTS_MAX + 1)}, "input"),
            ({"input": [[1]] * (INPUTS_MAX + 1)}, "input"),
            ({"input": [1] * (TOKENS_MAX + 1)}, "input"),
            ({"encoding_format": "int8"}, "encoding_format"),
            ({"encoding_format": []}, "encoding_format"),
            ({"dimensions": 0}, "dimensions"),
            ({"dimensions": DIMENSIONS_MAX + 1}, "dimensions"),
            ({"dimensions": "8"}, "dimensions"),
            ({"dimensions": True}, "dimensions"),
            ({"user": 5}, "user"),
            ({"stream": "yes"}, "stream"),
        ],
    )
    def test_names_what_is_wrong(self, fields: dict[str, Any], param: str) -> None:
        refused = refusal(**fields)
        assert (refused.code, refused.param, refused.status) == ("invalid_type", param, 422)

    def test_refuses_a_stream_by_name(self) -> None:
        refused = refusal(stream=True)
        assert (refused.code, refused.param) == ("unsupported_parameter", "stream")

    def test_takes_as_much_as_is_documented(self) -> None:
        assert read(orjson.dumps({**NEEDED, "input": ["a"] * INPUTS_MAX})).input_tokens > INPUTS_MAX
        assert read(orjson.dumps({**NEEDED, "input": [1] * 8_192})).input_tokens == 8_192

    @given(st.dictionaries(NAMES, JSON))
    def test_refuses_or_reads_whatever_comes(self, said: dict[str, Any]) -> None:
        try:
            call = read(orjson.dumps(said))
        except BadRequest:
            return
        assert call.input_tokens >= 1
        assert call.raw == said
