"""Server-sent events: cutting a byte stream into events, whatever the chunks look like.

The framing rules are those of the WHATWG HTML standard, section "Server-sent events": lines end in LF, CRLF
or CR, a blank line ends an event, lines that begin with a colon are comments. Everything is done on bytes,
so a UTF-8 character cut in two by a chunk boundary is never looked at before it is whole.
"""

import re
from dataclasses import dataclass

EVENT_BYTES_MAX = 8 * 1024 * 1024
"""Longest event held in memory: a picture in base64 fits, an endless line does not."""

_BLANK_LINE = re.compile(rb"(?>\r\n|\n|\r){2}")
_LINE_END = re.compile(rb"\r\n|\n|\r")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_LONGEST_BLANK_LINE = 4


class EventTooLarge(ValueError):
    """An event grew past the limit; the stream cannot be trusted any further."""

    code = "event_too_large"


@dataclass(frozen=True, slots=True)
class Event:
    """One dispatched event. `name` is empty when the stream gave none, `data` joins its lines with LF."""

    name: str
    data: bytes


class Framer:
    """Cuts chunks into whole frames; a frame is the bytes of one event with the blank line that ended it.

    The frames, joined, are the bytes that came in. Frames made of comments or blank lines alone are frames
    too: `parse` answers `None` for them.
    """

    __slots__ = ("_buffer", "_limit", "_scanned")

    def __init__(self, *, limit: int = EVENT_BYTES_MAX) -> None:
        self._buffer = bytearray()
        self._limit = limit
        self._scanned = 0

    @property
    def pending(self) -> int:
        """Bytes held of an event that has not ended."""
        return len(self._buffer)

    def feed(self, chunk: bytes) -> list[bytes]:
        """The frames that `chunk` completed. Raises `EventTooLarge`."""
        if not self._buffer and b"\r" not in chunk:
            return self._cut_plain(chunk)
        self._buffer += chunk
        return self._cut_buffer()

    def finish(self) -> bytes:
        """What was left when the stream ended, maybe an event without its blank line; empties the framer."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        self._scanned = 0
        return rest

    def _cut_plain(self, chunk: bytes) -> list[bytes]:
        parts = chunk.split(b"\n\n")
        rest = parts.pop()
        if rest:
            self._keep(rest)
        return [part + b"\n\n" for part in parts]

    def _keep(self, rest: bytes) -> None:
        self._buffer += rest
        self._check_limit()
        self._scanned = 0

    def _cut_buffer(self) -> list[bytes]:
        frames: list[bytes] = []
        buffer, start = self._buffer, 0
        for match in _BLANK_LINE.finditer(buffer, max(0, self._scanned - _LONGEST_BLANK_LINE)):
            if match.end() == len(buffer) and buffer.endswith(b"\r"):
                break  # the LF of this CRLF may still be on its way
            frames.append(bytes(buffer[start : match.end()]))
            start = match.end()
        del buffer[:start]
        self._scanned = len(buffer)
        self._check_limit()
        return frames

    def _check_limit(self) -> None:
        if len(self._buffer) > self._limit:
            raise EventTooLarge(f"an event of the stream is longer than {self._limit} bytes")


def parse(frame: bytes) -> Event | None:
    """The event a frame carries; `None` for comments, blank lines and frames without data."""
    if frame.startswith(b"data: ") and frame.find(b"\n") == len(frame) - len(b"\n\n") and b"\r" not in frame:
        return Event("", frame[6:-2])
    if frame.startswith(b"event: ") and frame.endswith(b"\n\n") and b"\r" not in frame:
        name, _, rest = frame[7:-2].partition(b"\n")
        if rest.startswith(b"data: ") and b"\n" not in rest:
            return Event(name.decode("utf-8", "replace"), rest[6:])
    return _parse_lines(frame)


def _parse_lines(frame: bytes) -> Event | None:
    name, lines = b"", []
    for line in _LINE_END.split(frame.removeprefix(_BYTE_ORDER_MARK)):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            lines.append(value)
        elif field == b"event":
            name = value
    if not lines:
        return None
    return Event(name.decode("utf-8", "replace"), b"\n".join(lines))


def frame_of(data: bytes) -> bytes:
    """One event without a name around `data`, which must not contain line ends (JSON never does)."""
    return b"data: " + data + b"\n\n"
