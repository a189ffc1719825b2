"""The books against the reference: the same random story told to both, compared after every sentence.

What the reference does not know, this keeps itself: leases (granted, spent, burned), unposted rows, marks.
Every figure is computed here from the rules, never read from the database to be compared with itself.
"""

import asyncio
import hashlib
from collections import defaultdict
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
from desk import Desk
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from model import ModelLease, ModelRow, Sold
from samples import Customer, new_id, usage_row

from bursar.core.auditor import InsufficientBalance, Posting, ReferenceWallet
from bursar.core.booking import UsageRow
from bursar.core.lots import Consumption, Lot, LotKind
from bursar.db.checks import check_books, is_clean
from bursar.db.connect import Role
from bursar.db.engine import Database

CLASSES = ("text", "image")
UNITS = st.integers(1, 400)
PICK = st.integers(0, 10_000)
CLASS = st.sampled_from(CLASSES)
HOUR_MS = 3_600_000


class BooksMachine(RuleBasedStateMachine):
    """One wallet, two processes that come and go."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.desk = desk
        self.leases: list[ModelLease] = []
        self.sold: dict[UUID, Sold] = {}
        self.sent: list[UsageRow] = []
        self.marks: dict[UUID, tuple[UUID, UsageRow]] = {}
        self.lots: list[UUID] = []
        self.runs = 0
        self.cost = 0

    @initialize(limit=st.sampled_from([0, 0, 300]), balance=st.sampled_from([0, 500, 3000]))
    def start(self, limit: int, balance: int) -> None:
        self.customer: Customer = self.desk.customer(credit_limit=limit)
        self.reference = ReferenceWallet(self.customer.organisation_id, "USD", limit)
        self.processes = [self.desk.open_process(), self.desk.open_process()]
        if balance:
            self.top_up(balance, "purchase", None, 0, 0)
        for process in range(2):
            self.take(process, "text", 60, 60, 10_000)

    @property
    def now_ms(self) -> int:
        return self.desk.clock.time_ms

    # Credits

    @rule(
        amount=UNITS,
        kind=st.sampled_from(["purchase", "manual", "promo", "cycle"]),
        scope_class=st.sampled_from([None, None, *CLASSES]),
        starts_h=st.sampled_from([0, 0, 0, 5]),
        lasts_h=st.sampled_from([0, 0, 3, 30]),
    )
    def top_up(self, amount: int, kind: str, scope_class: str | None, starts_h: int, lasts_h: int) -> None:
        is_paid = kind in {"purchase", "manual"}
        starts = self.desk.now + timedelta(hours=starts_h)
        ends = starts + timedelta(hours=lasts_h) if lasts_h else None
        options = {"kind": kind, "scope_class": scope_class, "effective_at": starts, "expires_at": ends}
        lot_id = self.desk.top_up(self.customer, amount, cost_basis=int(is_paid), **options)
        lot = Lot(
            lot_id=lot_id,
            kind=LotKind(kind),
            original=amount,
            remaining=amount,
            effective_at_ms=self.now_ms + starts_h * HOUR_MS,
            created_at_ms=self.now_ms,
            expires_at_ms=self.now_ms + (starts_h + lasts_h) * HOUR_MS if lasts_h else None,
            scope_class=scope_class,
            cost_basis=10**18 if is_paid else 0,
            seq=len(self.reference.lots),
        )
        (self.reference.top_up if is_paid else self.reference.grant)(str(lot_id), lot)
        self.lots.append(lot_id)
        if amount % 2:  # the same request again
            self.desk.top_up(self.customer, amount, cost_basis=int(is_paid), lot_id=lot_id, **options)

    @rule(limit=st.integers(0, 600))
    def set_credit_limit(self, limit: int) -> None:
        self.desk.set_credit_limit(self.customer, limit)
        self.reference.set_credit_limit(limit)

    @precondition(lambda self: self.lots)
    @rule(pick=PICK, amount=UNITS)
    def refund_top_up(self, pick: int, amount: int) -> None:
        lot_id = self.lots[pick % len(self.lots)]
        lot = self.reference.lots.get(lot_id)
        if lot is None or lot.kind not in {LotKind.PURCHASE, LotKind.MANUAL}:
            return
        self.model_posting()
        try:
            self.reference.refund_top_up(f"{new_id()}", lot_id, amount, self.now_ms)
        except InsufficientBalance as reason:
            self.expect_refusal(
                "BU012", reason.free, lambda: self.desk.refund_top_up(self.customer, lot_id, amount)
            )
            self.desk.post(self.customer)  # the refused transaction took its posting back
        else:
            self.desk.refund_top_up(self.customer, lot_id, amount)

    # Leases

    @rule(
        process=PICK,
        scope_class=CLASS,
        need=UNITS,
        want=st.integers(0, 2000),
        cap=st.sampled_from([50, 500, 10_000]),
    )
    def take(self, process: int, scope_class: str, need: int, want: int, cap: int) -> None:
        process_id = self.processes[process % len(self.processes)]
        lease = self.active_lease(process_id, scope_class)
        op = lease.op + 1 if lease else 1
        room = self.reference.grantable(scope_class, self.now_ms)
        held = self.reference.holds[lease.lease_id].amount if lease else 0
        deficit = lease.deficit if lease else 0
        extra = min(max(need, min(want, room // 20, cap - held)), room + deficit)
        answer = self.desk.take(
            process_id, self.customer, need, want=want, cap=cap, op=op, scope_class=scope_class
        )
        if extra < need:
            expected = (lease and lease.lease_id, op, lease.granted if lease else 0, room, "refused")
            assert tuple(answer) == expected
        else:
            assert answer.lease_id is not None
            if lease is None:
                lease = ModelLease(process_id, scope_class, answer.lease_id)
                self.leases.append(lease)
            lease.granted += extra
            grown = max(lease.granted - lease.burned, 0) - held
            self.reference.hold(lease.lease_id, scope_class, grown, self.now_ms)
            assert tuple(answer) == (lease.lease_id, op, lease.granted, room - grown, "active")
        if lease is not None:
            lease.op, lease.last = op, ("take", need, answer)

    @rule(pick=PICK, amount=UNITS)
    def give(self, pick: int, amount: int) -> None:
        lease = self.pick_active(pick)
        if lease is None:
            return
        lease.op += 1
        amount = min(amount, max(0, lease.granted - lease.spent))
        held = self.reference.holds[lease.lease_id].amount
        lease.granted -= amount
        self.reference.release(lease.lease_id, held - max(lease.granted - lease.burned, 0))
        answer = self.desk.give(
            lease.process_id,
            self.customer,
            lease.lease_id,
            amount,
            op=lease.op,
            scope_class=lease.scope_class,
        )
        room = self.reference.grantable(lease.scope_class, self.now_ms)
        assert tuple(answer) == (lease.lease_id, lease.op, lease.granted, room, "active")
        lease.last = ("give", amount, answer)

    @rule(pick=PICK)
    def repeat_the_last_operation(self, pick: int) -> None:
        lease = self.pick_active(pick)
        if lease is None or lease.last is None:
            return
        what, amount, answer = lease.last
        options = {"op": lease.op, "scope_class": lease.scope_class}
        if what == "take":
            again = self.desk.take(lease.process_id, self.customer, amount, **options)
        else:
            again = self.desk.give(lease.process_id, self.customer, lease.lease_id, amount, **options)
        assert again == answer

    # Usage

    @rule(pick=PICK, sales=st.lists(st.integers(0, 150), min_size=1, max_size=4))
    def flush(self, pick: int, sales: list[int]) -> None:
        lease = self.leases[pick % len(self.leases)] if self.leases else None
        if lease is None:
            return
        rows = [self.row_of(lease, sale) for sale in sales]
        reply = self.desk.flush(lease.process_id, rows)
        assert reply["late"] is not lease.is_active
        assert reply["quarantined"] == []
        for row in rows:
            self.book(row, lease)

    @precondition(lambda self: self.sent)
    @rule(picks=st.lists(PICK, min_size=1, max_size=6), fresh=st.integers(0, 50))
    def replay_and_reorder(self, picks: list[int], fresh: int) -> None:
        rows = [self.sent[pick % len(self.sent)] for pick in picks]
        lease = self.leases[picks[0] % len(self.leases)]
        new = self.row_of(lease, fresh)
        rows.insert(len(rows) // 2, new)
        assert self.desk.flush(self.processes[0], rows)["quarantined"] == []
        self.book(new, lease)

    @rule(pick=PICK, sale=st.integers(0, 150))
    def mark(self, pick: int, sale: int) -> None:
        lease = self.pick_active(pick)
        if lease is None:
            return
        running = [row for process_id, row in self.marks.values() if process_id == lease.process_id]
        mark = self.row_of(lease, sale, from_mark=True)
        if running and sale % 2:  # further progress of a running stream
            mark = replace(running[-1], sale=running[-1].sale + sale)
        self.desk.flush(lease.process_id, marks=[mark])
        self.marks[mark.request_id] = (lease.process_id, mark)

    @precondition(lambda self: self.marks)
    @rule(pick=PICK, change=st.integers(-60, 60))
    def finish_a_stream(self, pick: int, change: int) -> None:
        """In time, or after its process was swept: then the end corrects what the mark booked."""
        request_id = sorted(self.marks)[pick % len(self.marks)]
        process_id, mark = self.marks.pop(request_id)
        final = replace(mark, from_mark=False, sale=max(0, mark.sale + change))
        reply = self.desk.flush(process_id, [final])
        assert reply["quarantined"] == []
        self.book(final, self.lease_by_id(mark.lease_id))

    @rule()
    def post(self) -> None:
        self.desk.post(self.customer)
        self.model_posting()

    @rule(pick=PICK, sale=st.integers(20, 150), change=st.integers(-150, 60), is_posted=st.booleans())
    def crash_and_finish(self, pick: int, sale: int, change: int, is_posted: bool) -> None:  # noqa: FBT001 - drawn by Hypothesis
        """A stream's process dies; its end comes from the spool, before or after the mark was posted."""
        self.mark(pick, 2 * sale)
        self.sweep(pick)
        if is_posted:
            self.post()
        if self.marks:
            self.finish_a_stream(pick, change)

    @precondition(lambda self: self.sold)
    @rule(pick=PICK, percent=st.integers(1, 120))
    def refund_usage(self, pick: int, percent: int) -> None:
        request_id = sorted(self.sold)[pick % len(self.sold)]
        sold = self.sold[request_id]
        self.model_posting()
        left = sold.sale - sold.refunded
        amount = max(1, left * percent // 100)
        if amount > left:
            self.expect_refusal(
                "BU011", left, lambda: self.desk.refund_usage(self.customer, request_id, amount)
            )
            self.desk.post(self.customer)
            return
        transaction_id = self.desk.refund_usage(self.customer, request_id, amount)
        sold.rows[0].refunded += amount
        self.model_return(sold, amount, f"refund {transaction_id}", refund_lot_id(transaction_id))

    # Time

    @rule(pick=PICK)
    def sweep(self, pick: int) -> None:
        """A process stops; its marks are booked, its leases close, a new process takes its place."""
        process_id = self.processes.pop(pick % len(self.processes))
        assert self.desk.sweep_after_silence(process_id)
        assert not self.desk.beat(process_id)
        self.processes.append(self.desk.open_process())  # holds nothing until it takes
        for owner, mark in self.marks.values():
            if owner == process_id and mark.request_id not in self.sold:
                self.book(mark, self.lease_by_id(mark.lease_id))
        for lease in self.leases:
            if lease.process_id == process_id and lease.is_active:
                lease.is_active = False
                held = self.reference.holds[lease.lease_id].amount
                left = min(held, max(lease.spent - lease.burned, 0))
                self.reference.release(lease.lease_id, held - left)

    @rule(hours=st.integers(1, 12))
    def wait(self, hours: int) -> None:
        self.desk.clock.time_ms += hours * HOUR_MS

    @rule()
    def expire(self) -> None:
        self.model_posting()
        broken = self.reference.expire(
            f"expiry {self.runs} {self.now_ms} {len(self.reference.journal)}", self.now_ms
        )
        assert self.desk.expire(self.customer) == sum(broken.values())

    # Both say the same

    @invariant()
    def wallets_agree(self) -> None:
        if not hasattr(self, "customer"):
            return
        said = self.desk.wallet(self.customer)
        ours = self.reference
        assert tuple(said) == (ours.posted, ours.held, ours.owed, ours.overrun, ours.credit_limit)
        rows = self.desk.worker.execute(
            "SELECT id, remaining FROM credit_lot WHERE wallet_id = %s", [self.customer.wallet_id]
        )
        assert dict(rows.fetchall()) == {lot_id: lot.remaining for lot_id, lot in ours.lots.items()}

    def teardown(self) -> None:
        if not hasattr(self, "customer"):
            return
        for _ in range(2):
            self.sweep(0)
        self.post()
        self.wallets_agree()
        cost = -self.desk.entries(self.customer).get("provider_cost", 0)
        assert cost == sum(booked.row.cost for sold in self.sold.values() for booked in sold.rows)
        asyncio.run(assert_clean(self.desk.database.url))

    # The model

    def row_of(self, lease: ModelLease, sale: int, **changes: Any) -> UsageRow:
        return usage_row(
            self.customer,
            lease_id=lease.lease_id,
            scope_class=lease.scope_class,
            sale=sale,
            cost=sale // 3,
            **changes,
        )

    def book(self, row: UsageRow, lease: ModelLease) -> None:
        """What a flush of a row not seen before does; a final row after its mark becomes a revision."""
        sold = self.sold.setdefault(row.request_id, Sold())
        booked_cost = sum(booked.row.cost for booked in sold.rows)
        booked = replace(row, sale=row.sale - sold.sale, cost=row.cost - booked_cost)
        sold.rows.append(ModelRow(booked))
        lease.spent += max(booked.sale, 0)
        if not row.from_mark:
            self.sent.append(row)
            self.marks.pop(row.request_id, None)

    def model_posting(self) -> None:
        """Post every row that is not posted, as one run; then return what revisions took back."""
        pending = [
            (sold, booked) for sold in self.sold.values() for booked in sold.rows if booked.run is None
        ]
        if not pending:
            return
        self.runs += 1
        run = f"run {self.runs}"
        sales: dict[str, int] = defaultdict(int)
        lowers: dict[UUID, int] = defaultdict(int)
        for _, booked in pending:
            booked.run = run
            sale = max(booked.row.sale, 0)
            sales[booked.row.scope_class] += sale
            lease = self.lease_by_id(booked.row.lease_id)
            lease.burned += sale
            lowers[lease.lease_id] += sale
        self.reference.post_usage(run, sales, self.now_ms, lowers=lowers)
        returns = sorted(
            ((sold, booked) for sold, booked in pending if booked.row.sale < 0),
            key=lambda pair: pair[1].row.request_id,
        )
        for sold, booked in returns:
            request_id = booked.row.request_id
            self.model_return(
                sold, -booked.row.sale, f"revision {request_id}", self.revision_lot_id(request_id)
            )

    def model_return(self, sold: Sold, amount: int, source: str, lot_id: UUID) -> None:
        """Give a sale back: debt first, then what its postings burned, of its class, last burned first.

        The reference takes back one posting at a time, so exactly what comes back is set before it as one.
        """
        classes = {None, sold.rows[0].row.scope_class}
        runs = dict.fromkeys(booked.run for booked in sold.rows if booked.row.sale > 0)
        postings = [self.reference.postings.pop(run) for run in runs if run is not None]
        left = amount - min(amount, self.reference.owed)
        back: dict[UUID, int] = defaultdict(int)
        for posting in reversed(postings):
            for index, taken in reversed(list(enumerate(posting.consumptions))):
                part = min(left, taken.amount - taken.refunded)
                if part > 0 and self.reference.lots[taken.lot_id].scope_class in classes:
                    posting.consumptions[index] = taken._replace(refunded=taken.refunded + part)
                    back[taken.lot_id] += part
                    left -= part
        unsold = sum(posting.sale - posting.refunded for posting in postings)
        rest = [taken for posting in postings for taken in posting.consumptions]
        self.reference.postings["back"] = Posting(amount, [Consumption(*item) for item in back.items()])
        self.reference.postings["rest"] = Posting(unsold - amount, rest)
        leftover = Lot(
            lot_id=lot_id,
            kind=LotKind.REFUND,
            original=amount,
            remaining=amount,
            effective_at_ms=self.now_ms,
            created_at_ms=self.now_ms,
            seq=len(self.reference.lots),
        )
        self.reference.refund_usage(source, "back", amount, leftover)
        del self.reference.postings["back"], self.reference.postings["rest"]
        postings[0].refunded += amount  # which of them does not matter: limits are per row and kept here
        self.reference.postings |= {
            run: one for run, one in zip(runs, postings, strict=True) if run is not None
        }

    def revision_lot_id(self, request_id: UUID) -> UUID:
        """The id a leftover of this revision's return gets, if there is one."""
        row = self.desk.worker.execute(
            "SELECT id FROM ledger_transaction WHERE kind = 'usage_revision' AND request_id = %s",
            [request_id],
        ).fetchone()
        return refund_lot_id(row.id) if row else new_id()

    def expect_refusal(self, sqlstate: str, free: int, ask: Any) -> None:
        try:
            ask()
        except psycopg.Error as refusal:
            assert (refusal.sqlstate, refusal.diag.message_detail) == (sqlstate, str(free))  # noqa: PT017 - both outcomes are right, each in its case
        else:
            raise AssertionError(f"not refused: only {free} was free")

    def active_lease(self, process_id: UUID, scope_class: str) -> ModelLease | None:
        found = [
            lease
            for lease in self.leases
            if lease.is_active and (lease.process_id, lease.scope_class) == (process_id, scope_class)
        ]
        return found[0] if found else None

    def pick_active(self, pick: int) -> ModelLease | None:
        active = [lease for lease in self.leases if lease.is_active]
        return active[pick % len(active)] if active else None

    def lease_by_id(self, lease_id: UUID | None) -> ModelLease:
        return next(lease for lease in self.leases if lease.lease_id == lease_id)


def refund_lot_id(transaction_id: int) -> UUID:
    return UUID(hashlib.md5(f"refund:{transaction_id}".encode(), usedforsecurity=False).hexdigest())


async def assert_clean(url: str) -> None:
    database = Database(url, Role.WORKER)
    findings = await check_books(database)
    await database.close()
    assert is_clean(findings), [finding for finding in findings if finding.ok is False]
