"""OpenAI's image generations as a provider's surface: usage in disjoint classes."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.adapters.providers.openai_images import Images, read_usage
from recorded import SECRET, attempt

counts = st.integers(0, 10**6)


class TestUsage:
    # OpenAI's API reference (generation, edit), what GPT Image 1.5 and 2 add to it, and what copies send.
    @pytest.mark.parametrize(
        ("raw", "quantities", "flags"),
        [
            (
                {
                    "total_tokens": 100,
                    "input_tokens": 50,
                    "output_tokens": 50,
                    "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
                },
                {"in_fresh": 10, "in_image": 40, "out_image": 50},
                (),
            ),
            (
                {
                    "total_tokens": 4_173,
                    "input_tokens": 13,
                    "output_tokens": 4_160,
                    "input_tokens_details": {"text_tokens": 13, "image_tokens": 0},
                    "output_tokens_details": {"image_tokens": 4_160, "text_tokens": 0},
                },
                {"in_fresh": 13, "out_image": 4_160},
                (),
            ),
            (
                {
                    "total_tokens": 1_600,
                    "input_tokens": 20,
                    "output_tokens": 1_580,
                    "input_tokens_details": {"text_tokens": 20, "image_tokens": 0},
                    "output_tokens_details": {"image_tokens": 1_372, "text_tokens": 208},
                },
                {"in_fresh": 20, "out_text": 208, "out_image": 1_372},
                (),
            ),
            (
                {
                    "total_tokens": 110,
                    "input_tokens": 60,
                    "output_tokens": 50,
                    "input_tokens_details": {"text_tokens": 20, "image_tokens": 40, "cached_tokens": 15},
                },
                {"in_fresh": 5, "cache_read": 15, "in_image": 40, "out_image": 50},
                (),
            ),
            ({"input_tokens": 7, "total_tokens": 17}, {"in_fresh": 7, "out_image": 10}, ()),
            ({"output_tokens": 10, "total_tokens": 17}, {"in_fresh": 7, "out_image": 10}, ()),
            ({"output_tokens": 10}, {"out_image": 10}, ("usage_incomplete",)),
            (
                {"input_tokens": 7, "output_tokens": 10, "total_tokens": 18},
                {"in_fresh": 7, "out_image": 10},
                ("usage_total_mismatch",),
            ),
            (
                {"input_tokens": 7, "output_tokens": 10, "output_tokens_details": {"text_tokens": 11}},
                {"in_fresh": 7, "out_text": 10},
                ("usage_subset_mismatch",),
            ),
            ({"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}, {}, ()),
        ],
    )
    def test_tells_text_from_pictures(
        self, raw: dict[str, Any], quantities: dict[str, int], flags: tuple[str, ...]
    ) -> None:
        usage = read_usage(raw)
        assert usage is not None
        assert ({meter.value: n for meter, n in usage.quantities.items() if n}, usage.flags) == (
            quantities,
            flags,
        )
        assert usage.raw == orjson.dumps(raw)

    # xAI tells money instead of tokens; the others tell nothing of the output.
    @pytest.mark.parametrize(
        "raw", [{}, {"cost_in_usd_ticks": 200_000_000}, {"input_tokens": 5}, {"total_tokens": 5}]
    )
    def test_that_counts_no_output_is_none(self, raw: dict[str, Any]) -> None:
        assert read_usage(raw) is None

    @given(counts, counts, counts, counts, counts)
    def test_adds_up_to_the_providers_own_sums(
        self, sent: int, came: int, drawn: int, written: int, cached: int
    ) -> None:
        raw = {
            "input_tokens": sent,
            "output_tokens": came,
            "total_tokens": sent + came,
            "input_tokens_details": {"image_tokens": drawn, "cached_tokens": cached},
            "output_tokens_details": {"text_tokens": written},
        }
        usage = read_usage(raw)
        assert usage is not None
        assert (usage.input_tokens, usage.output_tokens) == (sent, came)


class TestEdit:
    @pytest.mark.parametrize("stream", [True, False])
    def test_changes_the_model_and_nothing_else(self, *, stream: bool) -> None:
        raw = {"model": "alias", "prompt": "a cat", "stream": stream, "aspect_ratio": "16:9"}
        request = Images().edit(raw, attempt("real"), stream=stream, headers={})
        assert orjson.loads(request.body) == {**raw, "model": "real"}
        assert (request.path, request.headers["authorization"]) == ("/images/generations", f"Bearer {SECRET}")
