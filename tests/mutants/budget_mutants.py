"""Wrong versions of the functions that promise budgets; see `sql_mutants`."""

from typing import Final

from sql_mutants import mutants

BUDGETS: Final = mutants(
    "limits.sql",
    (
        "take_without_locking_the_budget",
        "a_budget_is_taken_by_one_at_a_time",
        "FROM json_array_elements(p_asks) AS ask)\n        ORDER BY id FOR NO KEY UPDATE;",
        "FROM json_array_elements(p_asks) AS ask)\n        ORDER BY id;",
    ),
    (
        "take_from_those_that_have",
        "budgets_are_taken_all_or_none",
        "coalesce(bool_and(need <=",
        "coalesce(bool_or(need <=",
    ),
    (
        "heed_what_comes_late",
        "a_give_that_comes_late_changes_nothing",
        "            AND slice.op < p_op\n",
        "",
    ),
    (
        "promise_what_is_overdrawn",
        "a_budget_remembers_facts_beyond_its_grant",
        "(SELECT sum(greatest(granted, spent)) FROM budget_slice",
        "(SELECT sum(granted) FROM budget_slice",
    ),
    (
        "grant_what_is_overdrawn_twice",
        "a_budget_remembers_facts_beyond_its_grant",
        "'overdrawn', greatest(slice.spent - slice.granted, 0)",
        "'overdrawn', 0",
    ),
    (
        "believe_the_last_word_on_spending",
        "a_budget_never_forgets_what_was_said_to_be_spent",
        "SET spent = greatest(slice.spent, (ask ->> 'spent')::bigint), op = p_op",
        "SET spent = (ask ->> 'spent')::bigint, op = p_op",
    ),
    (
        "give_back_what_was_spent",
        "a_budget_never_forgets_what_was_said_to_be_spent",
        "'amount', least((ask ->> 'amount')::bigint, greatest(slice.granted - slice.spent, 0))",
        "'amount', (ask ->> 'amount')::bigint",
    ),
    (
        "say_nothing_of_what_was_spent",
        "a_process_that_forgot_hears_what_it_spent",
        "slice.granted, slice.spent,",
        "slice.granted, 0::bigint,",
    ),
    (
        "promise_to_the_dead",
        "a_closed_process_takes_from_no_budget",
        "WHERE id = p_process AND state = 'alive' FOR KEY SHARE;",
        "WHERE id = p_process FOR KEY SHARE;",
    ),
    (
        "slice_a_whole_budget",
        "a_slice_leaves_most_of_a_budget_to_others",
        "slice.period_start) / 20))",
        "slice.period_start)))",
    ),
)
