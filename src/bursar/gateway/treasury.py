"""Leases in memory: the money this process may promise without asking PostgreSQL.

One `Account` per (wallet, scope class). A request's hold is cut out of the account with plain integer
arithmetic; only when the account runs short is the database asked, once at a time per account, in numbered
operations whose replies are absolute (ADR 0002). Take: SQL first, memory after. Give: memory first, SQL
after, never restored on doubt.

Memory grows with the organisations this process has served since it started (about 400 bytes each), never
with requests.
"""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol
from uuid import UUID

import structlog

from bursar.core.booking import Give, Grant, Take
from bursar.core.leases import SLICE_SECONDS, Lease
from bursar.gateway.errors import GatewayError, books_unavailable
from bursar.gateway.life import Process
from bursar.gateway.ports import Books, GatewayClock

log = structlog.get_logger()

RECALL_WAITS_MS: Final = (15, 30, 55)  # ≤ 100 ms in all: MONEY §3, "recall others"
DRY_MS: Final = 100  # how long a refusal answers for equal or larger asks without asking again
SLICE_REQUESTS: Final = 16  # a slice covers at least this many requests like the one at hand
TEND_INTERVAL_MS: Final = 1_000
LEASES_TRIED_MAX: Final = 2  # a lease is closed once in a process's life; twice within one request is a fault


class Unfunded(Exception):
    """The wallet cannot cover the ask.

    Attributes:
        spendable: units of the wallet's asset that could be spent, this account's free part included.
    """

    def __init__(self, spendable: int) -> None:
        super().__init__(f"spendable {spendable}")
        self.spendable = spendable


class LeaseReplaced(Exception):
    """The books closed this account's lease; the treasury has a fresh account to ask instead."""


class Account:
    """This process's lease on one wallet for one scope class, and what it knows of the wallet beside it.

    Attributes:
        lease: the sums; all amounts in units of the wallet's asset.
        spendable: what the wallet had left beside this lease, as PostgreSQL last said.
        op: number of the last operation asked on this lease; one is in flight at a time (`lock`).
        burn_per_s: recent sales per second.
        is_closed: its lease ended; nothing more may be promised on it, what is promised is still settled.
        exposed: what requests held for less than their most may still come to; not to be counted on twice.
        in_doubt: the answer to the last operation was lost, so the lease may hold more than is known here.
        used_at_ms: when a hold was last cut.
    """

    __slots__ = (
        "burn_per_s",
        "dry_amount",
        "dry_until_ms",
        "exposed",
        "in_doubt",
        "is_closed",
        "lease",
        "lease_id",
        "lock",
        "op",
        "organisation_id",
        "scope_class",
        "spendable",
        "spent_mark",
        "used_at_ms",
        "wallet_id",
    )

    def __init__(self, wallet_id: UUID, organisation_id: UUID, scope_class: str) -> None:
        self.wallet_id = wallet_id
        self.organisation_id = organisation_id
        self.scope_class = scope_class
        self.lease = Lease()
        self.lease_id: UUID | None = None
        self.spendable = 0
        self.op = 0
        self.lock = asyncio.Lock()
        self.burn_per_s = 0
        self.spent_mark = 0
        self.used_at_ms = 0
        self.dry_until_ms = 0
        self.dry_amount = 0
        self.is_closed = False
        self.exposed = 0
        self.in_doubt = False

    def close(self) -> None:
        """Forget the lease: nothing of it is free any more."""
        self.is_closed = True
        self.lease.grant(self.lease.spent + self.lease.outstanding)

    def is_dry(self, amount: int, now_ms: int) -> bool:
        return now_ms < self.dry_until_ms and amount >= self.dry_amount

    def funds(self) -> int:
        """What could be promised now, as far as this process knows."""
        return self.spendable + max(self.lease.free, 0) - self.exposed


class Closing(Protocol):
    """What ends with a hold: its request's place within its limits (`bursar.gateway.claims`)."""

    def close(self, sale: int) -> None: ...


class Hold:
    """Money promised to one request, until it is settled (once)."""

    __slots__ = ("account", "amount", "claim", "exposed", "is_open", "lease_id")

    def __init__(self, account: Account, amount: int) -> None:
        self.account = account
        self.lease_id = account.lease_id
        self.amount = amount
        self.exposed = 0
        self.is_open = True
        self.claim: Closing | None = None

    @property
    def most(self) -> int:
        """What this request may come to."""
        return self.amount + self.exposed

    def expose(self, most: int) -> None:
        """Remember that this request may come to `most`, though less is held."""
        self.account.exposed += most - self.amount - self.exposed
        self.exposed = most - self.amount

    def settle(self, sale: int) -> None:
        """Turn the hold into a sale of `sale` units; the rest is free again. A fact is never refused."""
        if not self.is_open:
            raise RuntimeError("a hold is settled once")
        self.is_open = False
        self.account.exposed -= self.exposed
        self.account.lease.settle(self.amount, sale)
        if self.claim is not None:
            self.claim.close(sale)


