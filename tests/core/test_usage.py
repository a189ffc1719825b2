import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.core.usage import COUNTER_METERS, INPUT_METERS, OUTPUT_METERS, Meter, Usage, UsageInvalid

quantities = st.dictionaries(st.sampled_from(Meter), st.integers(0, 10**9))


class TestMeters:
    def test_belong_to_exactly_one_family(self) -> None:
        assert set(Meter) == INPUT_METERS | OUTPUT_METERS | COUNTER_METERS
        assert len(INPUT_METERS) + len(OUTPUT_METERS) + len(COUNTER_METERS) == len(Meter)


class TestUsage:
    @given(quantities)
    def test_adds_each_token_once(self, figures: dict[Meter, int]) -> None:
        usage = Usage(figures)
        counted = sum(usage.quantity(meter) for meter in COUNTER_METERS)
        assert usage.input_tokens + usage.output_tokens + counted == sum(figures.values())

    def test_counts_cached_input_as_input_and_reasoning_as_output(self) -> None:
        usage = Usage(
            {Meter.IN_FRESH: 5, Meter.CACHE_READ: 7, Meter.CACHE_WRITE_1H: 11, Meter.OUT_REASONING: 13}
        )
        assert (usage.input_tokens, usage.output_tokens) == (23, 13)

    def test_answers_zero_for_a_meter_it_does_not_name(self) -> None:
        assert Usage({}).quantity(Meter.WEB_SEARCH) == 0

    def test_refuses_a_negative_quantity(self) -> None:
        with pytest.raises(UsageInvalid):
            Usage({Meter.IN_FRESH: 1, Meter.CACHE_READ: -1})
