from collections.abc import Mapping
from dataclasses import replace
from itertools import permutations
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.core.lots import (
    Burn,
    Consumption,
    Cover,
    Lot,
    LotInvalid,
    LotKind,
    burn,
    burn_key,
    cover,
    give_back,
    spendable,
)

NOW_MS = 1_000
CLASSES = ("image", "text", "video")


def lot(number: int, amount: int = 10, **others: Any) -> Lot:
    plain = Lot(
        lot_id=UUID(int=number),
        kind=LotKind.PURCHASE,
        original=amount,
        remaining=amount,
        effective_at_ms=0,
        created_at_ms=0,
    )
    return replace(plain, **others)


@st.composite
def wallets(draw: st.DrawFn) -> list[Lot]:
    lots = []
    for number in range(draw(st.integers(0, 8))):
        original = draw(st.integers(1, 100))
        effective_at_ms = draw(st.integers(0, 2 * NOW_MS))
        lots.append(
            lot(
                number,
                original,
                remaining=draw(st.integers(0, original)),
                effective_at_ms=effective_at_ms,
                expires_at_ms=draw(st.none() | st.integers(effective_at_ms + 1, 3 * NOW_MS)),
                scope_class=draw(st.none() | st.sampled_from(CLASSES)),
                priority=draw(st.integers(0, 2)),
                cost_basis=draw(st.integers(0, 2)),
            )
        )
    return lots


by_class = st.dictionaries(st.sampled_from(CLASSES), st.integers(0, 100))


class TestLot:
    def test_is_in_force_from_its_effect_until_just_before_its_expiry(self) -> None:
        one = lot(1, effective_at_ms=10, expires_at_ms=20)
        assert [one.in_force(at_ms) for at_ms in (9, 10, 19, 20)] == [False, True, True, False]
        assert not one.expired(19)
        assert one.expired(20)

    @pytest.mark.parametrize("remaining", [-1, 11])
    def test_refuses_to_hold_less_than_nothing_or_more_than_it_was(self, remaining: int) -> None:
        with pytest.raises(LotInvalid, match="remain"):
            lot(1, 10, remaining=remaining)

    def test_refuses_to_expire_before_it_takes_effect(self) -> None:
        with pytest.raises(LotInvalid, match="expires before"):
            lot(1, effective_at_ms=20, expires_at_ms=20)


class TestBurnOrder:
    def test_is_scoped_then_priority_then_expiry_then_cost_basis_then_age(self) -> None:
        ordered = [
            lot(9, scope_class="text", priority=2),
            lot(8, priority=1),
            lot(7, priority=2, expires_at_ms=50, cost_basis=9),
            lot(6, priority=2, expires_at_ms=60, cost_basis=1),
            lot(5, priority=2, cost_basis=1, created_at_ms=9),
            lot(4, priority=2, cost_basis=2, created_at_ms=1),
            lot(3, priority=2, cost_basis=2, created_at_ms=2, seq=1),
            lot(2, priority=2, cost_basis=2, created_at_ms=2, seq=2),
        ]
        for shuffled in list(permutations(ordered))[::997]:
            assert sorted(shuffled, key=burn_key) == ordered

    def test_settles_ties_by_id(self) -> None:
        assert sorted([lot(2), lot(1)], key=burn_key) == [lot(1), lot(2)]


class TestBurn:
    def test_takes_scoped_lots_first_then_general_ones_and_leaves_the_rest(self) -> None:
        lots = [lot(1, 5), lot(2, 3, scope_class="text"), lot(3, 4, scope_class="image")]
        burns, owed = burn(lots, {"text": 7, "image": 1, "video": 2}, NOW_MS)
        assert dict(burns) == {UUID(int=2): 3, UUID(int=3): 1, UUID(int=1): 5}
        assert owed == 1

    def test_leaves_lots_that_have_not_started(self) -> None:
        assert burn([lot(1, 5, effective_at_ms=NOW_MS + 1)], {"text": 5}, NOW_MS) == ((), 5)

    def test_takes_expired_lots_that_nobody_broke_yet(self) -> None:
        expired = lot(1, 5, expires_at_ms=NOW_MS)
        assert burn([expired], {"text": 5}, NOW_MS) == ((Burn(expired.lot_id, 5),), 0)

    @given(wallets(), by_class)
    def test_loses_nothing_and_takes_no_lot_below_zero(self, lots: list[Lot], sales: dict[str, int]) -> None:
        burns, owed = burn(lots, sales, NOW_MS)
        known = {one.lot_id: one for one in lots}
        assert sum(taken.amount for taken in burns) + owed == sum(sales.values())
        assert all(0 < taken.amount <= known[taken.lot_id].remaining for taken in burns)

    @given(wallets(), by_class)
    def test_never_pays_one_class_from_the_lots_of_another(
        self, lots: list[Lot], sales: dict[str, int]
    ) -> None:
        burns, _ = burn(lots, sales, NOW_MS)
        for name in CLASSES:
            own = {one.lot_id for one in lots if one.scope_class == name}
            assert sum(taken.amount for taken in burns if taken.lot_id in own) <= sales.get(name, 0)

    @given(wallets(), by_class)
    def test_owes_only_when_no_lot_could_have_paid(self, lots: list[Lot], sales: dict[str, int]) -> None:
        burns, owed = burn(lots, sales, NOW_MS)
        left = {one.lot_id: one.remaining for one in lots if one.started(NOW_MS)}
        for taken in burns:
            left[taken.lot_id] -= taken.amount
        if owed:
            assert not any(left[one.lot_id] for one in lots if one.scope_class is None and one.lot_id in left)

    @given(wallets(), by_class)
    def test_follows_the_burn_order(self, lots: list[Lot], sales: dict[str, int]) -> None:
        burns, _ = burn(lots, sales, NOW_MS)
        taken = dict(burns)
        for scope in (None, *CLASSES):
            own = [one for one in lots if one.scope_class == scope and one.started(NOW_MS)]
            left = [one.remaining - taken.get(one.lot_id, 0) for one in sorted(own, key=burn_key)]
            touched = [one.lot_id in taken for one in sorted(own, key=burn_key)]
            for place, later in enumerate(touched):
                assert not (later and any(left[:place]))


