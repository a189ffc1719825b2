"""Write a composed turn in Anthropic's shape, whole or as a stream."""

from typing import Any

import orjson

from bursar.simulator import shapes, tokens
from bursar.simulator.anthropic_messages.conversation import sign
from bursar.simulator.anthropic_messages.errors import HEADERS, body
from bursar.simulator.anthropic_messages.reading import MessagesRequest
from bursar.simulator.faults import Faults
from bursar.simulator.prompt_cache import CacheUse
from bursar.simulator.prose import Dice
from bursar.simulator.reply import SSE_TYPE, STAMP, Reply, StreamKit, json_reply, misbehave
from bursar.simulator.turn import Call, Finish, Turn

SHAPES = shapes.load("anthropic_messages")
MESSAGE_ID = f"msg_01SimUL{STAMP}P"
"""As long as a real id: 24 characters after `msg_`."""
ARGUMENT_TOKENS_PER_EVENT = 4
PLACEHOLDER_MAX = 4
"""`message_start` carries an output count of 1 to 4 that must never be billed."""
REDACTED = {"type": "redacted_thinking", "data": "EmwKAhgBEgy3va3pzixSimulated"}
_STOP = {
    Finish.STOP: "end_turn",
    Finish.STOP_SEQUENCE: "stop_sequence",
    Finish.LENGTH: "max_tokens",
    Finish.TOOL: "tool_use",
    Finish.FILTER: "refusal",
}


def cache_use(request: MessagesRequest, found: CacheUse) -> CacheUse:
    """What the cache did, unless the fault script says otherwise."""
    faults = request.ask.faults
    if faults.cached is None and faults.cache_write is None and faults.cache_write_1h is None:
        return found
    return CacheUse(
        read=faults.cached or 0, write_5m=faults.cache_write or 0, write_1h=faults.cache_write_1h or 0
    )


def usage_of(request: MessagesRequest, turn: Turn, cache: CacheUse) -> dict[str, Any]:
    """Usage with Anthropic's identity: whole input = input_tokens + cache creation + cache read."""
    faults, shape = request.ask.faults, SHAPES["usage"]
    if faults.zero_usage:
        return dict(shape)
    total = faults.input_tokens if faults.input_tokens is not None else request.input_tokens
    written = cache.write_5m + cache.write_1h
    usage = {
        **shape,
        "input_tokens": max(total - cache.read - written, 0),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": cache.read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": cache.write_5m,
            "ephemeral_1h_input_tokens": cache.write_1h,
        },
        "output_tokens": turn.output_tokens,
        "service_tier": faults.service_tier or "standard",
    }
    if turn.thinking:
        usage["output_tokens_details"] = {"thinking_tokens": len(turn.thinking)}
    if faults.web_search:
        usage["server_tool_use"] = {"web_search_requests": faults.web_search, "web_fetch_requests": 0}
    return usage


def _stop_reason(turn: Turn) -> str:
    return "refusal" if turn.refused else _STOP[turn.finish]


def _ending(request: MessagesRequest, turn: Turn) -> dict[str, Any]:
    reason = None if request.ask.faults.no_finish else _stop_reason(turn)
    details = SHAPES["refusal"] if reason == "refusal" else None
    return {"stop_reason": reason, "stop_sequence": turn.stop_sequence, "stop_details": details}


