"""Wrong versions of the gateway's and the worker's code, each with the scene that must notice.

`old` is text of the module's source, found there exactly once; `new` stands in its place. The scenes are in
`scenes.py`, those that need a whole gateway in `stack_scenes.py`.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonMutant:
    name: str
    module: str
    old: str
    new: str
    scene: str


def mutants(module: str, *rows: tuple[str, str, str, str]) -> tuple[PythonMutant, ...]:
    """(name, scene, old, new) for one module."""
    return tuple(
        PythonMutant(name=name, module=module, scene=scene, old=old, new=new)
        for name, scene, old, new in rows
    )


TREASURY: Final = mutants(
    "bursar.gateway.treasury",
    (
        "admit_without_looking_at_life",
        "nothing_is_admitted_past_the_end_of_life",
        "if not self._process.may_admit() or (account.exposed and account.funds() < amount):",
        "if account.exposed and account.funds() < amount:",
    ),
    (
        "settle_for_nothing",
        "a_sale_is_spent",
        "self.account.lease.settle(self.amount, sale)",
        "self.account.lease.settle(self.amount, 0)",
    ),
    (
        "settle_and_keep_the_hold",
        "an_extension_belongs_to_its_hold",
        "self.account.lease.settle(self.amount, sale)",
        "self.account.lease.settle(0, sale)",
    ),
    (
        "grants_are_added_up",
        "a_lease_is_what_the_books_say",
        "account.lease_id = grant.lease_id\n                account.lease.grant(grant.granted)",
        (
            "account.lease_id = grant.lease_id\n"
            "                account.lease.grant(account.lease.granted + grant.granted)"
        ),
    ),
    (
        "a_refusal_says_nothing_about_the_lease",
        "a_grant_whose_answer_was_lost_is_not",
        "                if grant.lease_id is not None:  #",
        "                if grant.lease_id is None:  #",
    ),
    (
        "numbers_are_used_again",
        "a_lease_is_what_the_books_say",
        "        account.op += 1\n        process_id = self._process.process_id\n",
        "        account.op = 1\n        process_id = self._process.process_id\n",
    ),
    (
        "give_sql_first",
        "a_give_in_doubt_is_not_counted_on",
        "            account.lease.give(amount)  # memory first\n",
        "",
    ),
    (
        "ask_for_everything_again",
        "only_what_is_missing_is_asked_for",
        "        need = amount - account.lease.free\n",
        "        need = amount\n",
    ),
    (
        "an_extension_is_lost",
        "an_extension_belongs_to_its_hold",
        "        hold.amount += extra\n",
        "",
    ),
    (
        "the_dead_keep_their_leases",
        "a_swept_process_forgets_its_leases",
        "        for account in self._accounts.values():\n            account.close()\n",
        "",
    ),
) + mutants(
    "bursar.core.leases",
    (
        "hold_without_cutting",
        "a_hold_is_cut_out_of_the_lease",
        "        self.outstanding += amount\n",
        "",
    ),
)

LIFE: Final = mutants(
    "bursar.gateway.life",
    (
        "life_never_ends",
        "nothing_is_admitted_past_the_end_of_life",
        "return self._clock.life_ms() < self._admit_until_ms",
        "return self._admit_until_ms > 0",
    ),
    (
        "life_stands_still_in_suspend",
        "suspended_time_counts_as_life",
        "return self._clock.life_ms() < self._admit_until_ms",
        "return self._clock.monotonic_ms() < self._admit_until_ms",
    ),
    (
        "a_beat_counts_from_its_answer",
        "a_beat_counts_from_when_it_was_sent",
        "learnt of our death while the beat was on its way\n            self._admit_until_ms = sent_ms +",
        (
            "learnt of our death while the beat was on its way\n"
            "            self._admit_until_ms = self._clock.life_ms() +"
        ),
    ),
    (
        "the_dead_go_on",
        "a_swept_process_is_reborn_as_somebody_else",
        "        if not alive:\n            self.die(self.process_id)\n        elif",
        "        if",
    ),
    (
        "reborn_as_the_same",
        "a_swept_process_is_reborn_as_somebody_else",
        "        self.process_id = self._new_id()\n        try",
        "        try",
    ),
    (
        "reborn_with_old_leases",
        "a_swept_process_is_reborn_as_somebody_else",
        "        for told in self.on_death:\n            told()\n",
        "",
    ),
)

FLUSHING: Final = mutants(
    "bursar.gateway.flushing",
    (
        "released_before_the_commit",
        "nothing_is_released_before_its_commit",
        "                reply = await self._flush(rows, marks)\n            except",
        (
            "                self._release(batch, FlushReply(late=False, balances={}, quarantined=()))\n"
            "                reply = await self._flush(rows, marks)\n            except"
        ),
    ),
    (
        "released_without_the_disk",
        "while_postgres_is_away_an_answer_waits_for_the_disk",
        "            await self._on_disk(self._spool.append, rows, marks)\n",
        "            await asyncio.sleep(0)\n",
    ),
    (
        "released_though_the_disk_refused",
        "without_a_disk_nothing_is_released",
        "waiting.durable.set_exception(NotDurable(str(error)))",
        "waiting.durable.set_result(None)",
    ),
    (
        "spooled_and_forgotten",
        "what_was_spooled_is_booked_once",
        "            self._keep_replaying(path, orphaned=False)\n",
        "            path.exists()\n",
    ),
    (
        "a_replay_gives_up",
        "a_replay_that_is_interrupted_goes_on",
        "            if not await self._replay(path, orphaned=True):\n",
        "            if await self._replay(path, orphaned=True):\n",
    ),
    (
        "a_replay_throws_the_file_away_first",
        "a_replay_that_is_interrupted_goes_on",
        "        refused = await self._book(rows)\n",
        "        path.unlink()\n        refused = await self._book(rows)\n",
    ),
    (
        "nothing_of_a_lost_commit_is_spooled",
        "what_was_spooled_is_booked_once",
        "        await self._commit_to_spool(batch, rows, marks)\n\n",
        "        await self._commit_to_spool(batch, [], marks)\n\n",
    ),
    (
        "a_stop_breaks_off_replays",
        "a_stop_lets_a_replay_end",
        "            await asyncio.wait(self._replaying, timeout=REPLAY_WAIT_S)\n",
        "            self._wake.set()\n",
    ),
    (
        "marks_of_the_dead_stay_marks",
        "a_mark_in_a_spool_left_behind_is_settled",
        "        if orphaned:  # their process is gone",
        "        if not orphaned:  # their process is gone",
    ),
    (
        "lateness_is_ignored",
        "a_late_flush_tells_the_process_that_it_is_dead",
        "        if reply.late:\n            self._process.die(process_id)\n",
        "",
    ),
)

SPOOL: Final = mutants(
    "bursar.gateway.spool",
    (
        "append_without_fsync",
        "a_row_is_on_the_disk_before_it_counts",
        "            os.fsync(self._descriptor)\n            self._is_torn = False\n",
        "            self._is_torn = False\n",
    ),
    (
        "a_failed_write_stays",
        "a_row_that_did_not_reach_the_disk_is_not_booked_later",
        "                os.ftruncate(self._descriptor, size)\n",
        "                os.fstat(self._descriptor)\n",
    ),
    (
        "torn_lines_count",
        "a_torn_line_is_no_row",
        " or kind not in {ROW, MARK} or digest(row) != head:",
        " or kind not in {ROW, MARK}:",
    ),
    (
        "the_living_are_replayed",
        "the_spool_of_a_living_process_is_left_alone",
        "    try:\n        return _try_lock(lock)\n",
        "    try:\n        return True\n",
    ),
    (
        "spools_left_behind_are_not_found",
        "a_replay_that_is_interrupted_goes_on",
        '[*folder.glob(f"*{SUFFIX}"), *folder.glob(f"*{TAKEN_SUFFIX}")]',
        '[*folder.glob(f"*{TAKEN_SUFFIX}")]',
    ),
)

SWEEPING: Final = mutants(
    "bursar.db.sweeping",
    (
        "trusted_at_first_sight",
        "a_sweeper_trusts_no_server_that_it_has_not_seen_for_a_life",
        "return timedelta(milliseconds=now_ms - self._up_since_ms) >= self._life",
        "return True",
    ),
    (
        "a_pause_is_no_break",
        "a_sweeper_trusts_no_server_that_it_has_not_seen_for_a_life",
        " and paused <= self._unseen_max\n",
        "\n",
    ),
)

STACK: Final = (
    mutants(
        "bursar.gateway.settle",
        (
            "the_request_s_hold_is_settled_for_nothing",
            "an_answer_is_spent_before_it_is_released",
            "    ticket.hold.settle(verdict.sale)\n",
            "    ticket.hold.settle(0)\n",
        ),
        (
            "rows_name_no_lease",
            "an_answer_is_spent_before_it_is_released",
            "        lease_id=ticket.hold.lease_id,\n",
            "        lease_id=None,\n",
        ),
    )
    + mutants(
        "bursar.gateway.measure",
        (
            "a_broken_stream_is_whole",
            "a_broken_stream_is_sold_as_far_as_it_was_delivered",
            "    if measured.error is not None or not measured.terminal:\n",
            "    if measured.error is not None:\n",
        ),
        (
            "an_estimate_goes_beyond_the_hold",
            "an_estimate_never_exceeds_its_hold",
            "sale=min(sold.sale, ticket.hold.amount) if payment.within_hold else sold.sale,",
            "sale=sold.sale,",
        ),
        (
            "the_caller_pays_twice_for_his_input",
            "a_broken_stream_is_sold_as_far_as_it_was_delivered",
            "        quantities[Meter.OUT_TEXT] = output_tokens\n",
            "        quantities[Meter.OUT_TEXT] = output_tokens + ticket.call.input_tokens\n",
        ),
    )
    + mutants(
        "bursar.gateway.streaming",
        (
            "streams_leave_no_marks",
            "a_running_stream_leaves_a_mark",
            "            leave_mark(self._gw, self._ticket, self._attempt)\n",
            "",
        ),
    )
    + mutants(
        "bursar.core.fees",
        (
            "own_requests_cost_us",
            "a_request_on_an_own_credential_is_sold_for_the_fee",
            "listed._replace(cost=0, sale=",
            "listed._replace(sale=",
        ),
        (
            "fees_are_of_what_we_would_ask",
            "a_request_on_an_own_credential_is_sold_for_the_fee",
            "sum(line.cost_atto for line in listed.lines)",
            "sum(line.sale_atto for line in listed.lines)",
        ),
    )
    + mutants(
        "bursar.gateway.own_keys",
        (
            "ours_help_out",
            "an_own_credential_is_not_helped_out_by_ours",
            "    if rules.falls_back or not (own or own_only):\n",
            "    if True:\n",
        ),
        (
            "everywhere_is_allowed",
            "nothing_outside_the_allowed_regions_is_asked",
            "    return rules.allowed_regions is None or route.region in rules.allowed_regions\n",
            "    return True\n",
        ),
    )
    + mutants(
        "bursar.gateway.snapshot",
        (
            "what_nobody_can_open_is_not_there",
            "a_credential_that_nobody_can_open_claims_its_provider",
            'claims.setdefault(row["organisation_id"], {})[row["provider_id"]] = ()',
            'claims.setdefault(row["organisation_id"], {})',
        ),
    )
)

MUTANTS: Final = (*TREASURY, *LIFE, *FLUSHING, *SPOOL, *SWEEPING)
STACK_MUTANTS: Final = STACK
