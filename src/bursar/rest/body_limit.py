"""Bodies have a limit: a longer one is answered 413, and is never held in memory."""

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bursar.rest.problems import language_for, problem

# The largest sensible control-plane body (a list of allowed models) is a few kilobytes.
BODY_BYTES_MAX = 256 * 1024


class BodyLimit:
    """ASGI middleware: read at most `bytes_max` of a body, then hand it on whole, or refuse."""

    def __init__(self, app: ASGIApp, bytes_max: int = BODY_BYTES_MAX) -> None:
        self.app = app
        self.bytes_max = bytes_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body = await self._read(receive)
        if body is None:
            detail = f"The request body is longer than {self.bytes_max} bytes."
            language = language_for(Request(scope))
            await problem(413, "request_too_large", detail, language=language)(scope, receive, send)
            return
        pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            return pending.pop() if pending else await receive()

        await self.app(scope, replay, send)

    async def _read(self, receive: Receive) -> bytes | None:
        """The whole body, or None when it is too long."""
        body = bytearray()
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            if len(body) > self.bytes_max:
                return None
            more = message.get("more_body", False)
        return bytes(body)