def _tool_use(call: Call, value: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": f"toolu_01{call.letters[:22]}", "name": call.name, "input": value}


def _input(call: Call) -> Any:
    """The call's input; one cut short by max_tokens is not JSON and shows as empty."""
    try:
        return orjson.loads(call.arguments)
    except orjson.JSONDecodeError:
        return {}


def _content(request: MessagesRequest, turn: Turn) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = []
    if turn.thinking:
        thought = "".join(turn.thinking) if request.show_thinking else ""
        content.append({"type": "thinking", "thinking": thought, "signature": sign(thought)})
    if request.ask.faults.redacted:
        content.append(dict(REDACTED))
    if turn.text:
        content.append({"type": "text", "text": "".join(turn.text)})
    return content + [_tool_use(call, _input(call)) for call in turn.calls]


def whole(request: MessagesRequest, turn: Turn, cache: CacheUse) -> Reply:
    """A `message`."""
    faults = request.ask.faults
    answer = {
        **SHAPES["message"],
        "model": request.model.snapshot,
        "id": MESSAGE_ID,
        "content": _content(request, turn),
        **_ending(request, turn),
        "usage": usage_of(request, turn, cache),
    }
    if faults.no_usage:
        del answer["usage"]
    if faults.extra_fields:
        answer["x_simulated"] = {"kept": True}
    return json_reply(200, answer, HEADERS, faults=faults, tokens=turn.output_tokens)


class _Events:
    """Builds the events of one stream, in the documented order."""

    def __init__(self, request: MessagesRequest, turn: Turn, usage: dict[str, Any]) -> None:
        self._request = request
        self._turn = turn
        self._usage = usage
        self._extra = {"x_simulated": {"kept": True}} if request.ask.faults.extra_fields else {}

    def _event(self, kind: str, **fields: Any) -> bytes:
        return event({"type": kind, **fields, **self._extra})

    def all(self) -> list[bytes]:
        events = [self._start()]
        for at, block in enumerate(_blocks(self._request, self._turn)):
            opening, deltas = block
            events.append(self._event("content_block_start", index=at, content_block=opening))
            if at == 0:
                events.append(self._event("ping"))
            events += [self._event("content_block_delta", index=at, delta=delta) for delta in deltas]
            events.append(self._event("content_block_stop", index=at))
        return [*events, self._end(), self._event("message_stop")]

    def _start(self) -> bytes:
        faults = self._request.ask.faults
        hidden = ("output_tokens_details", "server_tool_use")
        usage = {name: value for name, value in self._usage.items() if name not in hidden}
        if not faults.zero_usage:
            usage["output_tokens"] = min(
                1 + Dice(self._request.ask.seed).below(PLACEHOLDER_MAX), PLACEHOLDER_MAX
            )
        message = {
            **SHAPES["message"],
            "model": self._request.model.snapshot,
            "id": MESSAGE_ID,
            "usage": usage,
        }
        if faults.no_usage:
            del message["usage"]
        return self._event("message_start", message=message)

    def _end(self) -> bytes:
        faults = self._request.ask.faults
        shown = (*SHAPES["delta_usage"], "output_tokens_details", "server_tool_use")
        usage = {name: value for name, value in self._usage.items() if name in shown}
        ending = _ending(self._request, self._turn)
        if faults.no_usage or faults.no_final_usage:
            return self._event("message_delta", delta=ending)
        return self._event("message_delta", delta=ending, usage=usage)


def _blocks(request: MessagesRequest, turn: Turn) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Each content block as (opening, deltas)."""
    built: list[tuple[dict[str, Any], list[dict[str, Any]]]] = []
    if turn.thinking:
        thought = turn.thinking if request.show_thinking else ()
        deltas: list[dict[str, Any]] = [{"type": "thinking_delta", "thinking": one} for one in thought]
        deltas.append({"type": "signature_delta", "signature": sign("".join(thought))})
        built.append(({"type": "thinking", "thinking": "", "signature": ""}, deltas))
    if request.ask.faults.redacted:
        built.append((dict(REDACTED), []))
    if turn.text:
        built.append(
            ({"type": "text", "text": ""}, [{"type": "text_delta", "text": one} for one in turn.text])
        )
    for call in turn.calls:
        written = tokens.pieces(call.arguments)
        parts = [""] + [
            "".join(written[start : start + ARGUMENT_TOKENS_PER_EVENT])
            for start in range(0, len(written), ARGUMENT_TOKENS_PER_EVENT)
        ]
        built.append(
            (_tool_use(call, {}), [{"type": "input_json_delta", "partial_json": part} for part in parts])
        )
    return built


def event(value: dict[str, Any]) -> bytes:
    """One named SSE event."""
    return b"event: %b\ndata: %b\n\n" % (value["type"].encode(), orjson.dumps(value))


def _kit(faults: Faults) -> StreamKit:
    error = body("529")[1]
    if faults.error_type:
        error["error"]["type"] = faults.error_type
    return StreamKit(
        keepalive=event({"type": "ping"}),
        unknown=event({"type": "simulated_unknown", "index": 0}),
        error=event(error),
    )


def stream(request: MessagesRequest, turn: Turn, cache: CacheUse) -> Reply:
    """A stream of message events."""
    faults = request.ask.faults
    events = _Events(request, turn, usage_of(request, turn, cache)).all()
    return Reply(
        status=200,
        headers=(SSE_TYPE, ("cache-control", "no-cache"), *HEADERS),
        events=tuple(misbehave(events, faults, _kit(faults))),
        faults=faults,
        tokens=turn.output_tokens,
    )
