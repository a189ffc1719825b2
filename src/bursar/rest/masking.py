"""The one place where answers lose what is personal: whoever may not see it gets no answer around this.

Who that is, `bursar.rest.callers` says; what is personal, `bursar.core.masking`. A new schema is masked
unasked, because what leaves is looked at, and not what was meant to leave.
"""

from typing import Final

import orjson
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bursar.core.masking import masked, masked_text
from bursar.rest.problems import Forbidden, language_for, problem

MASKED_BYTES_MAX: Final = 16 * 1024 * 1024
"""Far above a full page of anything; a masked answer is held whole."""


class MaskedAnswerUnavailable(Forbidden):
    """It is of a kind or length that cannot be masked."""

    code = "masked_answer_unavailable"

    def __init__(self) -> None:
        super().__init__("This answer cannot be shown with personal data masked.")


class Masking:
    """ASGI middleware: masks the answers of callers whose `request.state.is_masked` is true.

    JSON and plain or HTML text can be masked; any other answer of theirs is refused with 403.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        held: list[Message] = []

        async def look(message: Message) -> None:
            if not state.get("is_masked"):
                await send(message)
                return
            held.append(message)
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                await _send_masked(held, scope, receive, send)

        await self.app(scope, receive, look)


async def _send_masked(held: list[Message], scope: Scope, receive: Receive, send: Send) -> None:
    start, body = held[0], b"".join(message.get("body", b"") for message in held[1:])
    headers = MutableHeaders(raw=list(start["headers"]))
    answer = _masked_body(body, headers.get("content-type", "")) if body else body
    if answer is None:
        told = MaskedAnswerUnavailable()
        refusal = problem(told.status, told.code, told.detail, language=language_for(Request(scope)))
        await refusal(scope, receive, send)
        return
    if "content-length" in headers:
        headers["content-length"] = str(len(answer))
    await send({**start, "headers": headers.raw})
    await send({"type": "http.response.body", "body": answer, "more_body": False})


def _masked_body(body: bytes, content_type: str) -> bytes | None:
    """None: of a kind or length that cannot be masked."""
    kind = content_type.partition(";")[0].strip()
    if len(body) > MASKED_BYTES_MAX:
        return None
    if kind == "application/json" or kind.endswith("+json"):
        return orjson.dumps(masked(orjson.loads(body)))
    return masked_text(body.decode()).encode() if kind in {"text/plain", "text/html"} else None
