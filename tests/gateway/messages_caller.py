"""A caller who speaks Anthropic's messages: what he sends, and what he reads in the answers."""

from typing import Any

import orjson
from caller import Caller, Reply
from proving import Customer

MESSAGES = "/v1/messages"
MAX_TOKENS = 4_096


def message_payload(customer: Customer, kind: str, text: str, **parameters: Any) -> bytes:
    asked = {"max_tokens": MAX_TOKENS, "messages": [{"role": "user", "content": text}], **parameters}
    return orjson.dumps({"model": customer.models[kind], **asked})


def headers_of(customer: Customer) -> dict[str, str]:
    return {
        "x-api-key": customer.key,
        "anthropic-version": "2023-06-01",
        "content-type": "application/json",
    }


async def ask_messages(customer: Customer, kind: str, text: str, **parameters: Any) -> Reply:
    """One request on a connection of its own."""
    body = message_payload(customer, kind, text, **parameters)
    return await customer.send(body, path=MESSAGES, headers=headers_of(customer))


async def start_messages(caller: Caller, customer: Customer, kind: str, text: str, **parameters: Any) -> None:
    """Send a request on `caller` without waiting for its answer."""
    body = message_payload(customer, kind, text, **parameters)
    await caller.post(MESSAGES, body, headers_of(customer))


def events_of(reply: Reply) -> list[dict[str, Any]]:
    """The JSON of every event of a stream."""
    frames = bytes(reply.body).replace(b"\r\n", b"\n").split(b"\n\n")
    found = [orjson.loads(frame.partition(b"data: ")[2]) for frame in frames if b"data: " in frame]
    assert all(b"event: " + event["type"].encode() in bytes(reply.body) for event in found)
    return found


def said_in(reply: Reply) -> str:
    """What the model said, of a whole answer or a stream."""
    if reply.body.lstrip().startswith(b"{"):
        return "".join(block.get("text", "") for block in reply.json()["content"])
    deltas = [event["delta"] for event in events_of(reply) if event["type"] == "content_block_delta"]
    return "".join(delta.get("text", "") for delta in deltas)
