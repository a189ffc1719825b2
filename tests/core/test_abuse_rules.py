from collections.abc import Mapping
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.core.abuse import (
    RULES,
    SCORE_MAX,
    SPIKE_FLOOR_MAJOR,
    Observed,
    Rule,
    Thresholds,
    Verdict,
    heaviest,
    points,
    score,
    strongest,
    verdict,
)
from bursar.core.money import ASSET_SCALE

WRITTEN = Path(__file__).parents[2] / "docs" / "abuse-rules.md"
VALUES = st.dictionaries(st.sampled_from(Rule), st.integers(0, 10**6), max_size=len(Rule))


class TestPoints:
    @given(st.sampled_from(Rule), st.integers(0, 10**6), st.integers(0, 10**6))
    def test_are_never_fewer_for_more(self, rule: Rule, value: int, more: int) -> None:
        assert 0 <= points(rule, value) <= points(rule, value + more) <= RULES[rule].most

    @pytest.mark.parametrize("rule", Rule)
    def test_begin_and_end_where_the_rule_says(self, rule: Rule) -> None:
        weight = RULES[rule]
        assert points(rule, weight.begins - 1) == 0
        assert points(rule, weight.begins) == weight.first > 0
        assert points(rule, 10**9) == weight.most


class TestScore:
    @given(VALUES)
    def test_is_between_nothing_and_all(self, values: Mapping[Rule, int]) -> None:
        assert 0 <= score(values) <= SCORE_MAX

    @given(VALUES, st.sampled_from(Rule), st.integers(0, 10**6))
    def test_falls_with_nothing_that_is_found_besides(
        self, values: dict[Rule, int], rule: Rule, value: int
    ) -> None:
        assert score(values) <= score({**values, rule: max(value, values.get(rule, 0))})

    @given(VALUES.filter(bool))
    def test_is_told_by_its_heaviest_part(self, values: Mapping[Rule, int]) -> None:
        told = heaviest(values)
        assert all(points(told, values[told]) >= points(rule, value) for rule, value in values.items())

    def test_of_no_single_rule_suspends_but_a_card_of_many(self) -> None:
        worst = {rule: score({rule: 10**9}) for rule in Rule}
        alone = {rule for rule, total in worst.items() if verdict(total, Thresholds()) is Verdict.SUSPEND}
        assert alone == {Rule.ACCOUNTS_PER_CARD}
        by_cards = [verdict(score({Rule.ACCOUNTS_PER_CARD: cards}), Thresholds()) for cards in (1, 2, 3, 4)]
        assert by_cards == ["nothing", "queue", "queue", "suspend"]


class TestStrongest:
    @given(st.lists(st.tuples(st.sampled_from(Rule), st.integers(0, 50)), max_size=20))
    def test_keeps_the_greatest_of_each_rule_in_any_order(self, seen: list[tuple[Rule, int]]) -> None:
        observed = [Observed(organisation_id=UUID(int=1), rule=rule, value=value) for rule, value in seen]
        found = {rule: one.value for rule, one in strongest(observed).items()}
        assert found == {rule: max(v for r, v in seen if r == rule) for rule, _ in seen}
        assert list(found) == list(strongest(reversed(observed)))


class TestVerdict:
    @pytest.mark.parametrize(
        ("total", "what"), [(0, "nothing"), (29, "nothing"), (30, "queue"), (79, "queue"), (80, "suspend")]
    )
    def test_follows_the_thresholds(self, total: int, what: str) -> None:
        assert verdict(total, Thresholds()) == what

    def test_can_be_switched_off(self) -> None:
        never = Thresholds(queue=SCORE_MAX + 1, suspend=SCORE_MAX + 1)
        assert verdict(SCORE_MAX, never) is Verdict.NOTHING


class TestWrittenRules:
    def test_are_the_ones_in_force(self) -> None:
        text = WRITTEN.read_text()
        for rule, one in RULES.items():
            more = f"{one.more} per {one.step:,}" if one.step > 1 else str(one.more)
            row = f"| `{rule}` | {one.begins:,} | {one.first} | {more} | {one.most} |"
            assert row in text, row
        floors = ", ".join(f"{asset} {major:,}" for asset, major in SPIKE_FLOOR_MAJOR.items())
        assert floors in text, floors

    def test_know_a_floor_for_every_currency(self) -> None:
        assert set(SPIKE_FLOOR_MAJOR) <= set(ASSET_SCALE)
