"""A caller made of sockets: it sees every byte the gateway sends, and can leave whenever it likes."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlsplit

import httptools
import orjson

WAIT_S = 60.0
LINGER_RESET = struct.pack("ii", 1, 0)


@dataclass(kw_only=True)
class Reply:
    """One answer. `is_complete`: it ended as HTTP says, not by a broken connection."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    is_complete: bool = False

    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        told = self.json()["error"]
        assert set(told) >= {"message", "type", "param", "code"}
        assert told["message"]
        return dict(told)

    def events(self) -> list[Any]:
        """The JSON of every SSE event; `[DONE]` as it stands."""
        found = []
        for frame in self.body.replace(b"\r\n", b"\n").split(b"\n\n"):
            if frame.startswith(b"data: "):
                content = frame.removeprefix(b"data: ")
                found.append("[DONE]" if content == b"[DONE]" else orjson.loads(content))
        return found

    def text(self) -> str:
        """What the model said, of a whole answer or a stream."""
        if not self.body.lstrip().startswith(b"{"):
            return "".join(map(_text_of, self.events()))
        return "".join(choice["message"]["content"] or "" for choice in self.json()["choices"])


def _text_of(event: Any) -> str:
    """The content of one chunk, however odd it is."""
    try:
        return "".join(choice["delta"].get("content") or "" for choice in event["choices"])
    except (TypeError, KeyError, AttributeError):
        return ""


class _Parsing:
    """What httptools tells about one answer."""

    def __init__(self) -> None:
        self.reply = Reply()
        self.has_head = False
        self.parser = httptools.HttpResponseParser(self)

    def on_header(self, name: bytes, value: bytes) -> None:
        self.reply.headers[name.decode().lower()] = value.decode()

    def on_headers_complete(self) -> None:
        self.reply.status = self.parser.get_status_code()
        self.has_head = self.reply.status >= 200

    def on_body(self, body: bytes) -> None:
        self.reply.body += body

    def on_message_complete(self) -> None:
        if self.has_head:
            self.reply.is_complete = True


class Caller:
    """One connection to the gateway. `heard` keeps every byte that came."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, heard: list[bytes]
    ) -> None:
        self.reader = reader
        self.writer = writer
        self._heard = heard
        self._parsing = _Parsing()
        self._left_over = b""

    @classmethod
    async def connect(cls, url: str, heard: list[bytes], *, receive_buffer: int | None = None) -> Self:
        parts = urlsplit(url)
        raw = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        raw.setblocking(False)  # noqa: FBT003 - the socket module's signature
        if receive_buffer is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        await asyncio.get_running_loop().sock_connect(raw, (parts.hostname, parts.port))
        limit = 2**16 if receive_buffer is None else receive_buffer
        reader, writer = await asyncio.open_connection(sock=raw, limit=limit)
        return cls(reader, writer, heard)

    def write(self, raw: bytes) -> None:
        self.writer.write(raw)

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> None:
        self.write(request("POST", path, body, headers))
        await self.writer.drain()

    async def head(self) -> Reply:
        """The answer as far as its headers."""
        while not self._parsing.has_head:
            await self._more()
        return self._parsing.reply

    async def until(self, needle: bytes) -> Reply:
        """The answer until `needle` is in its body."""
        while needle not in self._parsing.reply.body:
            await self._more()
        return self._parsing.reply

    async def reply(self) -> Reply:
        """The whole answer; an incomplete one when the gateway closed the connection before its end."""
        parsing = self._parsing
        while not parsing.reply.is_complete:
            if not await self._more(may_end=True):
                return parsing.reply
        self._parsing = _Parsing()
        return parsing.reply

    async def closed_by_gateway(self) -> bool:
        """Whether the gateway closes the connection now."""
        return await asyncio.wait_for(self.reader.read(1), WAIT_S) == b""

    def hang_up(self) -> None:
        """FIN."""
        self.writer.close()

    def reset(self) -> None:
        """RST."""
        raw = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RESET)
        self.writer.transport.abort()

    async def _more(self, *, may_end: bool = False) -> bool:
        try:
            piece = await asyncio.wait_for(self.reader.read(2**16), WAIT_S)
        except ConnectionError:
            piece = b""
        if not piece:
            assert may_end, f"the gateway closed after {self._parsing.reply}"
            return False
        self._heard.append(piece)
        self._parsing.parser.feed_data(piece)
        return True


def request(method: str, path: str, body: bytes, headers: Mapping[str, str]) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "host: gateway", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


@asynccontextmanager
async def calling(url: str, heard: list[bytes], **options: Any) -> AsyncIterator[Caller]:
    """A connection that is closed at the end."""
    caller = await Caller.connect(url, heard, **options)
    try:
        yield caller
    finally:
        caller.writer.transport.abort()
