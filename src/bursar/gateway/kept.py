"""Answers that are kept, so that later requests may continue them: recalled, kept, shown, forgotten.

Only what an organisation asked for is kept, for 30 days. Keeping comes after booking and before the last
byte: it can fail without anybody losing money, and who reads an answer's end can refer to it at once.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import orjson
import structlog

from bursar.core.chat import BadRequest
from bursar.core.kept import KeptResponse
from bursar.gateway.dialects import Asked, Call
from bursar.gateway.dialects.openai_responses.items import listed
from bursar.gateway.dialects.openai_responses.reading import estimate_items
from bursar.gateway.errors import GatewayError, books_unavailable
from bursar.gateway.inbound import Inbound
from bursar.gateway.runtime import Gateway
from bursar.gateway.snapshot import KeyRecord
from bursar.gateway.ticket import Attempt, Ticket

log = structlog.get_logger()

KEPT_BYTES_MAX: Final = 32 * 2**20
"""Input and answer of one response; what is longer is not kept, and the answer says so."""
HISTORY_BYTES_MAX: Final = 48 * 2**20
HISTORY_RESPONSES_MAX: Final = 1_000
KEEP_WAIT_S: Final = 2.0
"""So long the end of an answer may wait to be kept."""
ID_CHARACTERS_MAX: Final = 128
PAGE_DEFAULT, PAGE_MAX = 20, 100


async def recall(gw: Gateway, inbound: Inbound, key: KeyRecord, call: Call, request_id: UUID) -> None:
    """Put what a request continues before its own input; its estimate grows with it.

    Raises:
        BadRequest: it asks for an answer to be kept where none are.
        GatewayError: 404 when there is no such answer of this organisation's, 503 when that cannot be known.
    """
    memory = call.memory
    if memory is None:
        return
    memory.response_id = f"resp_{request_id.hex}"
    wanted = call.raw.get("store")
    if wanted and not key.keeps_responses:
        raise BadRequest(
            "'store' is not supported: this organisation keeps no responses.",
            code=BadRequest.UNSUPPORTED,
            param="store",
        )
    memory.keeps = key.keeps_responses and wanted is not False
    if memory.previous_id is None:
        return
    chain = await _chain(gw, key, memory.previous_id, param="previous_response_id")
    size = sum(len(one.content) for one in chain)
    gw.bodies.take(size)
    inbound.body_bytes += size
    history = [item for one in reversed(chain) for item in _said(one)]
    call.raw["input"] = [*history, *memory.own_input]
    call.input_tokens += estimate_items(history)


async def reply(gw: Gateway, ticket: Ticket, attempt: Attempt) -> bytes:
    """The body of a whole answer; where it is kept, it says whether that succeeded."""
    memory = ticket.call.memory
    if memory is None or not memory.keeps or memory.answer is None:
        return attempt.reply
    memory.answer["store"] = await _keep(gw, ticket, memory.answer)
    return orjson.dumps(memory.answer)


async def last_frames(
    gw: Gateway, ticket: Ticket, attempt: Attempt, cost: Mapping[str, Any]
) -> Sequence[bytes]:
    """The end of a stream, once its answer is kept where it is to be."""
    frames = attempt.exchange.tail(cost)
    memory = ticket.call.memory
    if memory is None or not memory.keeps or memory.answer is None:
        return frames
    if await _keep(gw, ticket, memory.answer):
        return frames
    memory.answer["store"] = False
    return attempt.exchange.tail(cost)


async def show_response(gw: Gateway, key: KeyRecord, asked: Asked) -> Any:
    """`GET /v1/responses/{id}` and its `/input_items`.

    Raises:
        GatewayError: 404 unknown or another organisation's; 503 while PostgreSQL is away.
    """
    response_id, _, below = (asked.model or "").partition("/")
    if below not in {"", "input_items"}:
        raise GatewayError(404, "unknown_url", f"There is nothing at GET {asked.endpoint}.")
    if asked.query.get("stream") == "true":
        raise BadRequest(
            "'stream' is not supported: a kept response is told at once.",
            code=BadRequest.UNSUPPORTED,
            param="stream",
        )
    (found,) = await _chain(gw, key, response_id, most=1)
    content = orjson.loads(found.content)
    return _page(listed(content["input"], response_id), asked.query) if below else content["response"]


async def forget_response(gw: Gateway, key: KeyRecord, asked: Asked) -> Any:
    """`DELETE /v1/responses/{id}`; raises as `show_response` does."""
    response_id = asked.model or ""
    try:
        gone = await gw.responses.forget(key.organisation_id, response_id[:ID_CHARACTERS_MAX])
    except gw.responses.unavailable as error:
        raise books_unavailable() from error
    if not gone:
        raise _not_found(key, response_id)
    return {"id": response_id, "object": "response", "deleted": True}


async def _chain(
    gw: Gateway,
    key: KeyRecord,
    response_id: str,
    *,
    most: int = HISTORY_RESPONSES_MAX,
    param: str | None = None,
) -> Sequence[KeptResponse]:
    """A kept response and, unless only one is wanted, all those it continues, newest first."""
    if not 0 < len(response_id) <= ID_CHARACTERS_MAX or "\0" in response_id:
        raise _not_found(key, response_id, param)
    try:
        chain = await gw.responses.chain(
            key.organisation_id, response_id, most=most, bytes_max=HISTORY_BYTES_MAX
        )
    except gw.responses.unavailable as error:
        raise books_unavailable() from error
    if chain is None or (most > 1 and len(chain) == most):
        raise GatewayError(
            413,
            "previous_response_too_long",
            f"What {response_id[:64]!r} continues is too long to be sent again.",
            param=param,
        )
    if not chain:
        raise _not_found(key, response_id, param)
    if most > 1 and chain[-1].previous_id is not None:
        raise _not_found(key, chain[-1].previous_id, param)
    return chain


def _not_found(key: KeyRecord, response_id: str, param: str | None = None) -> GatewayError:
    said = f"There is no response {response_id[:64]!r}."
    if not key.keeps_responses:
        said = f"There is no response {response_id[:64]!r}: this organisation keeps no responses."
    if param is None:
        return GatewayError(404, "response_not_found", said)
    return GatewayError(404, "previous_response_not_found", said, param=param)


def _said(kept: KeptResponse) -> list[Any]:
    """What one response adds to the conversation; reasoning that cannot be read back is left out."""
    content = orjson.loads(kept.content)
    answered = content["response"].get("output")
    said = [*content["input"], *(answered if isinstance(answered, list) else ())]
    return [item for item in said if _can_return(item)]


def _can_return(item: Any) -> bool:
    if not isinstance(item, dict):
        return False  # a provider's oddity; requests are checked
    return item.get("type") != "reasoning" or bool(item.get("encrypted_content"))


async def _keep(gw: Gateway, ticket: Ticket, answer: dict[str, Any]) -> bool:
    """Keep a finished answer; whatever goes wrong is logged, and only this answer is not kept."""
    memory, identity = ticket.call.memory, answer.get("id")
    if memory is None or not isinstance(identity, str) or not 0 < len(identity) <= ID_CHARACTERS_MAX:
        return False
    answer["store"] = True
    content = orjson.dumps({"input": memory.own_input, "response": answer})
    told = {"request_id": str(ticket.request_id), "bytes": len(content)}
    if len(content) > KEPT_BYTES_MAX:
        log.warning("response.too_long_to_keep", **told)
        return False
    kept = KeptResponse(id=identity, previous_id=memory.previous_id, content=content)
    try:
        async with asyncio.timeout(KEEP_WAIT_S):
            return await gw.responses.keep(ticket.key.organisation_id, kept)
    except (gw.responses.unavailable, TimeoutError) as error:
        log.warning("response.not_kept", **told, error=str(error) or "time is up")
    except Exception:
        log.exception("response.not_kept", **told)  # it is booked and paid for: the answer must go out
    return False


def _page(items: list[dict[str, Any]], query: Mapping[str, str]) -> dict[str, Any]:
    """One page of input items; `limit`, `order`, `after` as OpenAI documents them."""
    limit, order = query.get("limit", str(PAGE_DEFAULT)), query.get("order", "desc")
    if not limit.isascii() or not limit.isdigit() or not 1 <= int(limit[:9]) <= PAGE_MAX:
        raise BadRequest(
            f"Invalid value for 'limit': expected a number from 1 to {PAGE_MAX}.",
            code="invalid_type",
            param="limit",
        )
    if order not in {"asc", "desc"}:
        raise BadRequest(
            "Invalid value for 'order': expected asc or desc.", code="invalid_type", param="order"
        )
    ordered = items if order == "asc" else items[::-1]
    after = query.get("after")
    start = next((at + 1 for at, item in enumerate(ordered) if item["id"] == after), 0)
    page = ordered[start : start + int(limit)]
    return {
        "object": "list",
        "data": page,
        "has_more": start + len(page) < len(ordered),
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
    }
