"""Wrong versions of the functions that move money: each must make its story fail, or the books check.

A mutant is a function with one piece of its text replaced. One that survives shows a story missing.
"""

import asyncio
from typing import NamedTuple

import psycopg
import pytest
import stories_of_flushes  # noqa: F401 -- registers its stories
import stories_of_leases  # noqa: F401 -- registers its stories
import stories_of_money  # noqa: F401 -- registers its stories
from desk import Desk
from stories import STORIES

from bursar.db.checks import check_books, is_clean
from bursar.db.connect import Role
from bursar.db.engine import Database
from scratch_database import ScratchDatabase


class Mutant(NamedTuple):
    """In ``function``, ``wrong`` instead of ``right``; ``story`` must notice."""

    does: str
    function: str
    right: str
    wrong: str
    story: str


MUTANTS = (
    Mutant(
        "forgets what others hold",
        "bursar_cover",
        "coalesce(holds.amount, 0) AS held",
        "0 AS held",
        "forty_takes_of_ten_on_a_hundred_admit_ten",
    ),
    Mutant(
        "takes without the wallet's lock",
        "bursar_take",
        "AND organisation_id = p_organisation FOR NO KEY UPDATE",
        "AND organisation_id = p_organisation",
        "two_takes_wait_for_each_other",
    ),
    Mutant(
        "backs text with image money",
        "bursar_cover",
        "sum(greatest(0, held - scoped))",
        "sum(held - scoped)",
        "money_for_images_never_backs_a_hold_for_text",
    ),
    Mutant(
        "does a repeated take again",
        "bursar_take",
        "IF lease.op >= p_op THEN",
        "IF false THEN",
        "a_repeated_take_answers_the_same_and_grants_once",
    ),
    Mutant(
        "grants against expired lots",
        "bursar_cover",
        "(p_count_expired OR expires_at IS NULL OR expires_at > p_now)",
        "(true)",
        "an_expired_lot_breaks_save_what_is_held_and_is_tried_again",
    ),
    Mutant(
        "grants against lots not in force yet",
        "bursar_cover",
        "is_open AND effective_at <= p_now",
        "is_open",
        "a_lot_that_is_not_in_force_yet_pays_nothing",
    ),
    Mutant(
        "lends again what is owed",
        "bursar_cover",
        "wallet.credit_limit - wallet.owed",
        "wallet.credit_limit",
        "a_credit_limit_is_spendable_and_what_is_owed_is_not",
    ),
    Mutant(
        "leases half a wallet at once",
        "bursar_take",
        "room / 20",
        "room / 2",
        "a_take_grants_at_least_the_need_and_no_more_than_a_twentieth",
    ),
    Mutant(
        "forgets a refusal",
        "bursar_take",
        "op_state = 'refused'",
        "op_state = 'active'",
        "a_refusal_is_remembered_too",
    ),
    Mutant(
        "gives away what was flushed",
        "bursar_give",
        "greatest(lease.granted - lease.spent, 0)",
        "lease.granted",
        "a_give_never_uncovers_what_was_flushed",
    ),
    Mutant(
        "does a repeated give again",
        "bursar_give",
        "ELSIF lease.op >= p_op THEN",
        "ELSIF false THEN",
        "a_repeated_give_gives_once",
    ),
    Mutant(
        "takes a replay for a conflict",
        "bursar_revise_usage",
        "booked.is_replay OR",
        "",
        "a_replayed_flush_changes_nothing",
    ),
    Mutant(
        "takes a conflict for a replay",
        "bursar_revise_usage",
        "bool_or(content_hash = p_hash)",
        "true",
        "the_same_key_with_other_content_is_quarantined",
    ),
    Mutant(
        "fails a batch for one bad row",
        "bursar_flush",
        "data_exception OR integrity_constraint_violation OR raise_exception OR ",
        "",
        "one_bad_row_does_not_keep_the_others_from_being_booked",
    ),
    Mutant(
        "books a final row on top of its mark",
        "bursar_revise_usage",
        "booked.revision + 1, booked.sale,",
        "booked.revision + 1, 0,",
        "a_final_row_replaces_what_was_booked_from_its_mark",
    ),
    Mutant(
        "brings a late mark back to life",
        "bursar_upsert_marks",
        "WHERE NOT EXISTS",
        "WHERE true OR NOT EXISTS",
        "a_mark_that_comes_after_the_end_stays_dead",
    ),
    Mutant(
        "keeps the mark of what has ended",
        "bursar_insert_usage",
        "FROM inserted WHERE inserted.streamed OR inserted.latency_ms >= 1000))",
        "FROM inserted WHERE false))",
        "an_end_takes_its_mark_away",
    ),
    Mutant(
        "keeps marks that nobody will sweep",
        "bursar_flush",
        "IF late AND cardinality(p_mark_hashes) > 0 THEN",
        "IF false THEN",
        "a_mark_of_a_dead_process_is_booked_at_once",
    ),
    Mutant(
        "flushes without the process's lock",
        "bursar_flush",
        "FOR KEY SHARE",
        "",
        "a_mark_under_way_is_seen_by_the_sweeper",
    ),
    Mutant(
        "does not notice that it is late",
        "bursar_flush",
        "late := NOT FOUND",
        "late := false",
        "a_dead_process_is_booked_late_and_told_so",
    ),
    Mutant(
        "does not spend the lease",
        "bursar_spend",
        "spent = spent + sums.sale",
        "spent = spent",
        "a_flush_books_rows_and_spends_the_lease",
    ),
    Mutant(
        "posts what was posted",
        "bursar_stamp",
        "WHERE posting IS NULL AND wallet_id = ANY (p_wallets) AND started_at",
        "WHERE wallet_id = ANY (p_wallets) AND started_at",
        "a_replayed_flush_changes_nothing",
    ),
    Mutant(
        "burns general lots for what scoped ones paid",
        "bursar_post",
        "UNION ALL SELECT wallet_id, -amount FROM unnest(scoped)) AS rest",
        ") AS rest",
        "the_rest_of_several_classes_burns_general_lots_once",
    ),
    Mutant(
        "burns another class's lots",
        "bursar_burn",
        "lot.scope_class = due.scope_class",
        "lot.scope_class IS NOT NULL",
        "scoped_lots_burn_first_then_priority_expiry_cost_basis_age",
    ),
    Mutant(
        "burns low priority first",
        "bursar_burn",
        "ORDER BY lot.priority,",
        "ORDER BY -lot.priority,",
        "scoped_lots_burn_first_then_priority_expiry_cost_basis_age",
    ),
    Mutant(
        "burns lots that never expire first",
        "bursar_burn",
        "lot.expires_at NULLS LAST",
        "lot.expires_at NULLS FIRST",
        "scoped_lots_burn_first_then_priority_expiry_cost_basis_age",
    ),
    Mutant(
        "burns purchases before gifts",
        "bursar_burn",
        "lot.cost_basis, lot.created_at, lot.seq)",
        "-lot.cost_basis, lot.created_at, lot.seq)",
        "scoped_lots_burn_first_then_priority_expiry_cost_basis_age",
    ),
    Mutant(
        "burns lots not in force yet",
        "bursar_burn",
        "lot.is_open AND lot.effective_at <= p_now",
        "lot.is_open",
        "a_lot_that_is_not_in_force_yet_pays_nothing",
    ),
    Mutant(
        "forgets the debt in the ledger",
        "bursar_entry_lines",
        "burned - sale FROM sales",
        "0 FROM sales",
        "a_burn_spans_lots_and_the_rest_is_owed",
    ),
    Mutant(
        "keeps holding what was posted",
        "bursar_lower_leases",
        "sum(old_amount - amount)",
        "sum(old_amount - old_amount)",
        "a_give_never_uncovers_what_was_flushed",
    ),
    Mutant(
        "calls no lease back",
        "bursar_change_wallets",
        "WHERE overrun > old_overrun",
        "WHERE false",
        "spending_beyond_the_lease_is_booked_in_full",
    ),
    Mutant(
        "keeps a closing lease whole",
        "bursar_close_leases",
        "least(amount, greatest(spent - burned, 0))",
        "amount",
        "a_closing_lease_covers_what_is_spent_and_closes_when_that_is_posted",
    ),
    Mutant(
        "closes a lease that is still spent",
        "bursar_close_leases",
        "least(amount, greatest(spent - burned, 0))",
        "0",
        "a_closing_lease_covers_what_is_spent_and_closes_when_that_is_posted",
    ),
    Mutant(
        "never ends a closing lease",
        "bursar_lower_leases",
        "hold.state = 'closing' AND news.amount = 0",
        "false",
        "a_closing_lease_covers_what_is_spent_and_closes_when_that_is_posted",
    ),
    Mutant(
        "sweeps a process that beats",
        "bursar_close_process",
        "(p_life IS NULL OR last_beat_at < clock_timestamp() - p_life)",
        "true",
        "a_process_that_beats_again_is_not_swept",
    ),
    Mutant(
        "forgets the marks of the dead",
        "bursar_settle_marks",
        "WHERE process_id = p_process;\n    IF",
        "WHERE false;\n    IF",
        "a_newer_mark_replaces_an_older_one",
    ),
    Mutant(
        "breaks what is held",
        "bursar_expire",
        "least(lot.remaining, bursar_grantable(p_wallet, lot.scope_class, p_now, true))",
        "lot.remaining",
        "an_expired_lot_breaks_save_what_is_held_and_is_tried_again",
    ),
    Mutant(
        "recalls what has expired only once",
        "bursar_expire",
        "PERFORM pg_notify('bursar_recall', p_wallet::text);",
        "NULL;",
        "an_expired_lot_breaks_save_what_is_held_and_is_tried_again",
    ),
    Mutant(
        "breaks before it posts",
        "bursar_expire",
        "PERFORM bursar_post_wallet(p_wallet, p_now);",
        "",
        "expiry_posts_before_it_breaks",
    ),
    Mutant(
        "refunds the same sale twice",
        "bursar_refund_usage",
        "IF p_amount > sold.sale - refunded THEN",
        "IF p_amount > sold.sale THEN",
        "a_usage_refund_is_at_most_the_sale",
    ),
    Mutant(
        "refunds before it posts",
        "bursar_refund_usage",
        "PERFORM bursar_post_wallet(p_wallet, p_now);",
        "",
        "a_usage_refund_posts_first_and_returns_to_its_lots_in_reverse",
    ),
    Mutant(
        "refunds into lots while there is debt",
        "bursar_return_sale",
        "SELECT least(p_amount, owed) INTO",
        "SELECT 0 INTO",
        "a_usage_refund_forgives_debt_first_and_what_was_repaid_becomes_a_lot",
    ),
    Mutant(
        "returns more than a lot gave",
        "bursar_return_sale",
        "least(left_over, burn.unreturned)",
        "least(left_over, burn.unreturned + 5)",
        "a_usage_refund_forgives_debt_first_and_what_was_repaid_becomes_a_lot",
    ),
    Mutant(
        "returns to the first lot first",
        "bursar_return_sale",
        "ORDER BY newest DESC",
        "ORDER BY newest",
        "a_usage_refund_posts_first_and_returns_to_its_lots_in_reverse",
    ),
    Mutant(
        "returns text money as image credit",
        "bursar_return_sale",
        "(lot.scope_class IS NULL OR lot.scope_class = p_scope_class)",
        "true",
        "a_refund_for_text_never_comes_back_as_image_credit",
    ),
    Mutant(
        "pays held money back",
        "bursar_refund_top_up",
        "least(lot.remaining, bursar_grantable(p_wallet, lot.scope_class, p_now, true))",
        "lot.remaining",
        "a_top_up_is_paid_back_only_as_far_as_unspent_and_unheld",
    ),
    Mutant(
        "lets one key do two things",
        "bursar_written_before",
        "written.content_hash IS DISTINCT FROM p_hash AND written.id IS NOT NULL",
        "false",
        "a_key_does_its_work_once",
    ),
    Mutant(
        "does what a key did again",
        "bursar_set_credit_limit",
        "IF txn_id IS NOT NULL THEN",
        "IF false THEN",
        "a_key_does_its_work_once",
    ),
    Mutant(
        "tops up without repaying",
        "bursar_top_up",
        "is_paid OR p_scope_class IS NULL",
        "false",
        "a_top_up_repays_debt_first_but_a_scoped_gift_does_not",
    ),
    Mutant(
        "lets image gifts repay text",
        "bursar_top_up",
        "is_paid OR p_scope_class IS NULL",
        "true",
        "a_top_up_repays_debt_first_but_a_scoped_gift_does_not",
    ),
    Mutant(
        "refuses a fact",
        "bursar_set_credit_limit",
        "overrun = bursar_overrun(posted, held, owed, p_credit_limit)",
        "overrun = overrun",
        "a_lower_credit_limit_is_a_fact_and_calls_leases_back",
    ),
)


def apply(database: ScratchDatabase, mutant: Mutant) -> None:
    with psycopg.connect(database.url, autocommit=True) as administrator:
        row = administrator.execute("SELECT pg_get_functiondef(%s::regproc)", [mutant.function]).fetchone()
        assert row is not None
        assert row[0].count(mutant.right) == 1, f"{mutant.right!r} is not in {mutant.function} exactly once"
        administrator.execute(row[0].replace(mutant.right, mutant.wrong))


async def books_are_clean(database: ScratchDatabase) -> bool:
    worker = Database(database.url, Role.WORKER)
    findings = await check_books(worker)
    await worker.close()
    return is_clean(findings)


class TestMutants:
    @pytest.mark.broken_books
    @pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.does)
    def test_are_caught(self, database: ScratchDatabase, mutant: Mutant) -> None:
        apply(database, mutant)
        try:
            with Desk(database) as desk:
                STORIES[mutant.story](desk)
        except (AssertionError, psycopg.Error, pytest.fail.Exception):
            return  # the story noticed
        assert not asyncio.run(books_are_clean(database)), "nobody noticed"

    def test_are_many(self) -> None:
        assert len(MUTANTS) >= 20
        assert {mutant.story for mutant in MUTANTS} <= set(STORIES)