def passes(lots: list[Lot], held: Mapping[str, int], general_extra: int) -> bool:
    """The scope rule as written: what classes hold beyond their own lots must fit in general money."""
    beyond = 0
    for name in CLASSES:
        own = sum(one.remaining for one in lots if one.scope_class == name)
        beyond += max(0, held.get(name, 0) - own)
    return beyond <= sum(one.remaining for one in lots if one.scope_class is None) + general_extra


class TestScopeRule:
    @given(
        wallets(), by_class, st.integers(-50, 100), st.tuples(st.sampled_from(CLASSES), st.integers(1, 50))
    )
    def test_grants_exactly_what_it_allows(
        self, lots: list[Lot], held: dict[str, int], extra: int, asked: tuple[str, int]
    ) -> None:
        name, amount = asked
        allowed = passes(lots, {**held, name: held.get(name, 0) + amount}, extra)
        assert (amount <= cover(lots, held, credit_limit=extra + 50, owed=50).grantable(name)) == allowed

    def test_never_backs_text_with_money_for_images(self) -> None:
        lots = [lot(1, 100, scope_class="image"), lot(2, 10)]
        assert cover(lots, {}, 0, 0).grantable("text") == 10
        assert cover(lots, {"image": 105}, 0, 0).grantable("text") == 5
        assert cover(lots, {"text": 10}, 0, 0).grantable("image") == 100

    def test_counts_every_class_not_only_the_one_that_asks(self) -> None:
        lots = [lot(1, 10), lot(2, 5, scope_class="text")]
        assert cover(lots, {"image": 10}, 0, 0).grantable("text") == 5
        assert cover(lots, {"image": 11}, 0, 0).grantable("text") == 0

    @given(wallets(), by_class, st.integers(0, 100), st.integers(0, 50))
    def test_lets_no_more_leave_a_lot_than_uncovers_nothing(
        self, lots: list[Lot], held: dict[str, int], credit_limit: int, owed: int
    ) -> None:
        extra = credit_limit - owed
        before = cover(lots, held, credit_limit, owed)
        for place, one in enumerate(lots):
            amount = min(one.remaining, before.uncommitted(one.scope_class))
            if amount == 0:
                continue
            assert passes(
                [*lots[:place], replace(one, remaining=one.remaining - amount), *lots[place + 1 :]],
                held,
                extra,
            )
            if amount < one.remaining:
                less = replace(one, remaining=one.remaining - amount - 1)
                assert not passes([*lots[:place], less, *lots[place + 1 :]], held, extra)

    def test_commits_everything_once_debts_outgrew_the_money(self) -> None:
        outgrown = Cover(general=-1, scoped={"text": 10}, held={})
        assert (outgrown.uncommitted(None), outgrown.uncommitted("text"), outgrown.grantable("text")) == (
            0,
            0,
            0,
        )


class TestSpendable:
    def test_is_lots_in_force_and_limit_less_debts_and_holds(self) -> None:
        lots = [lot(1, 10), lot(2, 5, expires_at_ms=NOW_MS), lot(3, 7, effective_at_ms=NOW_MS + 1)]
        assert spendable(lots, NOW_MS, credit_limit=100, owed=3, held=4) == 103


class TestGiveBack:
    def test_returns_to_the_last_burned_first(self) -> None:
        consumptions = [Consumption(UUID(int=1), 5), Consumption(UUID(int=2), 4, refunded=1)]
        returns, rest = give_back(consumptions, 6)
        assert returns == (Burn(UUID(int=2), 3), Burn(UUID(int=1), 3))
        assert rest == 0

    def test_passes_over_what_came_back_already_and_reports_the_rest(self) -> None:
        returns, rest = give_back([Consumption(UUID(int=1), 5), Consumption(UUID(int=2), 4, refunded=4)], 6)
        assert returns == (Burn(UUID(int=1), 5),)
        assert rest == 1
