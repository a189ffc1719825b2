"""Play a reply onto a connection: pace, split, cut, reset, fall silent."""

import asyncio
from collections.abc import Iterator

from bursar.simulator.faults import Faults
from bursar.simulator.reply import LAST_CHUNK, Prepared, Reply, chunk, head, stamped
from bursar.simulator.settings import SimulatorSettings
from bursar.simulator.wire import Connection

UTF8_MASK, UTF8_CONTINUATION = 0b1100_0000, 0b1000_0000
"""The leading bits that mark a byte inside a UTF-8 character."""
SPLIT_PAUSE_S = 0.002
"""Long enough for the first half of a split write to be read on its own."""
RESET_PAUSE_S = 0.03
"""Lets the peer read what came before an RST, which would otherwise overtake it."""


async def send_bursts(connection: Connection, prepared: Prepared, content: bytes, burst: int) -> None:
    """Send a healthy stream a burst of events at a time, each in its own turn of the event loop."""
    exchange, start = connection.exchange, 0
    for number, end in enumerate(prepared.cuts, start=1):
        connection.write(content[start:end])
        start = end
        if exchange is not None:
            exchange.status = prepared.status
            exchange.events_sent = min(number * burst, prepared.events)
        await asyncio.sleep(0)
        await connection.drain()
    connection.finish()


class Player:
    """One reply on one connection."""

    def __init__(
        self, connection: Connection, reply: Reply, settings: SimulatorSettings, stamp: bytes, second: int
    ) -> None:
        self._connection = connection
        self._reply = reply
        self._settings = settings
        self._stamp = stamp
        self._second = second

    async def play(self) -> None:
        """The story of one answer: wait, start, go on, end (or not)."""
        faults = self._reply.faults
        if faults.delay_ms:
            await asyncio.sleep(faults.delay_ms / 1000)
        if faults.silence_before_headers:
            await self._silence()
        elif faults.rst:
            self._connection.reset()
        elif faults.close:
            self._connection.close()
        elif self._reply.events is None:
            await self._whole(faults)
        else:
            await self._stream(self._reply.events, faults)

    def _stamped(self, content: bytes) -> bytes:
        return stamped(content, self._stamp, self._second)

    def _write_head(self) -> None:
        if self._connection.exchange is not None:
            self._connection.exchange.status = self._reply.status
        self._connection.write(self._stamped(head(self._reply)))

    async def _silence(self) -> None:
        await asyncio.sleep(self._settings.silence_ms_max / 1000)
        self._connection.close()

    async def _reset(self) -> None:
        await asyncio.sleep(RESET_PAUSE_S)
        self._connection.reset()

    def _token_pause_s(self, tokens: int) -> float:
        return tokens / self._settings.tokens_per_s if self._settings.tokens_per_s else 0.0

    async def _whole(self, faults: Faults) -> None:
        settings, body = self._settings, self._stamped(self._reply.body)
        if self._reply.tokens:
            await asyncio.sleep(settings.first_token_ms / 1000 + self._token_pause_s(self._reply.tokens))
        self._write_head()
        half = body[: len(body) // 2]
        if faults.rst_after_events is not None:
            self._connection.write(half)
            await self._reset()
        elif faults.silence_after_events is not None:
            self._connection.write(half)
            await self._silence()
        elif faults.cut_body or faults.cut_after_events is not None or faults.cut_mid_event is not None:
            self._connection.write(half)
            self._connection.close()
        else:
            await self._split(body, faults, framed=False)
            self._connection.finish()

    async def _stream(self, events: tuple[bytes, ...], faults: Faults) -> None:
        self._write_head()
        first_s = (faults.delay_first_ms or 0) / 1000
        if self._reply.tokens:
            first_s += self._settings.first_token_ms / 1000 + self._token_pause_s(self._reply.unseen_tokens)
        if first_s:
            await asyncio.sleep(first_s)
        pause_s = (faults.slow_ms_per_event or 0) / 1000 + self._token_pause_s(1 if self._reply.tokens else 0)
        for at, event in enumerate(events):
            if await self._ends_before(at, event, faults):
                return
            if pause_s and at:
                await asyncio.sleep(pause_s)
            await self._event(at, event, faults)
        if not await self._ends_before(len(events), b"", faults):
            self._connection.write(LAST_CHUNK)
            self._connection.finish()

    async def _ends_before(self, at: int, event: bytes, faults: Faults) -> bool:
        """Whether a fault ends the stream before event `at`."""
        if at == faults.cut_after_events:
            self._connection.close()
        elif at == faults.cut_mid_event:
            framed = chunk(self._stamped(event))
            self._connection.write(framed[: len(framed) // 2])
            self._connection.close()
        elif at == faults.rst_after_events:
            await self._reset()
        elif at == faults.silence_after_events:
            await self._silence()
        else:
            return False
        return True

    async def _event(self, at: int, event: bytes, faults: Faults) -> None:
        await self._split(self._stamped(event), faults, framed=True)
        if self._connection.exchange is not None:
            self._connection.exchange.events_sent = at + 1
        burst = self._settings.events_per_write
        if burst and (at + 1) % burst == 0:
            await asyncio.sleep(0)

    async def _split(self, content: bytes, faults: Faults, *, framed: bool) -> None:
        """Write content whole, or in the pieces that a fault asks for, each at its own moment."""
        if not (faults.split_bytes or faults.split_utf8):
            self._connection.write(chunk(content) if framed else content)
            await self._connection.drain()
            return
        pause_s = SPLIT_PAUSE_S if faults.split_utf8 else 0
        for piece in _pieces(content, faults):
            self._connection.write(chunk(piece) if framed else piece)
            await asyncio.sleep(pause_s)
            await self._connection.drain()


def _pieces(content: bytes, faults: Faults) -> Iterator[bytes]:
    if faults.split_bytes:
        for at in range(0, len(content), faults.split_bytes):
            yield content[at : at + faults.split_bytes]
        return
    middle = next((at for at, byte in enumerate(content) if byte & UTF8_MASK == UTF8_CONTINUATION), 0)
    if middle:
        yield content[:middle]
    yield content[middle:]
