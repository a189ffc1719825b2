"""One admitted request and its attempts: what the stages hand to each other."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID

from bursar.adapters.providers import ProviderFailure
from bursar.adapters.upstream import Answer
from bursar.core.booking import UsageRow
from bursar.core.fees import Fee
from bursar.core.pricing import Quote
from bursar.core.routing import Strategy
from bursar.gateway.claims import Claim
from bursar.gateway.dialects import Call, Exchange
from bursar.gateway.lanes import Lane
from bursar.gateway.snapshot import Credential, KeyRecord, ModelRecord, Route
from bursar.gateway.treasury import Hold
from bursar.gateway.wishes import Wishes

if TYPE_CHECKING:
    from asyncio import Future


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A route and its prices, fixed at admission.

    `fee`, `listed`: on an organisation's own credentials, the platform fee, and the price book's quote that
    it is a part of; `quote` is then what to hold by. None: ours, sold at `quote`.
    """

    route: Route
    quote: Quote
    listed: Quote | None = None
    fee: Fee | None = None


@dataclass(slots=True, kw_only=True)
class Ticket:
    """An admitted, funded request.

    `max_tokens`: the output bound to write into the request when the wallet forced a lower one than the
    caller's (None: leave his). `output_held`: output tokens the hold covers; `covers_bound`: that is all the
    request may produce. `failed`: rows of attempts that were retried elsewhere. `model`, `offers` and what
    the hold covers change when another model is asked instead; `stand_ins` are those that may be. `wishes`:
    the caller's own about routing. `claim`: what it took of limits, closed with its hold.
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
    stand_ins: tuple[ModelRecord, ...] = ()
    wishes: Wishes | None = None
    failed: list[UsageRow] = field(default_factory=list)
    attempt: "Attempt | None" = None
    is_left: bool = False
    body_bytes: int = 0
    mark_due_ms: int = 0
    claim: Claim | None = None

    @property
    def strategy(self) -> Strategy:
        """In which order the offers are tried: the caller's wish, else the model's."""
        wished = None if self.wishes is None else self.wishes.strategy
        return self.model.strategy if wished is None else wished


@dataclass(slots=True, kw_only=True)
class Attempt:
    """One try at one provider, of `model`: the ticket may turn to another one after it.

    `sent`: something of the request may have reached the provider. `delivered_tokens`: output handed to the
    caller when he hung up or was cut off, None while he is still there. `opening`, `pending`: a request or a
    read that goes on although nobody waits for it. `first_frames`, `reply`: what a stream began with, or the
    whole answer, ready for the caller. `stops_on_abort`: closing the connection ends the provider's bill.
    `is_probe`: it finds out whether an open breaker may close; `shows_cuts`: whether its lane still cuts
    streams. `claim`: what it took of its
    provider's and its credential's limits.
    """

    number: int
    model: ModelRecord
    offer: Offer
    credential: Credential
    lane: Lane
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
    is_probe: bool = False
    shows_cuts: bool = False
    claim: Claim | None = None

    def note_sent(self) -> None:
        self.sent = True

    def opened(self) -> Answer:
        """The answer; only an attempt that was opened has one."""
        if self.answer is None:
            raise RuntimeError("the attempt was not opened")
        return self.answer
