"""Providers' usage in disjoint classes: the sum stays theirs, doubt is flagged."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.adapters.providers.anthropic.usage import merge
from bursar.adapters.providers.anthropic.usage import read_usage as read_anthropic
from bursar.adapters.providers.counts import COUNT_MAX, whole_number
from bursar.adapters.providers.openai_usage import read_usage
from bursar.core.usage import Meter
from recorded import recorded_json

COUNTS = st.integers(0, 10_000)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
ANTHROPIC_FIELDS = [
    "input_tokens", "output_tokens", "cache_creation", "cache_creation_input_tokens", "iterations",
    "output_tokens_details", "server_tool_use", "service_tier",
]  # fmt: skip


class TestOpenAIUsage:
    def test_takes_subsets_out_of_the_whole(self) -> None:
        answer = recorded_json("openai/answer.json")
        usage = read_usage(answer["usage"], service_tier="default")
        assert usage is not None
        assert usage.quantities == {
            Meter.IN_FRESH: 131, Meter.CACHE_READ: 1024, Meter.CACHE_WRITE_30M: 64, Meter.OUT_TEXT: 46,
            Meter.OUT_REASONING: 64,
        }  # fmt: skip
        assert (usage.input_tokens, usage.output_tokens, usage.service_tier) == (1219, 110, "default")
        assert usage.raw is not None
        assert orjson.loads(usage.raw) == answer["usage"]

    @pytest.mark.parametrize(
        "server", recorded_json("compatible/usages.json").items(), ids=lambda case: case[0]
    )
    def test_reads_every_servers_dialect_of_it(self, server: tuple[str, dict[str, Any]]) -> None:
        _, case = server
        usage = read_usage(case["usage"])
        assert usage is not None
        assert usage.quantities == case["disjoint"]
        assert list(usage.flags) == case["flags"]

    def test_an_explicit_zero_is_a_zero(self) -> None:
        usage = read_usage({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0})
        assert usage is not None
        assert usage.quantities == {}
        assert usage.flags == ()

    @pytest.mark.parametrize(
        "raw", [{}, {"total_tokens": 5}, {"prompt_tokens": None, "completion_tokens": "x"}]
    )
    def test_nothing_counted_is_no_usage(self, raw: dict[str, Any]) -> None:
        assert read_usage(raw) is None

    @given(st.tuples(COUNTS, COUNTS, COUNTS, COUNTS, COUNTS), st.booleans())
    def test_the_sum_is_the_providers_own(self, counts: tuple[int, ...], beside: bool) -> None:  # noqa: FBT001 - drawn
        prompt, completion, cached, written, reasoning = counts
        total = prompt + completion + (reasoning if beside else 0)
        raw = {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": total,
            "prompt_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written},
            "completion_tokens_details": {"reasoning_tokens": reasoning},
        }
        usage = read_usage(raw)
        assert usage is not None
        assert usage.input_tokens == prompt
        assert usage.input_tokens + usage.output_tokens == total

    @given(
        st.dictionaries(
            st.sampled_from(
                ["prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details",
                 "completion_tokens_details", "prompt_cache_hit_tokens"]
            ),
            ANYTHING | st.dictionaries(st.sampled_from(["cached_tokens", "reasoning_tokens"]), ANYTHING),
        )
    )  # fmt: skip
    def test_survives_anything(self, raw: dict[str, Any]) -> None:
        usage = read_usage(raw)
        assert usage is None or all(quantity > 0 for quantity in usage.quantities.values())


class TestWholeNumber:
    @pytest.mark.parametrize(
        ("value", "count"),
        [
            *((7, 7), (7.0, 7), ("7", 7), (0, 0), (7.5, None), (-1, None), (True, None), ("seven", None)),
            *(("\uff19", None), ("9" * 5000, None), (COUNT_MAX + 1, None), ([], None)),
            *((float("inf"), None), (float("nan"), None)),
        ],
    )
    def test_knows_counts_from_nonsense(self, value: object, count: int | None) -> None:
        assert whole_number(value) == count


class TestAnthropicUsage:
    def test_cache_tokens_stand_beside_the_input(self) -> None:
        answer = recorded_json("anthropic/answer.json")
        usage = read_anthropic(answer["usage"], cache_life=Meter.CACHE_WRITE_5M)
        assert usage.quantities == {
            Meter.IN_FRESH: 25, Meter.CACHE_READ: 1200, Meter.CACHE_WRITE_5M: 100, Meter.CACHE_WRITE_1H: 200,
            Meter.OUT_TEXT: 423, Meter.OUT_REASONING: 80, Meter.WEB_SEARCH: 2,
        }  # fmt: skip
        assert usage.input_tokens == 25 + 1200 + 300
        assert usage.output_tokens == 503
        assert (usage.flags, usage.service_tier) == ((), "standard")

    @pytest.mark.parametrize("life", [Meter.CACHE_WRITE_5M, Meter.CACHE_WRITE_1H, Meter.CACHE_WRITE_UNKNOWN])
    def test_writes_without_a_split_get_the_requests_own_life(self, life: Meter) -> None:
        raw = {"input_tokens": 1, "cache_creation_input_tokens": 50, "output_tokens": 1}
        usage = read_anthropic(raw, cache_life=life)
        assert usage.quantity(life) == 50
        assert usage.flags == ("cache_write_life_assumed",)

    def test_a_sum_below_its_parts_is_flagged(self) -> None:
        raw = {
            "input_tokens": 1,
            "output_tokens": 1,
            "cache_creation_input_tokens": 5,
            "cache_creation": {"ephemeral_5m_input_tokens": 9},
        }
        assert read_anthropic(raw, cache_life=Meter.CACHE_WRITE_5M).flags == ("usage_subset_mismatch",)

    def test_compaction_is_added_and_other_models_are_flagged(self) -> None:
        raw = {
            "input_tokens": 10,
            "output_tokens": 5,
            "iterations": [
                {"type": "message", "input_tokens": 10, "output_tokens": 5},
                {"type": "compaction", "input_tokens": 100, "output_tokens": 20},
                {"type": "advisor_message", "model": "claude-x", "input_tokens": 7, "output_tokens": 7},
                "nonsense",
            ],
        }
        usage = read_anthropic(raw, cache_life=Meter.CACHE_WRITE_5M)
        assert usage.quantities == {Meter.IN_FRESH: 110, Meter.OUT_TEXT: 25}
        assert usage.flags == ("usage_of_another_model", "usage_malformed")

    def test_later_reports_win_where_they_speak(self) -> None:
        assert merge({"input_tokens": 5, "output_tokens": 1}, {"input_tokens": None, "output_tokens": 9}) == {
            "input_tokens": 5,
            "output_tokens": 9,
        }

    @given(st.dictionaries(st.sampled_from(ANTHROPIC_FIELDS), ANYTHING))
    def test_survives_anything(self, raw: dict[str, Any]) -> None:
        usage = read_anthropic(raw, cache_life=Meter.CACHE_WRITE_1H)
        assert all(quantity > 0 for quantity in usage.quantities.values())
