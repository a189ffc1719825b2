"""Along a stream: frames to the caller as they come, progress marks, and a hold kept ahead of the output."""

from typing import Final

from bursar.adapters.providers import ProviderFailure
from bursar.gateway.admit import extension
from bursar.gateway.dialects import Exchange
from bursar.gateway.errors import GatewayError
from bursar.gateway.forward import next_chunk, told_of
from bursar.gateway.inbound import Inbound
from bursar.gateway.runtime import Gateway
from bursar.gateway.settle import leave_mark
from bursar.gateway.ticket import Attempt, Ticket

OUT_OF_FUNDS: Final = "insufficient_balance"
EXTEND_TOKENS_MIN: Final = 256
HOLD_CHECK_BYTES_MIN: Final = 256


async def pass_on(gw: Gateway, ticket: Ticket, attempt: Attempt, inbound: Inbound) -> GatewayError | None:
    """Hand frames on until the stream ends; the failure that ended it, or None."""
    exchange = attempt.exchange
    measured = exchange.measured
    keeper = StreamKeeper(gw, ticket, attempt)
    frames = attempt.first_frames
    while True:
        if frames:
            await inbound.send(frames)
        if (error := measured.error) is not None:
            return told_of(attempt, error)
        if measured.terminal:
            return None
        if keeper.is_due() and not await keeper.keep():
            return _out_of_funds()
        try:
            chunk = await next_chunk(attempt, inbound)
        except ProviderFailure as failure:
            return await _end_of_stream(exchange, inbound, told_of(attempt, failure))
        if not chunk:
            return await _end_of_stream(exchange, inbound, _broken_off())
        keeper.passed_bytes += len(chunk)
        frames = exchange.feed(chunk)


async def _end_of_stream(exchange: Exchange, inbound: Inbound, failure: GatewayError) -> GatewayError | None:
    """The provider is gone: what was still buffered goes out. `failure`, unless the answer had ended."""
    frames = exchange.end()
    if frames:
        await inbound.send(frames)
    return None if exchange.measured.terminal else failure


def _broken_off() -> GatewayError:
    return GatewayError(502, "provider_error", "The provider's stream broke off.")


class StreamKeeper:
    """Along a stream: leaves progress marks, and extends the hold before the output outgrows it."""

    def __init__(self, gw: Gateway, ticket: Ticket, attempt: Attempt) -> None:
        self._gw = gw
        self._ticket = ticket
        self._attempt = attempt
        self._mark_due_ms = 0
        self._check_at_bytes = 0
        self.passed_bytes = 0

    def is_due(self) -> bool:
        return self.passed_bytes >= self._check_at_bytes or self._gw.clock.monotonic_ms() >= self._mark_due_ms

    async def keep(self) -> bool:
        """False when the output outgrew the hold and the wallet cannot cover more."""
        now_ms = self._gw.clock.monotonic_ms()
        if self._attempt.exchange.measured.output_started and now_ms >= self._mark_due_ms:
            leave_mark(self._gw, self._ticket, self._attempt)
            self._mark_due_ms = now_ms + self._gw.limits.mark_interval_ms
        if self.passed_bytes < self._check_at_bytes:
            return True
        left = _output_left(self._ticket, self._attempt)
        if left < 0 and not await _extend(self._gw, self._ticket, self._attempt, -left):
            return False
        ahead = max(_output_left(self._ticket, self._attempt), HOLD_CHECK_BYTES_MIN)
        self._check_at_bytes = self.passed_bytes + ahead  # a token takes at least a byte of the stream
        return True


def _output_left(ticket: Ticket, attempt: Attempt) -> int:
    """Tokens until the stream outgrows its hold.

    Our count runs high, so a hold for all the request may produce is outgrown only at twice its size: by a
    provider that ignores the bound.
    """
    covered = ticket.output_held * (2 if ticket.covers_bound else 1)
    return covered - attempt.exchange.measured.delivered_tokens


async def _extend(gw: Gateway, ticket: Ticket, attempt: Attempt, missing: int) -> bool:
    """Grow the hold of a stream that runs longer than held for; False when the money is not there."""
    tokens = missing + max(EXTEND_TOKENS_MIN, ticket.output_held // 2)
    amount = extension(attempt.offer.quote, ticket.call, ticket.key.asset, tokens)
    if not await gw.treasury.extend(ticket.hold, amount):
        return False
    ticket.output_held += tokens
    return True


def _out_of_funds() -> GatewayError:
    return GatewayError(
        402, OUT_OF_FUNDS, "The balance ran out during the answer; what was produced is charged."
    )
