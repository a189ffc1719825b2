"""Usage of responses: disjoint classes, the provider's own sums, and what another program makes of it."""

from typing import Any

import genai_prices
import pytest
from genai_prices.data_snapshot import get_snapshot
from hypothesis import given
from hypothesis import strategies as st

from bursar.adapters.providers import USAGE_INCOMPLETE
from bursar.adapters.providers.counts import FLAG_MALFORMED, FLAG_SUBSET_MISMATCH
from bursar.adapters.providers.openai_responses.usage import FLAG_TOTAL_MISMATCH, read_usage
from bursar.core.pricing import rate
from bursar.core.usage import Meter
from genai_quotes import MOMENT, quote_of
from recorded import recorded_json

PAYLOADS = recorded_json("usages/openai_responses.json")
every_payload = pytest.mark.parametrize("payload", PAYLOADS, ids=lambda payload: payload["source"][-24:])
COUNTS = st.integers(0, 10_000)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
NAMES = ("input_tokens", "output_tokens", "total_tokens", "input_tokens_details", "output_tokens_details")
INNER = (
    "cached_tokens", "cache_write_tokens", "cache_write_tokens_details", "ttl_30m_tokens", "ttl_12h_tokens",
    "reasoning_tokens",
)  # fmt: skip
DETAILS = st.dictionaries(st.sampled_from(INNER), ANYTHING, max_size=3)


class TestRecordedUsages:
    @every_payload
    def test_are_read_into_disjoint_classes(self, payload: dict[str, Any]) -> None:
        usage = read_usage(payload["usage"], service_tier="default")
        assert usage is not None
        assert usage.quantities == payload["disjoint"]
        assert usage.input_tokens + usage.output_tokens == payload["usage"]["total_tokens"]
        assert (usage.flags, usage.service_tier) == ((), "default")

    @every_payload
    def test_cost_what_the_other_program_says(self, payload: dict[str, Any]) -> None:
        provider = next(one for one in get_snapshot().providers if one.id == "openai")
        model = provider.find_model(payload["model"])
        usage = read_usage(payload["usage"])
        assert model is not None
        assert usage is not None
        _, theirs = provider.extract_usage(
            {"model": payload["model"], "usage": payload["usage"]}, api_flavor="responses"
        )
        assert isinstance(theirs, genai_prices.Usage)
        ours = sum(line.cost_atto for line in rate(quote_of(model), usage, "USD").lines)
        priced = model.calc_price(theirs, provider, genai_request_timestamp=MOMENT)
        assert ours == int(priced.total_price.scaleb(18))


class TestReadUsage:
    @pytest.mark.parametrize("raw", [{}, {"total_tokens": 5}, {"input_tokens": None, "output_tokens": "x"}])
    def test_of_nothing_is_nothing(self, raw: dict[str, Any]) -> None:
        assert read_usage(raw) is None

    def test_of_zeros_is_zero(self) -> None:
        usage = read_usage({"input_tokens": 0, "output_tokens": 0, "total_tokens": 0})
        assert usage is not None
        assert (usage.quantities, usage.flags) == ({}, ())

    def test_takes_a_missing_side_from_the_sum(self) -> None:
        usage = read_usage({"input_tokens": 7, "total_tokens": 9})
        assert usage is not None
        assert usage.quantities == {Meter.IN_FRESH: 7, Meter.OUT_TEXT: 2}

    def test_knows_by_the_sum_where_reasoning_is_counted(self) -> None:
        raw = {"input_tokens": 7, "output_tokens": 5, "output_tokens_details": {"reasoning_tokens": 3}}
        inside, beside = (read_usage({**raw, "total_tokens": total}) for total in (12, 15))
        assert inside is not None
        assert beside is not None
        assert inside.quantities == {Meter.IN_FRESH: 7, Meter.OUT_TEXT: 2, Meter.OUT_REASONING: 3}
        assert beside.quantities == {Meter.IN_FRESH: 7, Meter.OUT_TEXT: 5, Meter.OUT_REASONING: 3}
        assert inside.flags == beside.flags == ()

    @pytest.mark.parametrize(
        ("raw", "flag"),
        [
            ({"input_tokens": 7}, USAGE_INCOMPLETE),
            ({"input_tokens": 7, "output_tokens": 1, "total_tokens": 9}, FLAG_TOTAL_MISMATCH),
            ({"input_tokens": 7, "output_tokens": 1, "total_tokens": -1}, FLAG_MALFORMED),
            (
                {"input_tokens": 7, "output_tokens": 1, "input_tokens_details": {"cached_tokens": 8}},
                FLAG_SUBSET_MISMATCH,
            ),
            (
                {
                    "input_tokens": 7,
                    "output_tokens": 1,
                    "input_tokens_details": {
                        "cache_write_tokens": 2,
                        "cache_write_tokens_details": {"ttl_30m_tokens": 3},
                    },
                },
                FLAG_SUBSET_MISMATCH,
            ),
        ],
    )
    def test_flags_what_does_not_add_up(self, raw: dict[str, Any], flag: str) -> None:
        usage = read_usage(raw)
        assert usage is not None
        assert usage.flags == (flag,)

    @given(COUNTS, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS)
    def test_the_classes_always_add_up(  # noqa: PLR0913, PLR0917 - the parts of one usage
        self, sent: int, came: int, cached: int, short: int, long: int, reasoned: int
    ) -> None:
        lives = {"ttl_30m_tokens": short, "ttl_12h_tokens": long}
        usage = read_usage(
            {
                "input_tokens": sent,
                "output_tokens": came,
                "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens_details": lives},
                "output_tokens_details": {"reasoning_tokens": reasoned},
            }
        )
        assert usage is not None
        assert (usage.input_tokens, usage.output_tokens) == (sent, came)

    @given(
        st.fixed_dictionaries(
            {},
            optional={**dict.fromkeys(NAMES[:3], ANYTHING), **dict.fromkeys(NAMES[3:], DETAILS | ANYTHING)},
        )
    )
    def test_nothing_breaks_it(self, raw: dict[str, Any]) -> None:
        usage = read_usage(raw)
        assert usage is None or all(quantity > 0 for quantity in usage.quantities.values())
