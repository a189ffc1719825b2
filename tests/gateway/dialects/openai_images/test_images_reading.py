"""What is an image request, what of it is refused by name, and what pictures may come to."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.core.chat import BadRequest
from bursar.core.service import Service
from bursar.core.usage import Meter
from bursar.gateway.dialects.openai_images.pictures import counts, pixels, variants
from bursar.gateway.dialects.openai_images.reading import read

NEEDED = {"model": "m", "prompt": "abcdef"}
ATOMS = st.none() | st.booleans() | st.integers(-5, 2**40) | st.floats(allow_nan=False) | st.text(max_size=4)
JSON = st.recursive(
    ATOMS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)
WORDS = st.sampled_from(["auto", "low", "hd", "1024x1024", "99999x99999", "0x5", "٣x٤", "url", "b64_json"])
NAMES = st.sampled_from(
    ["model", "prompt", "n", "quality", "size", "stream", "partial_images", "response_format", "style", "odd"]
)


def refusal(**fields: Any) -> BadRequest:
    with pytest.raises(BadRequest) as refused:
        read(orjson.dumps({**NEEDED, **fields}))
    return refused.value


class TestRead:
    def test_knows_what_is_asked(self) -> None:
        asked = {**NEEDED, "n": 2, "quality": "low", "size": "1024x1024", "user": "u", "odd": 1}
        call = read(orjson.dumps(asked))
        assert (call.dialect, call.endpoint, call.model) == ("openai_images", "/v1/images/generations", "m")
        assert (call.service, call.scope_class, call.stream) == (Service.IMAGES, "image", False)
        assert (call.max_tokens, call.n, call.input_tokens, call.end_user) == (0, 2, 16 + 2, "u")
        assert call.counts == {Meter.IMAGE: 2, Meter.OUT_IMAGE: 2 * 272}
        assert call.variants == ("low:1024x1024", "low", "1024x1024")
        assert call.raw == asked

    @pytest.mark.parametrize("name", ["model", "prompt"])
    def test_needs_model_and_prompt(self, name: str) -> None:
        refused = refusal(**{name: None})
        assert (refused.code, refused.param) == ("missing_required_parameter", name)

    @pytest.mark.parametrize(
        ("fields", "param"),
        [
            ({"prompt": ""}, "prompt"),
            ({"prompt": "a" * 32_001}, "prompt"),
            ({"prompt": ["a"]}, "prompt"),
            ({"n": 0}, "n"),
            ({"n": 11}, "n"),
            ({"n": True}, "n"),
            ({"quality": 5}, "quality"),
            ({"size": "x" * 65}, "size"),
            ({"size": [1024, 1024]}, "size"),
            ({"size": "4097x4096"}, "size"),
            ({"size": "3840x2160", "n": 3}, "size"),
            ({"response_format": "jpeg"}, "response_format"),
            ({"response_format": {}}, "response_format"),
            ({"output_compression": 101}, "output_compression"),
            ({"stream": 1}, "stream"),
            ({"partial_images": 4, "stream": True}, "partial_images"),
            ({"user": 5}, "user"),
        ],
    )
    def test_names_what_is_wrong(self, fields: dict[str, Any], param: str) -> None:
        refused = refusal(**fields)
        assert (refused.code, refused.param, refused.status) == ("invalid_type", param, 422)

    @pytest.mark.parametrize(
        ("fields", "param"), [({"stream": True, "n": 2}, "n"), ({"partial_images": 1}, "partial_images")]
    )
    def test_refuses_by_name_what_cannot_be_done(self, fields: dict[str, Any], param: str) -> None:
        refused = refusal(**fields)
        assert (refused.code, refused.param) == ("unsupported_parameter", param)

    @pytest.mark.parametrize(
        "fields", [{"n": None}, {"n": 10}, {"size": "3840x2160", "n": 2}, {"stream": True, "n": 1}]
    )
    def test_takes_what_can(self, fields: dict[str, Any]) -> None:
        assert read(orjson.dumps({**NEEDED, **fields})).counts[Meter.IMAGE] == (fields.get("n") or 1)

    @given(st.dictionaries(NAMES, JSON | WORDS))
    def test_refuses_or_reads_whatever_comes(self, said: dict[str, Any]) -> None:
        try:
            call = read(orjson.dumps(said))
        except BadRequest:
            return
        assert call.counts[Meter.OUT_IMAGE] > 0
        assert call.raw == said


class TestCounts:
    # The cost table of OpenAI's image generation guide.
    @pytest.mark.parametrize(
        ("quality", "size", "tokens"),
        [
            ("low", "1024x1024", 272),
            ("low", "1024x1536", 408),
            ("low", "1536x1024", 400),
            ("medium", "1024x1024", 1_056),
            ("medium", "1024x1536", 1_584),
            ("medium", "1536x1024", 1_568),
            ("high", "1024x1024", 4_160),
            ("high", "1024x1536", 6_240),
            ("high", "1536x1024", 6_208),
        ],
    )
    def test_stand_at_or_just_above_what_is_documented(self, quality: str, size: str, tokens: int) -> None:
        counted = counts({"quality": quality, "size": size})[Meter.OUT_IMAGE]
        assert tokens <= counted <= tokens * 1.03

    @pytest.mark.parametrize(
        "asked", [{}, {"quality": "auto", "size": "auto"}, {"quality": "ultra", "size": "4K"}]
    )
    def test_of_what_the_model_chooses_are_the_dearest(self, asked: dict[str, str]) -> None:
        assert counts(asked) == {Meter.IMAGE: 1, Meter.OUT_IMAGE: 6_240}

    def test_hold_for_every_partial_picture(self) -> None:
        asked = {"quality": "low", "size": "1024x1024", "partial_images": 3}
        assert counts(asked)[Meter.OUT_IMAGE] == 272 + 300


class TestVariants:
    @pytest.mark.parametrize(
        ("asked", "names"),
        [
            ({}, ()),
            ({"quality": "auto", "size": "auto"}, ()),
            ({"quality": "hd"}, ("hd",)),
            ({"size": "1792x1024"}, ("1792x1024",)),
            ({"quality": "8b", "size": "latest"}, ()),
        ],
    )
    def test_are_words_that_are_known(self, asked: dict[str, str], names: tuple[str, ...]) -> None:
        assert variants(asked) == names


class TestPixels:
    @pytest.mark.parametrize("size", ["0x5", "5x0", "-1x5", "1e3x5", "999999x1", "٣x٤", "1024X1024", None, 5])
    def test_of_no_size_are_those_of_the_largest_usual_one(self, size: Any) -> None:
        assert pixels(size) == 1536 * 1024
