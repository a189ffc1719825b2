"""The caller's side of one request: headers, bounded body, hang-up, answer. Plain ASGI."""

import asyncio
from collections.abc import Awaitable, Mapping, MutableMapping, Sequence
from typing import Any, Final, Protocol, TypeVar

from bursar.adapters.upstream.watchdog import Watchdog
from bursar.core.messages import Language, language_of
from bursar.gateway.errors import GatewayError, body_too_large, body_too_slow, overloaded

T = TypeVar("T")

LOOK_MS: Final = 20
REQUEST_ID: Final = "x-request-id"
SEND_TIMEOUT_S: Final = 300.0  # a caller that reads nothing for so long has hung up


class Receive(Protocol):
    async def __call__(self) -> MutableMapping[str, Any]: ...


class Send(Protocol):
    async def __call__(self, message: MutableMapping[str, Any], /) -> None: ...


class HungUp(Exception):
    """The caller closed the connection."""


class ByteBudget:
    """Request bodies in memory together, all callers' of this process."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = self._left = limit_bytes

    @property
    def held(self) -> int:
        return self._limit - self._left

    def take(self, size: int) -> None:
        """Raises `GatewayError` (503) when the process holds as many body bytes as it may."""
        if size > self._left:
            raise overloaded()
        self._left -= size

    def give(self, size: int) -> None:
        self._left += size


class Lookout:
    """Notices hang-ups of the requests that last: watching takes a task each, which a short one need not pay.

    Every `LOOK_MS` it starts to watch what was there at the last look; a hang-up before that is noticed then,
    so within twice that time. Its cost grows with requests per look, not with requests in flight.
    """

    def __init__(self) -> None:
        self._fresh: list[Inbound] = []
        self._older: list[Inbound] = []
        self._is_ticking = False

    def add(self, inbound: "Inbound") -> None:
        """Notice when this caller hangs up, until his request `is_over`."""
        self._fresh.append(inbound)
        if not self._is_ticking:
            self._is_ticking = True
            asyncio.get_running_loop().call_later(LOOK_MS / 1000, self._look)

    def _look(self) -> None:
        lasting, self._older, self._fresh = self._older, self._fresh, []
        for inbound in lasting:
            if not inbound.is_over:
                inbound.watch()
        self._is_ticking = bool(self._older)
        if self._is_ticking:
            asyncio.get_running_loop().call_later(LOOK_MS / 1000, self._look)


class Inbound:
    """One HTTP request as the pipeline sees it.

    `request_id_header`: what the caller's own SDK calls the id of a request, when not `x-request-id`; then it
    is told in refusals too.
    """

    __slots__ = (
        "_dog",
        "_is_waiting",
        "_receive",
        "_send",
        "_task",
        "_watcher",
        "body_bytes",
        "deadline",
        "headers",
        "hung_up",
        "is_over",
        "request_id_header",
        "scope",
        "started",
    )

    def __init__(
        self, scope: MutableMapping[str, Any], receive: Receive, send: Send, dog: Watchdog | None = None
    ) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a request is served inside a task")
        self.scope = scope
        self._receive = receive
        self._send = send
        self._task = task
        self._dog = dog
        self.deadline = 0.0
        self._is_waiting = False
        self._watcher: asyncio.Task[None] | None = None
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.hung_up = False
        self.started = False
        self.is_over = False
        self.body_bytes = 0
        self.request_id_header: bytes | None = None

    @property
    def language(self) -> Language:
        """What the caller reads; looked up only when there is something to refuse."""
        return language_of(self.headers.get(b"accept-language", b"").decode("latin-1"))

    async def body(self, limit_bytes: int, budget: ByteBudget, silence_ms: int) -> bytes:
        """The whole body; what was taken of `budget` is `body_bytes`, for the caller of this to give back.

        Raises:
            GatewayError: 413 as soon as the declared or received length passes `limit_bytes`; 503 over
            budget; 408 when the next part does not come within `silence_ms`.
            HungUp: the caller went away while sending.
        """
        declared = self._declared_length()
        if declared > limit_bytes:
            raise body_too_large(limit_bytes)
        self._charge(declared, budget)
        parts: list[bytes] = []
        size = 0
        while True:
            message = await self._part(silence_ms)
            if message["type"] == "http.disconnect":
                self.hung_up = True
                raise HungUp
            part = message.get("body", b"")
            size += len(part)
            if size > limit_bytes:
                raise body_too_large(limit_bytes)
            self._charge(size - self.body_bytes, budget)
            if not message.get("more_body", False):
                return b"".join([*parts, part]) if parts else part
            parts.append(part)

    def watch(self) -> None:
        """From here on notice a hang-up. Call at most once, after the body is read; see `Lookout`."""
        self._watcher = asyncio.get_running_loop().create_task(self._watch())

    async def until_hangup(self, work: Awaitable[T]) -> T:
        """Await `work`, but stop at once when the caller hangs up.

        Raises:
            HungUp: `work` was cancelled because the caller is gone.
        """
        if self.hung_up:
            if asyncio.iscoroutine(work):
                work.close()
            raise HungUp
        self._is_waiting = True
        try:
            return await work
        except asyncio.CancelledError:
            if not self.hung_up or self._task.uncancel() > 0:
                raise
            raise HungUp from None
        finally:
            self._is_waiting = False

    async def respond(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Send a whole answer."""
        self.started = True
        sent = self._encoded(headers)
        sent.append((b"content-length", str(len(body)).encode()))
        await self._send({"type": "http.response.start", "status": status, "headers": sent})
        await self._send({"type": "http.response.body", "body": body})

    async def start_stream(self, headers: Mapping[str, str]) -> None:
        self.started = True
        sent = self._encoded(headers)
        await self._send({"type": "http.response.start", "status": 200, "headers": sent})

    async def send(self, frames: Sequence[bytes]) -> None:
        """Pass frames on; waits while the caller reads slowly, so that nothing piles up here.

        Raises:
            HungUp: the caller read nothing for `SEND_TIMEOUT_S`.
        """
        body = frames[0] if len(frames) == 1 else b"".join(frames)
        if self._dog is not None:
            self._dog.start(self, SEND_TIMEOUT_S)
        try:
            await self.until_hangup(
                self._send({"type": "http.response.body", "body": body, "more_body": True})
            )
        finally:
            if self._dog is not None:
                self._dog.stop(self)

    async def end(self, frames: Sequence[bytes]) -> None:
        """Pass the last frames on and end the answer."""
        await self._send({"type": "http.response.body", "body": b"".join(frames)})

    def _encoded(self, headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
        """The headers as ASGI wants them, the request's id also by the name this caller looks for."""
        sent = [(name.encode(), value.encode()) for name, value in headers.items()]
        if self.request_id_header is not None and REQUEST_ID in headers:
            sent.append((self.request_id_header, headers[REQUEST_ID].encode()))
        return sent

    async def _part(self, silence_ms: int) -> MutableMapping[str, Any]:
        if self._dog is None:
            return await self._receive()
        self._dog.start(self, silence_ms / 1000)
        try:
            return await self.until_hangup(self._receive())
        except HungUp:
            self.hung_up = False  # he is there, and is told
            raise body_too_slow() from None
        finally:
            self._dog.stop(self)

    def _charge(self, size: int, budget: ByteBudget) -> None:
        if size > 0:
            budget.take(size)
            self.body_bytes += size

    def _declared_length(self) -> int:
        declared = self.headers.get(b"content-length")
        if declared is None:
            return 0
        if not declared.isdigit():
            raise GatewayError(400, "invalid_request", "The content-length header is not a number.")
        return int(declared)

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            continue
        self.bark()

    def bark(self) -> None:
        """The caller is gone: he hung up, or has been silent for too long."""
        if self._is_waiting and not self.hung_up:  # once: two notices may come in one moment
            self._task.cancel()
        self.hung_up = True
