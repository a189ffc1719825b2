"""Requests in the Gemini API's dialect over plain sockets, and what came back for them."""

from typing import Any

import orjson
from caller import Caller, Reply
from proving import Customer


def path_of(customer: Customer, kind: str, *, stream: bool = False, sse: bool = True) -> str:
    """Where a customer's model of a provider type is asked."""
    action = "streamGenerateContent" if stream else "generateContent"
    query = "?alt=sse" if stream and sse else ""
    return f"/v1beta/models/{customer.models[kind]}:{action}{query}"


def payload(text: str, **config: Any) -> bytes:
    body: dict[str, Any] = {"contents": [{"parts": [{"text": text}], "role": "user"}]}
    return orjson.dumps({**body, "generationConfig": config} if config else body)


def headers_of(customer: Customer) -> dict[str, str]:
    return {"x-goog-api-key": customer.key, "content-type": "application/json"}


async def ask_gemini(
    customer: Customer,
    kind: str,
    text: str = "hello there",
    *,
    stream: bool = False,
    sse: bool = True,
    **config: Any,
) -> Reply:
    """One request on a connection of its own."""
    path = path_of(customer, kind, stream=stream, sse=sse)
    return await customer.send(payload(text, **config), path=path, headers=headers_of(customer))


async def start_gemini(caller: Caller, customer: Customer, kind: str, text: str) -> None:
    """Send a streamed request without waiting for its answer."""
    await caller.post(path_of(customer, kind, stream=True), payload(text), headers_of(customer))


def chunks_of(reply: Reply) -> list[Any]:
    """The chunks of a stream in either framing."""
    if reply.body.lstrip().startswith(b"data: "):
        return reply.events()
    return list(reply.json())


def said_in(reply: Reply) -> str:
    """The words of an answer, whole or streamed."""
    whole = reply.body.startswith(b"{")
    answers = [reply.json()] if whole else chunks_of(reply)
    return "".join(
        part.get("text", "")
        for answer in answers
        for candidate in answer.get("candidates", ())
        for part in candidate["content"].get("parts", ())
        if not part.get("thought")
    )
