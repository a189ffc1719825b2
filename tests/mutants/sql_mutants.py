"""Wrong versions of the functions that move money, each with the story that must notice.

`old` is text of a file in `bursar/db/migrations/sql`, found there exactly once; `new` stands in its place.
The stories are those of `tests/db/stories_of_*.py`, told there against the true functions, and of
`sql_stories.py`.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlMutant:
    name: str
    file: str
    old: str
    new: str
    story: str


def mutants(file: str, *rows: tuple[str, str, str, str]) -> tuple[SqlMutant, ...]:
    """(name, story, old, new) for one file."""
    return tuple(
        SqlMutant(name=name, file=file, story=story, old=old, new=new) for name, story, old, new in rows
    )


HOLDS: Final = mutants(
    "leases.sql",
    (
        "take_without_locking_the_wallet",
        "a_take_waits_for_the_one_before_it",
        "PERFORM FROM wallet WHERE id = p_wallet AND organisation_id = p_organisation FOR NO KEY UPDATE;",
        "PERFORM FROM wallet WHERE id = p_wallet AND organisation_id = p_organisation;",
    ),
    (
        "take_less_than_is_needed",
        "a_poor_wallet_leases_exactly_what_is_needed",
        "    IF extra < p_need THEN",
        "    IF extra < 0 THEN",
    ),
    (
        "take_more_than_there_is",
        "a_poor_wallet_leases_exactly_what_is_needed",
        "    extra := least(extra, room + greatest(coalesce(lease.burned - lease.granted, 0), 0));\n",
        "",
    ),
    (
        "take_a_whole_wallet",
        "a_take_grants_at_least_the_need_and_no_more_than_a_twentieth",
        "least(p_want, room / 20, p_cap",
        "least(p_want, room, p_cap",
    ),
    (
        "take_twice_for_one_number",
        "a_repeated_take_answers_the_same_and_grants_once",
        "    IF lease.op >= p_op THEN\n",
        "    IF lease.op > p_op THEN\n",
    ),
    (
        "take_for_a_dead_process",
        "a_closed_process_takes_nothing",
        "    PERFORM FROM process WHERE id = p_process AND state = 'alive' FOR KEY SHARE;\n    IF NOT FOUND",
        "    PERFORM FROM process WHERE id = p_process FOR KEY SHARE;\n    IF NOT FOUND",
    ),
    (
        "take_against_an_expired_lot",
        "an_expired_lot_breaks_save_what_is_held_and_is_tried_again",
        "    room := bursar_grantable(p_wallet, p_scope_class, p_now, false);\n    -- What",
        "    room := bursar_grantable(p_wallet, p_scope_class, p_now, true);\n    -- What",
    ),
    (
        "take_without_counting_the_held",
        "forty_takes_of_ten_on_a_hundred_admit_ten",
        "UPDATE wallet SET held = held + new_amount - lease.amount WHERE id = p_wallet;",
        "PERFORM FROM wallet WHERE id = p_wallet;",
    ),
    (
        "scoped_money_covers_any_class",
        "money_for_images_never_backs_a_hold_for_text",
        "coalesce((SELECT remaining FROM lots WHERE scope_class IS NULL), 0)",
        "coalesce((SELECT sum(remaining) FROM lots), 0)",
    ),
    (
        "one_class_lends_its_money_to_another",
        "money_for_images_never_backs_a_hold_for_text",
        "sum(greatest(0, held - scoped))",
        "sum(held - scoped)",
    ),
    (
        "debts_do_not_count",
        "a_credit_limit_is_spendable_and_what_is_owed_is_not",
        "(wallet.credit_limit - wallet.owed\n",
        "(wallet.credit_limit\n",
    ),
    (
        "grant_on_a_lot_not_in_force",
        "a_lot_that_is_not_in_force_yet_pays_nothing",
        "WHERE wallet_id = p_wallet AND is_open AND effective_at <= p_now\n            AND (p_count_expired",
        "WHERE wallet_id = p_wallet AND is_open\n            AND (p_count_expired",
    ),
    (
        "give_back_what_is_spent",
        "a_give_never_uncovers_what_was_flushed",
        "less := least(p_amount, greatest(lease.granted - lease.spent, 0));",
        "less := least(p_amount, lease.granted);",
    ),
    (
        "give_twice_for_one_number",
        "a_repeated_give_gives_once",
        "    ELSIF lease.op >= p_op THEN\n        RETURN bursar_answer_again",
        "    ELSIF lease.op > p_op THEN\n        RETURN bursar_answer_again",
    ),
    (
        "a_dead_process_beats",
        "a_closed_process_takes_nothing",
        "UPDATE process SET last_beat_at = clock_timestamp() WHERE id = p_process AND state = 'alive';",
        "UPDATE process SET last_beat_at = clock_timestamp() WHERE id = p_process;",
    ),
)

FLUSHES: Final = mutants(
    "flush.sql",
    (
        "replay_spends_again",
        "a_replayed_flush_changes_nothing",
        "NULL, 0, 0)::bursar_booked];",
        "(p_row ->> 'lease_id')::uuid, 9, 1)::bursar_booked];",
    ),
    (
        "replay_is_a_conflict",
        "a_replayed_flush_changes_nothing",
        "bool_or(content_hash = p_hash) AS is_replay",
        "false AS is_replay",
    ),
    (
        "other_content_passes_for_a_replay",
        "the_same_key_with_other_content_is_quarantined",
        "bool_or(content_hash = p_hash) AS is_replay",
        "true AS is_replay",
    ),
    (
        "revision_books_the_sale_twice",
        "a_final_row_replaces_what_was_booked_from_its_mark",
        "'sale', (p_row ->> 'sale')::bigint - p_sale,",
        "'sale', (p_row ->> 'sale')::bigint,",
    ),
    (
        "revision_books_the_cost_twice",
        "a_cheaper_final_row_comes_back_as_a_refund",
        "'cost', (p_row ->> 'cost')::bigint - p_cost))",
        "'cost', (p_row ->> 'cost')::bigint))",
    ),
    (
        "spending_replaces_what_was_spent",
        "a_replayed_flush_changes_nothing",
        "UPDATE hold SET spent = spent + sums.sale",
        "UPDATE hold SET spent = sums.sale",
    ),
    (
        "sales_are_not_spent",
        "a_flush_books_rows_and_spends_the_lease",
        "    PERFORM bursar_spend(booked);\n    RETURN",
        "    RETURN",
    ),
    (
        "the_first_mark_stays",
        "a_newer_mark_replaces_an_older_one",
        "row = excluded.row, marked_at",
        "marked_at",
    ),
    (
        "nobody_is_late",
        "a_dead_process_is_booked_late_and_told_so",
        "    late := NOT FOUND;",
        "    late := false;",
    ),
    (
        "flush_does_not_wait_for_the_sweeper",
        "a_flush_that_meets_a_sweep_is_late",
        "    PERFORM FROM process WHERE id = p_process AND state = 'alive' FOR KEY SHARE;\n    late",
        "    PERFORM FROM process WHERE id = p_process AND state = 'alive';\n    late",
    ),
    (
        "a_bad_row_takes_the_others_with_it",
        "one_bad_row_does_not_keep_the_others_from_being_booked",
        "bursar_insert_usage(json_build_array(item.row), ARRAY[item.hash], p_late);",
        "bursar_insert_usage(p_rows, p_hashes, p_late);",
    ),
    (
        "balance_forgets_what_is_not_posted",
        "a_flush_books_rows_and_spends_the_lease",
        "SELECT sum(spent - burned) FROM hold",
        "SELECT sum(0) FROM hold",
    ),
) + mutants(
    "projects.sql",
    (
        "a_team_passes_for_a_project",
        "every_revision_says_where_the_key_was",
        "r.raw_usage, r.project_id, r.team_id\n",
        "r.raw_usage, r.team_id, r.project_id\n",
    ),
    (
        "an_end_leaves_its_mark",
        "an_end_takes_its_mark_away",
        "FROM inserted WHERE inserted.streamed OR inserted.latency_ms >= 1000))",
        "FROM inserted WHERE inserted.latency_ms >= 1000))",
    ),
    (
        "a_whole_answer_leaves_its_mark",
        "a_whole_answer_that_took_long_takes_its_mark_away",
        "FROM inserted WHERE inserted.streamed OR inserted.latency_ms >= 1000))",
        "FROM inserted WHERE inserted.streamed))",
    ),
)

POSTINGS: Final = mutants(
    "post.sql",
    (
        "post_without_locking_the_wallets",
        "a_posting_waits_for_a_take_under_way",
        "    PERFORM FROM wallet WHERE id = ANY (wallets) ORDER BY id FOR NO KEY UPDATE;      -- (a)\n",
        "",
    ),
    (
        "post_what_is_posted",
        "two_posters_share_the_rows_and_post_none_twice",
        "UPDATE usage SET posting = p_run\n        WHERE posting IS NULL AND",
        "UPDATE usage SET posting = p_run\n        WHERE",
    ),
    (
        "burn_without_priority",
        "scoped_lots_burn_first_then_priority_expiry_cost_basis_age",
        "PARTITION BY lot.wallet_id, lot.scope_class ORDER BY lot.priority,\n",
        "PARTITION BY lot.wallet_id, lot.scope_class ORDER BY\n",
    ),
    (
        "burn_general_lots_first",
        "scoped_lots_burn_first_then_priority_expiry_cost_basis_age",
        "lot.scope_class = due.scope_class ELSE lot.scope_class IS NULL END)",
        "lot.scope_class IS NULL ELSE lot.scope_class = 'text' END)",
    ),
    (
        "burn_each_lot_for_the_whole",
        "scoped_lots_burn_first_then_priority_expiry_cost_basis_age",
        "least(remaining, due - before)::bigint AS amount FROM lots WHERE before < due",
        "least(remaining, due)::bigint AS amount FROM lots",
    ),
    (
        "burn_a_lot_not_in_force",
        "a_lot_that_is_not_in_force_yet_pays_nothing",
        "AND lot.is_open AND lot.effective_at <= p_now\n",
        "AND lot.is_open\n",
    ),
    (
        "burn_general_lots_for_what_scoped_lots_paid",
        "the_rest_of_several_classes_burns_general_lots_once",
        "            UNION ALL SELECT wallet_id, -amount FROM unnest(scoped)) AS rest\n",
        "            ) AS rest\n",
    ),
    (
        "burn_without_consumption",
        "a_usage_refund_posts_first_and_returns_to_its_lots_in_reverse",
        "        FROM burns JOIN ledger_transaction AS txn\n",
        "        FROM burns JOIN ledger_transaction AS txn ON false JOIN wallet\n",
    ),
    (
        "the_rest_is_nobody_s_debt",
        "a_burn_spans_lots_and_the_rest_is_owed",
        "UNION ALL SELECT wallet_id, -amount FROM unnest(burned)) AS parts),",
        "UNION ALL SELECT wallet_id, -sale FROM unnest(sold)) AS parts),",
    ),
    (
        "a_closing_lease_grows",
        "a_closing_lease_never_grows_by_what_comes_late",
        "ELSE least(hold.amount, greatest(hold.spent - hold.burned - sums.sale, 0)) END AS amount",
        "ELSE greatest(hold.spent - hold.burned, 0) END AS amount",
    ),
    (
        "a_lease_does_not_burn",
        "a_closing_lease_covers_what_is_spent_and_closes_when_that_is_posted",
        "hold.burned + sums.sale AS burned,",
        "hold.burned AS burned,",
    ),
    (
        "a_closing_lease_never_closes",
        "a_closing_lease_covers_what_is_spent_and_closes_when_that_is_posted",
        "state = CASE WHEN hold.state = 'closing' AND news.amount = 0 THEN 'closed' ELSE hold.state END",
        "state = hold.state",
    ),
    (
        "posting_holds_on_to_the_money",
        "a_closing_lease_covers_what_is_spent_and_closes_when_that_is_posted",
        "ARRAY(SELECT ROW(wallet_id, -amount)::bursar_amount FROM unnest(bursar_lower_leases(sold)))",
        "ARRAY(SELECT ROW(wallet_id, 0 * amount)::bursar_amount FROM unnest(bursar_lower_leases(sold)))",
    ),
    (
        "an_overrun_calls_nobody_back",
        "spending_beyond_the_lease_is_booked_in_full",
        "FROM news WHERE overrun > old_overrun) AS told",
        "FROM news WHERE false) AS told",
    ),
    (
        "cost_without_a_creditor",
        "a_burn_spans_lots_and_the_rest_is_owed",
        "        UNION ALL SELECT wallet_id, 'provider_payable', provider_id, cost FROM costs\n",
        "",
    ),
    (
        "returns_are_forgotten",
        "a_cheaper_final_row_comes_back_as_a_refund",
        "    PERFORM bursar_post_returns(returned, p_now);\n",
        "",
    ),
)

REFUNDS: Final = mutants(
    "returns.sql",
    (
        "return_to_the_first_lot_first",
        "a_usage_refund_posts_first_and_returns_to_its_lots_in_reverse",
        "ORDER BY newest DESC",
        "ORDER BY newest",
    ),
    (
        "return_before_debt",
        "a_usage_refund_forgives_debt_first_and_what_was_repaid_becomes_a_lot",
        "SELECT least(p_amount, owed) INTO forgiven FROM",
        "SELECT 0 INTO forgiven FROM",
    ),
    (
        "return_to_another_class",
        "a_refund_for_text_never_comes_back_as_image_credit",
        "            AND (lot.scope_class IS NULL OR lot.scope_class = p_scope_class)\n",
        "",
    ),
    (
        "return_the_same_burn_twice",
        "a_usage_refund_posts_first_and_returns_to_its_lots_in_reverse",
        "WHERE back.returns_of = taken.transaction_id AND back.lot_id = taken.lot_id), 0)",
        "WHERE back.returns_of = taken.transaction_id AND false), 0)",
    ),
    (
        "what_nobody_takes_is_lost",
        "a_usage_refund_forgives_debt_first_and_what_was_repaid_becomes_a_lot",
        "    IF left_over > 0 THEN\n",
        "    IF left_over > p_amount THEN\n",
    ),
) + mutants(
    "ledger.sql",
    (
        "refund_more_than_the_sale",
        "a_usage_refund_is_at_most_the_sale",
        "IF p_amount > sold.sale - refunded THEN",
        "IF p_amount > sold.sale THEN",
    ),
    (
        "refund_before_posting",
        "a_usage_refund_posts_first_and_returns_to_its_lots_in_reverse",
        (
            "    PERFORM bursar_post_wallet(p_wallet, p_now);\n"
            "    SELECT * INTO target FROM wallet WHERE id = p_wallet;\n    SELECT attempt"
        ),
        "    SELECT attempt",
    ),
    (
        "pay_back_what_is_held",
        "a_top_up_is_paid_back_only_as_far_as_unspent_and_unheld",
        "free := least(lot.remaining, bursar_grantable(p_wallet, lot.scope_class, p_now, true));",
        "free := lot.remaining;",
    ),
    (
        "a_top_up_repays_nothing",
        "a_top_up_repays_debt_first_but_a_scoped_gift_does_not",
        "THEN least(p_amount, target.owed) ELSE 0 END;",
        "THEN 0 ELSE 0 END;",
    ),
    (
        "one_key_for_two_contents",
        "a_key_does_its_work_once",
        "IF written.content_hash IS DISTINCT FROM p_hash AND written.id IS NOT NULL THEN",
        "IF false THEN",
    ),
    (
        "one_key_works_twice",
        "a_key_does_its_work_once",
        "    RETURN written.id;\n",
        "    RETURN NULL;\n",
    ),
    (
        "a_lower_limit_calls_nobody_back",
        "a_lower_credit_limit_is_a_fact_and_calls_leases_back",
        "IF bursar_overrun(target.posted, target.held, target.owed, p_credit_limit) > target.overrun THEN",
        "IF false THEN",
    ),
)

SWEEPS: Final = mutants(
    "sweep.sql",
    (
        "sweep_a_process_that_beats",
        "a_process_that_beats_again_is_not_swept",
        "        AND (p_life IS NULL OR last_beat_at < clock_timestamp() - p_life) FOR UPDATE;",
        "        FOR UPDATE;",
    ),
    (
        "sweep_without_waiting_for_flushes",
        "a_flush_that_meets_a_sweep_is_late",
        "        AND (p_life IS NULL OR last_beat_at < clock_timestamp() - p_life) FOR UPDATE;",
        "        AND (p_life IS NULL OR last_beat_at < clock_timestamp() - p_life);",
    ),
    (
        "close_a_lease_that_is_not_paid",
        "a_closing_lease_covers_what_is_spent_and_closes_when_that_is_posted",
        "least(amount, greatest(spent - burned, 0)) AS amount\n",
        "0::bigint AS amount\n",
    ),
    (
        "close_a_lease_and_keep_its_money",
        "a_process_that_beats_again_is_not_swept",
        "    PERFORM bursar_change_wallets('{}', '{}', lowered);\n",
        "",
    ),
    (
        "marks_are_thrown_away",
        "a_newer_mark_replaces_an_older_one",
        "    PERFORM bursar_spend(bursar_settle_marks(p_process, p_now));\n",
        "",
    ),
    (
        "marks_are_settled_but_not_spent",
        "a_final_row_replaces_what_was_booked_from_its_mark",
        "    PERFORM bursar_spend(bursar_settle_marks(p_process, p_now));\n",
        "    PERFORM bursar_settle_marks(p_process, p_now);\n",
    ),
    (
        "expire_before_posting",
        "expiry_posts_before_it_breaks",
        "    PERFORM bursar_post_wallet(p_wallet, p_now);\n    FOR lot",
        "    FOR lot",
    ),
    (
        "break_what_is_held",
        "an_expired_lot_breaks_save_what_is_held_and_is_tried_again",
        "part := least(lot.remaining, bursar_grantable(p_wallet, lot.scope_class, p_now, true));",
        "part := lot.remaining;",
    ),
    (
        "break_what_is_in_force",
        "an_expired_lot_breaks_save_what_is_held_and_is_tried_again",
        "AND is_open AND expires_at <= p_now\n        ORDER BY scope_class IS NULL",
        "AND is_open AND expires_at <= p_now - interval '10 days'\n        ORDER BY scope_class IS NULL",
    ),
)

MUTANTS: Final = (*HOLDS, *FLUSHES, *POSTINGS, *REFUNDS, *SWEEPS)
