"""Budgets: what is promised is never more than there is, and what was used is never forgotten."""

import json
from typing import Any, Final
from uuid import UUID

import psycopg
from desk import Desk
from samples import new_id
from stories import beside, story

from bursar.db.books import GIVE_BUDGETS, TAKE_BUDGETS
from bursar.db.connect import Role

START_MS: Final = 1_790_000_000_000


def new_budget(desk: Desk, amount: int) -> UUID:
    budget_id = new_id()
    desk.operator.execute(
        "INSERT INTO budget (id, organisation_id, name, unit, amount, period, created_at)"
        " VALUES (%s, %s, 'test', 'requests', %s, 'once', now())",
        [budget_id, desk.customer().organisation_id, amount],
    )
    return budget_id


def asked(
    desk: Desk, question: str, op: int, process: UUID, *asks: dict[str, Any], connection: Any = None
) -> list[dict[str, Any]]:
    told = json.dumps([{"period_start_ms": START_MS, "spent": 0, **ask} for ask in asks], default=str)
    row = (connection or desk.gateway).execute(question, [op, process, told]).fetchone()
    assert row is not None
    return row[0] or []


def take(desk: Desk, op: int, process: UUID, *asks: dict[str, Any], connection: Any = None) -> Any:
    """The state, and of each budget what is granted and what is promised to nobody."""
    asks = tuple({"want": ask["need"], **ask} for ask in asks)
    answer = asked(desk, TAKE_BUDGETS, op, process, *asks, connection=connection)
    return answer[0]["state"], *[(one["granted"], one["unpromised"]) for one in answer]


def give(desk: Desk, op: int, process: UUID, *asks: dict[str, Any]) -> Any:
    (one,) = asked(desk, GIVE_BUDGETS, op, process, *asks)
    return one["granted"], one["unpromised"]


@story
def a_budget_is_taken_by_one_at_a_time(desk: Desk) -> None:
    budget, first, second = new_budget(desk, 100), desk.open_process(), desk.open_process()
    answers = []

    def second_takes() -> None:
        answers.append(take(desk, 1, second, {"budget_id": budget, "need": 60}))

    with psycopg.connect(desk.database.conninfo(Role.GATEWAY)) as under_way:
        assert take(desk, 1, first, {"budget_id": budget, "need": 60}, connection=under_way)[0] == "active"
        with beside(second_takes, waits=True):
            under_way.commit()
    assert answers == [("refused", (0, 40))]


@story
def budgets_are_taken_all_or_none(desk: Desk) -> None:
    wide, narrow, process = new_budget(desk, 100), new_budget(desk, 5), desk.open_process()
    both = sorted([wide, narrow])
    needs = {wide: 50, narrow: 6}
    asks = [{"budget_id": one, "need": needs[one]} for one in both]
    state, *slices = take(desk, 1, process, *asks)
    assert state == "refused"
    assert sorted(slices) == [(0, 5), (0, 100)]
    asks = [{"budget_id": one, "need": 5} for one in both]
    assert take(desk, 2, process, *asks)[0] == "active"


@story
def a_give_that_comes_late_changes_nothing(desk: Desk) -> None:
    budget, process = new_budget(desk, 100), desk.open_process()
    take(desk, 1, process, {"budget_id": budget, "need": 50})
    take(desk, 3, process, {"budget_id": budget, "need": 20})
    assert give(desk, 2, process, {"budget_id": budget, "amount": 50}) == (70, 30)
    assert give(desk, 4, process, {"budget_id": budget, "amount": 50}) == (20, 80)


@story
def a_budget_remembers_facts_beyond_its_grant(desk: Desk) -> None:
    budget, process, other = new_budget(desk, 100), desk.open_process(), desk.open_process()
    take(desk, 1, process, {"budget_id": budget, "need": 10})
    assert give(desk, 2, process, {"budget_id": budget, "amount": 0, "spent": 95}) == (10, 5)
    assert take(desk, 1, other, {"budget_id": budget, "need": 6}) == ("refused", (0, 5))
    # What is overdrawn is promised already: the grant may catch up with it.
    assert take(desk, 3, process, {"budget_id": budget, "need": 90, "spent": 95}) == ("active", (100, 0))


@story
def a_budget_never_forgets_what_was_said_to_be_spent(desk: Desk) -> None:
    budget, process = new_budget(desk, 100), desk.open_process()
    take(desk, 1, process, {"budget_id": budget, "need": 40})
    give(desk, 2, process, {"budget_id": budget, "amount": 0, "spent": 30})
    assert give(desk, 3, process, {"budget_id": budget, "amount": 40, "spent": 20}) == (30, 70)


@story
def a_process_that_forgot_hears_what_it_spent(desk: Desk) -> None:
    budget, process = new_budget(desk, 100), desk.open_process()
    take(desk, 1, process, {"budget_id": budget, "need": 40})
    give(desk, 2, process, {"budget_id": budget, "amount": 10, "spent": 30})
    (one,) = asked(desk, TAKE_BUDGETS, 3, process, {"budget_id": budget, "need": 5, "want": 5})
    assert (one["state"], one["granted"], one["spent"]) == ("active", 35, 30)


@story
def a_closed_process_takes_from_no_budget(desk: Desk) -> None:
    budget, process = new_budget(desk, 100), desk.open_process()
    take(desk, 1, process, {"budget_id": budget, "need": 40})
    desk.close_process(process)
    assert take(desk, 2, process, {"budget_id": budget, "need": 1})[0] == "dead"
    other = desk.open_process()
    assert take(desk, 1, other, {"budget_id": budget, "need": 61}) == ("refused", (0, 60))


@story
def a_slice_leaves_most_of_a_budget_to_others(desk: Desk) -> None:
    budget, process = new_budget(desk, 1_000), desk.open_process()
    assert take(desk, 1, process, {"budget_id": budget, "need": 10, "want": 900}) == ("active", (50, 950))
    assert take(desk, 2, process, {"budget_id": budget, "need": 20, "want": 30}) == ("active", (80, 920))
