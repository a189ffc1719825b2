"""One admitted request and its attempts: what the stages hand to each other."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID

from bursar.adapters.providers import ProviderFailure
from bursar.adapters.upstream import Answer
from bursar.core.booking import UsageRow
from bursar.core.pricing import Quote
from bursar.gateway.dialects import Call, Exchange
from bursar.gateway.snapshot import Credential, KeyRecord, ModelRecord, Route
from bursar.gateway.treasury import Hold

if TYPE_CHECKING:
    from asyncio import Future


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A route and its prices, fixed at admission."""

    route: Route
    quote: Quote


@dataclass(slots=True, kw_only=True)
class Ticket:
    """An admitted, funded request.

    `max_tokens`: the output bound to write into the request when the wallet forced a lower one than the
    caller's (None: leave his). `output_held`: output tokens the hold covers; `covers_bound`: that is all the
    request may produce. `failed`: rows of attempts that were retried elsewhere.
    `attempt`: the latest. `is_left`: nobody waits any more and a background task settles, which also gives
    back the `body_bytes`. `mark_due_ms`: when the next mark of a request without output is due.
    """

    request_id: UUID
    started_at_ms: int
    started_mono_ms: int
    key: KeyRecord
    call: Call
    model: ModelRecord
    offers: tuple[Offer, ...]
    hold: Hold
    max_tokens: int | None
    output_held: int
    covers_bound: bool
    failed: list[UsageRow] = field(default_factory=list)
    attempt: "Attempt | None" = None
    is_left: bool = False
    body_bytes: int = 0
    mark_due_ms: int = 0


@dataclass(slots=True, kw_only=True)
class Attempt:
    """One try at one provider.

    `sent`: something of the request may have reached the provider. `delivered_tokens`: output handed to the
    caller when he hung up or was cut off, None while he is still there. `opening`, `pending`: a request or a
    read that goes on although nobody waits for it. `first_frames`, `reply`: what a stream began with, or the
    whole answer, ready for the caller. `stops_on_abort`: closing the connection ends the provider's bill.
    """

    number: int
    offer: Offer
    credential: Credential
    exchange: Exchange
    started_mono_ms: int
    stops_on_abort: bool = True
    answer: Answer | None = None
    sent: bool = False
    first_byte_ms: int | None = None
    delivered_tokens: int | None = None
    failure: ProviderFailure | None = None
    opening: "Future[Answer] | None" = None
    pending: "Future[bytes] | None" = None
    first_frames: list[bytes] = field(default_factory=list)
    reply: bytes = b""

    def note_sent(self) -> None:
        self.sent = True

    def opened(self) -> Answer:
        """The answer; only an attempt that was opened has one."""
        if self.answer is None:
            raise RuntimeError("the attempt was not opened")
        return self.answer