@dataclass(frozen=True, slots=True, kw_only=True)
class TreasuryLimits:
    """Limits of one process's leases.

    `slice_cap`: the most one take may ask beyond its need, in units of the asset; `idle_ms`: an account
    untouched for so long gives everything back.
    """

    slice_cap: int = 50 * 10**9
    idle_ms: int = 15_000


class Treasury:
    def __init__(self, books: Books, clock: GatewayClock, process: Process, limits: TreasuryLimits) -> None:
        self._books = books
        self._clock = clock
        self._process = process
        self._limits = limits
        self._accounts: dict[tuple[UUID, str], Account] = {}

    def account(self, wallet_id: UUID, organisation_id: UUID, scope_class: str) -> Account:
        account = self._accounts.get((wallet_id, scope_class))
        if account is None:
            account = Account(wallet_id, organisation_id, scope_class)
            self._accounts[wallet_id, scope_class] = account
        return account

    def accounts(self) -> list[Account]:
        return list(self._accounts.values())

    def try_hold(self, account: Account, amount: int) -> Hold | None:
        """Cut `amount` out of the lease without I/O; None when it is short or this process may not admit."""
        if not self._process.may_admit() or (account.exposed and account.funds() < amount):
            return None
        if not account.lease.admit(amount):
            return None
        account.used_at_ms = self._clock.monotonic_ms()
        return Hold(account, amount)

    async def hold(self, account: Account, amount: int) -> Hold:
        """Cut `amount`, taking more from the wallet and recalling other processes' leases when short.

        Raises:
            Unfunded: the wallet cannot cover it.
            GatewayError: 503 when PostgreSQL or this process's life is in doubt (fail closed).
        """
        self._require_life()
        hold = self.try_hold(account, amount)
        if hold is not None:
            return hold
        for _ in range(LEASES_TRIED_MAX):
            try:
                return await self._fund(account, amount)
            except LeaseReplaced:
                account = self.account(account.wallet_id, account.organisation_id, account.scope_class)
        raise books_unavailable()

    async def extend(self, hold: Hold, extra: int) -> bool:
        """Grow an open hold by `extra`; False when the money or the database is not there."""
        account = hold.account
        if account.is_closed:
            return False
        most = hold.most
        hold.expose(max(hold.amount, most - extra))  # it grows into its own
        try:
            more = await self.hold(account, extra)
        except (Unfunded, GatewayError):
            if hold.is_open:
                hold.expose(most)
            return False
        if more.account is not account or not hold.is_open:  # replaced or settled meanwhile
            more.settle(0)
            if hold.is_open:
                hold.expose(most)
            return False
        more.is_open = False  # its part belongs to `hold` now
        hold.amount += extra
        return True

    def on_recall(self, wallet_id: UUID) -> list[Account]:
        """Accounts of this wallet that have something to give back."""
        return [
            a
            for (wallet, _), a in self._accounts.items()
            if wallet == wallet_id and (a.lease.free > 0 or a.in_doubt)
        ]

    async def give_back(self, account: Account, keep: int = 0) -> None:
        """Return what is free beyond `keep`. Lost replies are harmless: the next reply is absolute."""
        if account.in_doubt:
            await self._find_out(account)
        async with account.lock:
            amount = account.lease.free - keep
            if amount <= 0 or account.lease_id is None:
                return
            account.lease.give(amount)  # memory first
            account.op += 1
            order = Give(
                op=account.op,
                process_id=self._process.process_id,
                lease_id=account.lease_id,
                wallet_id=account.wallet_id,
                amount=amount,
            )
            try:
                self._apply(account, await self._books.give(order))
            except self._books.unavailable as error:
                account.in_doubt = True
                log.warning("lease.give_in_doubt", lease_id=str(account.lease_id), error=str(error))
            except LeaseReplaced:
                log.info("lease.closed_before_give", lease_id=str(account.lease_id))

    async def tend(self) -> None:
        """Once a second: note the burn, give back what idles or is far more than the burn needs."""
        now_ms = self._clock.monotonic_ms()
        for account in self.accounts():
            try:
                await self._tend(account, now_ms)
            except Exception:  # one account's trouble leaves the others tended
                log.exception("lease.tend_failed", lease_id=str(account.lease_id))

    async def _tend(self, account: Account, now_ms: int) -> None:
        burnt = account.lease.spent - account.spent_mark
        account.spent_mark = account.lease.spent
        account.burn_per_s = (3 * account.burn_per_s + burnt) // 4
        if account.in_doubt:
            await self._find_out(account)
        for keep in self._excess(account, now_ms):
            await self.give_back(account, keep)

    async def close(self) -> None:
        """Shutdown: give everything back."""
        for account in self.accounts():
            await self.give_back(account)

    def drop_all(self) -> None:
        """This process is dead in the books: its leases are being closed for it; forget them."""
        for account in self._accounts.values():
            account.close()
        self._accounts.clear()

    def _excess(self, account: Account, now_ms: int) -> Iterator[int]:
        idle_ms = now_ms - account.used_at_ms
        wish = self._wish(account, 0)
        if account.lease.free > 0 and idle_ms > self._limits.idle_ms:
            yield 0
        elif account.lease.free > 4 * wish and idle_ms > TEND_INTERVAL_MS:
            yield wish

    def _wish(self, account: Account, need: int) -> int:
        return min(max(SLICE_SECONDS * account.burn_per_s, SLICE_REQUESTS * need), self._limits.slice_cap)

    def _require_life(self) -> None:
        if not self._process.may_admit():
            raise books_unavailable()

    async def _fund(self, account: Account, amount: int) -> Hold:
        async with account.lock:
            if account.is_closed:  # while this request waited for its turn
                raise LeaseReplaced
            if account.lease.free < amount and account.is_dry(amount, self._clock.monotonic_ms()):
                raise Unfunded(account.funds())
            # Money that came meanwhile may cover what is exposed: ask for one unit more, to hear of it.
            await self._take(account, max(amount, account.lease.free + 1) if account.exposed else amount)
            if account.lease.free < amount:
                await self._take_after_recall(account, amount)
            hold = self.try_hold(account, amount)
            if hold is not None:
                account.dry_until_ms = 0
                return hold
            self._require_life()
            account.dry_until_ms = self._clock.monotonic_ms() + DRY_MS
            account.dry_amount = amount
            raise Unfunded(account.funds())

    async def _take_after_recall(self, account: Account, amount: int) -> None:
        try:
            await self._books.recall(account.wallet_id)
        except self._books.unavailable as error:
            raise books_unavailable() from error
        for wait_ms in RECALL_WAITS_MS:
            await asyncio.sleep(wait_ms / 1000)  # outside any transaction
            await self._take(account, amount)
            if account.lease.free >= amount:
                return

    async def _find_out(self, account: Account) -> None:
        """After a lost answer ask for one unit, to hear what the lease holds: it may be the last to ask."""
        async with account.lock:
            if account.in_doubt and not account.is_closed:
                with suppress(GatewayError, LeaseReplaced):  # then the doubt stays, or the lease is gone
                    await self._take(account, account.lease.free + 1)

    async def _take(self, account: Account, amount: int) -> None:
        if account.lease.free >= amount:
            return
        need = amount - account.lease.free
        account.op += 1
        process_id = self._process.process_id
        order = Take(
            op=account.op,
            process_id=process_id,
            wallet_id=account.wallet_id,
            organisation_id=account.organisation_id,
            scope_class=account.scope_class,
            need=need,
            want=max(need, self._wish(account, amount)),
            cap=self._limits.slice_cap,
        )
        try:
            grant = await self._books.take(order)
        except self._books.unavailable as error:
            account.in_doubt = True
            raise books_unavailable() from error
        if grant.state == "dead":
            self._process.die(process_id)
            raise books_unavailable()
        self._apply(account, grant)

    def _apply(self, account: Account, grant: Grant) -> None:
        if account.is_closed:  # while the question was under way
            raise LeaseReplaced
        account.in_doubt = False
        account.spendable = grant.spendable
        match grant.state:
            case "active":
                account.lease_id = grant.lease_id
                account.lease.grant(grant.granted)
            case "refused":
                if grant.lease_id is not None:  # opened by a take whose answer was lost, perhaps
                    account.lease_id = grant.lease_id
                    account.lease.grant(grant.granted)
            case _:
                log.warning("lease.replaced", lease_id=str(grant.lease_id), state=grant.state)
                account.close()
                del self._accounts[account.wallet_id, account.scope_class]
                raise LeaseReplaced
