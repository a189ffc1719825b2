"""What is to be sent, and its bytes on the wire.

Ids and the creation second differ from call to call, everything else follows from the request. So bytes are
made with fixed-width marks in those places (`STAMP`, `CREATED`), and a call is stamped by exchanging the
marks: length and framing stay valid, and an answer made once can be sent again cheaply.
"""

from dataclasses import dataclass
from http import HTTPStatus

import orjson

from bursar.simulator.faults import NONE, Faults

STAMP = "@@stamp-of-call@"
"""Sixteen characters; becomes sixteen hex digits unique to the call."""
STAMP_BYTES = STAMP.encode()
CREATED = 9_007_199_254
CREATED_BYTES = b"9007199254"
_MIX = 0x9E3779B97F4A7C15
"""Odd, so that counter → stamp is one-to-one modulo 2**64."""

JSON_TYPE = ("content-type", "application/json")
SSE_TYPE = ("content-type", "text/event-stream; charset=utf-8")
LAST_CHUNK = b"0\r\n\r\n"
GARBAGE = b"\xff\xfe{\x00]]>>} data ::: not an event\n\n\xc3\x28"
GARBAGE_EVENT = b'data: {"id":"chatcmpl-broken","choices":[{"delta":\n\n'
HTML = b"<html><head><title>502 Bad Gateway</title></head><body><center>nginx</center></body></html>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer ready to be played.

    Attributes:
        body: the whole answer; ignored when `events` is set.
        events: SSE events in order; None for a whole answer.
        unseen_tokens: generated before the first visible one, for pacing.
        tokens: generated in all, for pacing a whole answer.
        repeatable: the same request gets the same answer again (nothing cached, counted or queued).
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""
    events: tuple[bytes, ...] | None = None
    faults: Faults = NONE
    unseen_tokens: int = 0
    tokens: int = 0
    repeatable: bool = False


class Refused(Exception):
    """The provider answers with an error."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamKit:
    """The provider-specific bytes that stream faults insert."""

    keepalive: bytes
    unknown: bytes
    error: bytes


def json_reply(
    status: int,
    value: object,
    headers: tuple[tuple[str, str], ...],
    *,
    faults: Faults = NONE,
    tokens: int = 0,
) -> Reply:
    """A whole JSON answer."""
    body = orjson.dumps(value)
    return Reply(status=status, headers=(JSON_TYPE, *headers), body=body, faults=faults, tokens=tokens)


def misbehave(events: list[bytes], faults: Faults, kit: StreamKit) -> list[bytes]:
    """Apply the faults that change which events a stream has; the last event is its terminal marker."""
    if faults.no_terminal:
        events = events[:-1]
    if faults.unknown_event:
        events = [*events[:1], kit.unknown, *events[1:]]
    if faults.garbage_event is not None:
        events = [*events[: faults.garbage_event], GARBAGE_EVENT, *events[faults.garbage_event :]]
    if faults.error_event_after is not None:
        events = [*events[: faults.error_event_after], kit.error]
    if faults.garbage_after_events is not None:
        events = [*events[: faults.garbage_after_events], GARBAGE]
    if faults.ping_every:
        step = faults.ping_every
        events = [
            one for at, event in enumerate(events) for one in _with_ping(event, at, step, kit.keepalive)
        ]
    if faults.garbage:
        events = [GARBAGE]
    if faults.empty_body:
        events = []
    if faults.crlf:
        events = [event.replace(b"\n", b"\r\n") for event in events]
    return events


def _with_ping(event: bytes, at: int, step: int, keepalive: bytes) -> tuple[bytes, ...]:
    return (event, keepalive) if (at + 1) % step == 0 else (event,)


def head(reply: Reply) -> bytes:
    """Status line and headers, ended by the blank line."""
    try:
        reason = HTTPStatus(reply.status).phrase
    except ValueError:
        reason = "Unknown"
    lines = [f"HTTP/1.1 {reply.status} {reason}"]
    lines += [f"{name}: {value}" for name, value in reply.headers]
    lines.append(
        "transfer-encoding: chunked" if reply.events is not None else f"content-length: {len(reply.body)}"
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def chunk(content: bytes) -> bytes:
    """One HTTP chunk."""
    return b"%x\r\n%b\r\n" % (len(content), content)


def wire(reply: Reply) -> bytes:
    """The whole answer at once, as a healthy server sends it."""
    if reply.events is None:
        return head(reply) + reply.body
    return b"".join((head(reply), *map(chunk, reply.events), LAST_CHUNK))


def stamp_of(serial: int) -> bytes:
    """The stamp of the n-th call."""
    return b"%016x" % (serial * _MIX & 0xFFFF_FFFF_FFFF_FFFF)


def stamped(content: bytes, stamp: bytes, second: int) -> bytes:
    """Exchange the marks."""
    return content.replace(STAMP_BYTES, stamp).replace(CREATED_BYTES, b"%010d" % second)


class Prepared:
    """An answer's bytes, cut at the marks, for sending again and again.

    `cuts` are the offsets at which the bytes are handed to the socket: after every `burst` events, and at the
    end.
    """

    __slots__ = ("_parts", "_second", "_wire", "cuts", "events", "status")

    def __init__(self, reply: Reply, burst: int) -> None:
        self._wire = wire(reply)
        self._second = -1
        self._parts: list[bytes] = []
        self.status = reply.status
        self.events = len(reply.events or ())
        self.cuts = _cuts(reply, burst) if burst and self.events > burst else []
        self.cuts.append(len(self._wire))

    def __len__(self) -> int:
        return len(self._wire)

    def stamped(self, stamp: bytes, second: int) -> bytes:
        if second != self._second:
            self._second = second
            self._parts = self._wire.replace(CREATED_BYTES, b"%010d" % second).split(STAMP_BYTES)
        return stamp.join(self._parts)


def _cuts(reply: Reply, burst: int) -> list[int]:
    at, cuts = len(head(reply)), []
    for number, event in enumerate(reply.events or (), start=1):
        at += len(chunk(event))
        if number % burst == 0:
            cuts.append(at)
    return cuts
