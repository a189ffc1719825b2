"""Write a composed turn as a response, whole or as the events that build it."""

from typing import Any

import orjson

from bursar.simulator import shapes, tokens
from bursar.simulator.faults import Faults
from bursar.simulator.openai_chat.errors import HEADERS, body
from bursar.simulator.openai_responses.reading import ResponseRequest
from bursar.simulator.prompt_cache import OPENAI_STEP, OPENAI_TOKENS_MIN
from bursar.simulator.prose import Dice
from bursar.simulator.reply import CREATED, SSE_TYPE, STAMP, Reply, StreamKit, json_reply, misbehave
from bursar.simulator.turn import Call, Finish, Turn

SHAPES = shapes.load("openai_responses")
OBFUSCATED_LENGTH = 12
ARGUMENT_TOKENS_PER_EVENT = 4
ECHOED = (
    "instructions", "max_output_tokens", "max_tool_calls", "metadata", "parallel_tool_calls",
    "prompt_cache_key", "safety_identifier", "store", "temperature", "tool_choice", "tools", "top_logprobs",
    "top_p", "truncation", "user",
)  # fmt: skip
"""Properties of the request that the response repeats."""
_INCOMPLETE = {Finish.LENGTH: "max_output_tokens", Finish.FILTER: "content_filter"}
_TIERS = {"auto": "default", "fast": "priority"}


def usage_of(request: ResponseRequest, turn: Turn, cached: int) -> dict[str, Any] | None:
    """Usage with OpenAI's identities: cached and written tokens inside the input, reasoning in the output."""
    faults = request.ask.faults
    if faults.no_usage:
        return None
    if faults.zero_usage:
        return dict(SHAPES["usage"])
    sent = faults.input_tokens if faults.input_tokens is not None else request.input_tokens
    cached = min(faults.cached if faults.cached is not None else cached, sent)
    return {
        "input_tokens": sent,
        "input_tokens_details": {"cached_tokens": cached, **_written(request, sent, cached)},
        "output_tokens": turn.output_tokens,
        "output_tokens_details": {"reasoning_tokens": len(turn.thinking)},
        "total_tokens": sent + turn.output_tokens + (1 if faults.wrong_total else 0),
    }


def _written(request: ResponseRequest, sent: int, cached: int) -> dict[str, Any]:
    """Cache writes: their sum, and by life where the faults ask for some or the model reports them."""
    faults, short = request.ask.faults, 0
    if faults.cache_write is not None:
        short = min(faults.cache_write, sent - cached)
    elif request.model.cache_writes and sent >= OPENAI_TOKENS_MIN:
        short = max(sent - sent % OPENAI_STEP - cached, 0)
    long = min(faults.cache_write_12h or 0, sent - cached - short)
    written: dict[str, Any] = {"cache_write_tokens": short + long}
    if short or long:
        written["cache_write_tokens_details"] = {"ttl_30m_tokens": short, "ttl_12h_tokens": long}
    return written


class _Writer:
    """One response: its items, and what is said about it at each stage."""

    def __init__(self, request: ResponseRequest, turn: Turn, usage: dict[str, Any] | None) -> None:
        self._request = request
        self._turn = turn
        self._usage = usage
        raw = request.raw
        asked = raw.get("service_tier") or "auto"
        echoed = {name: raw[name] for name in ECHOED if raw.get(name) is not None}
        text, reasoning = raw.get("text") or {}, raw.get("reasoning") or {}
        self._base: dict[str, Any] = {
            **SHAPES["response"],
            **echoed,
            "id": f"resp_{STAMP}{STAMP}",
            "created_at": CREATED,
            "model": request.shown_model,
            "reasoning": {**SHAPES["response"]["reasoning"], **reasoning},
            "service_tier": request.ask.faults.service_tier or _TIERS.get(asked, asked),
            "text": {**SHAPES["response"]["text"], **text},
        }
        if request.ask.faults.extra_fields:
            self._base["x_simulated"] = {"kept": True}

    def begun(self) -> dict[str, Any]:
        """The response before anything was said."""
        return {**self._base, "status": "in_progress", "service_tier": "auto"}

    def ended(self) -> dict[str, Any]:
        """The response with everything in it."""
        ended = {**self._base, "output": self.items(), "usage": self._usage}
        reason = _INCOMPLETE.get(self._turn.finish)
        if self._request.ask.faults.failed:
            ended |= {"status": "failed", "error": dict(SHAPES["failure"])}
        elif reason is not None:
            ended |= {"status": "incomplete", "incomplete_details": {"reason": reason}}
        else:
            ended["completed_at"] = CREATED
        return ended

    def items(self) -> list[dict[str, Any]]:
        """Reasoning, then the message or the calls."""
        turn, items = self._turn, []
        if self._request.model.reasoning or turn.thinking:
            items.append(self.reasoning())
        if turn.text or not turn.calls:
            items.append(self.message())
        return items + [self.call(number, call) for number, call in enumerate(turn.calls)]

    def reasoning(self) -> dict[str, Any]:
        thoughts = "".join(self._turn.thinking)
        shown = [{"type": "summary_text", "text": thoughts}] if thoughts and self._request.summarises else []
        return {
            "id": f"rs_{STAMP}{STAMP}",
            "type": "reasoning",
            "summary": shown,
            "encrypted_content": f"gAAAAA{Dice(self._request.ask.seed).letters(40)}",
        }

    def part(self) -> dict[str, Any]:
        text = "".join(self._turn.text)
        if self._turn.refused:
            return {"type": "refusal", "refusal": text}
        return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}

    def message(self) -> dict[str, Any]:
        status = "incomplete" if self._turn.finish in _INCOMPLETE else "completed"
        content = [self.part()]
        message = {"id": f"msg_{STAMP}{STAMP}", "type": "message", "status": status}
        return {**message, "content": content, "role": "assistant"}

    def call(self, number: int, call: Call) -> dict[str, Any]:
        kind, prefix, said = (
            ("custom_tool_call", "ctc", "input") if call.custom else ("function_call", "fc", "arguments")
        )
        return {
            "id": f"{prefix}_{STAMP}{STAMP}{number:02d}",
            "type": kind,
            "status": "incomplete" if self._turn.finish in _INCOMPLETE else "completed",
            said: call.arguments,
            "call_id": f"call_{call.letters}",
            "name": call.name,
        }


class _Events:
    """The events of one stream, numbered as they come."""

    def __init__(self, writer: _Writer, request: ResponseRequest, turn: Turn) -> None:
        self._writer = writer
        self._request = request
        self._turn = turn
        self._dice = Dice(request.ask.seed + b"padding")
        self._events: list[bytes] = []

    def _add(self, kind: str, **said: Any) -> None:
        event = {"type": kind, "sequence_number": len(self._events), **said}
        if self._request.ask.faults.extra_fields:
            event["x_simulated"] = {"kept": True}
        self._events.append(b"event: %b\ndata: %b\n\n" % (kind.encode(), orjson.dumps(event)))

    def _delta(self, kind: str, delta: str, **said: Any) -> None:
        if self._request.obfuscate:
            said["obfuscation"] = self._dice.letters(max(OBFUSCATED_LENGTH - len(delta), 1))
        self._add(kind, delta=delta, **said)

    def all(self) -> list[bytes]:
        """From `response.created` to the event that ends the response."""
        begun, ended = self._writer.begun(), self._writer.ended()
        self._add("response.created", response=begun)
        self._add("response.in_progress", response=begun)
        for index, item in enumerate(ended["output"]):
            self._item(index, item)
        if not self._request.ask.faults.no_finish:
            self._add(f"response.{ended['status']}", response=ended)
        return self._events

    def _item(self, index: int, item: dict[str, Any]) -> None:
        place = {"item_id": item["id"], "output_index": index}
        match item["type"]:
            case "reasoning":
                self._added(index, {**item, "summary": []})
                if item["summary"]:
                    self._summary(place)
            case "message":
                self._added(index, {**item, "status": "in_progress", "content": []})
                self._message({**place, "content_index": 0})
            case "function_call":
                self._added(index, {**item, "status": "in_progress", "arguments": ""})
                self._call("response.function_call_arguments", place, "arguments", item)
            case _:
                self._added(index, {**item, "status": "in_progress", "input": ""})
                self._call("response.custom_tool_call_input", place, "input", item)
        self._add("response.output_item.done", output_index=index, item=item)

    def _added(self, index: int, item: dict[str, Any]) -> None:
        self._add("response.output_item.added", output_index=index, item=item)

    def _summary(self, place: dict[str, Any]) -> None:
        place, text = {**place, "summary_index": 0}, "".join(self._turn.thinking)
        part = {"type": "summary_text", "text": ""}
        self._add("response.reasoning_summary_part.added", **place, part=part)
        for one in self._turn.thinking:
            self._delta("response.reasoning_summary_text.delta", one, **place)
        self._add("response.reasoning_summary_text.done", **place, text=text)
        self._add("response.reasoning_summary_part.done", **place, part={**part, "text": text})

    def _message(self, place: dict[str, Any]) -> None:
        part = self._writer.part()
        kind, said = ("refusal", "refusal") if self._turn.refused else ("output_text", "text")
        probabilities: dict[str, Any] = {} if self._turn.refused else {"logprobs": []}
        self._add("response.content_part.added", **place, part={**part, said: ""})
        for one in self._turn.text:
            self._delta(f"response.{kind}.delta", one, **place, **probabilities)
        self._add(f"response.{kind}.done", **place, **{said: part[said]}, **probabilities)
        self._add("response.content_part.done", **place, part=part)

    def _call(self, kind: str, place: dict[str, Any], said: str, item: dict[str, Any]) -> None:
        written = tokens.pieces(item[said])
        for start in range(0, len(written), ARGUMENT_TOKENS_PER_EVENT):
            self._delta(f"{kind}.delta", "".join(written[start : start + ARGUMENT_TOKENS_PER_EVENT]), **place)
        name = {"name": item["name"]} if said == "arguments" else {}
        self._add(f"{kind}.done", **place, **name, **{said: item[said]})


def whole(request: ResponseRequest, turn: Turn, cached: int) -> Reply:
    """A `response`."""
    answer = _Writer(request, turn, usage_of(request, turn, cached)).ended()
    return json_reply(200, answer, HEADERS, faults=request.ask.faults, tokens=turn.output_tokens)


def stream(request: ResponseRequest, turn: Turn, cached: int) -> Reply:
    """A stream of the events that build a response."""
    faults = request.ask.faults
    writer = _Writer(request, turn, usage_of(request, turn, cached))
    events = _Events(writer, request, turn).all()
    return Reply(
        status=200,
        headers=(SSE_TYPE, *HEADERS),
        events=tuple(misbehave(events, faults, _kit(faults))),
        faults=faults,
        unseen_tokens=0 if request.summarises else len(turn.thinking),
        tokens=turn.output_tokens,
    )


def _kit(faults: Faults) -> StreamKit:
    shaped = body("500", model="", key="")[1]["error"]
    error = {
        "type": "error",
        "sequence_number": faults.error_event_after or 0,
        "code": faults.error_code or shaped["code"] or "server_error",
        "message": shaped["message"],
        "param": None,
    }
    unknown = b'{"type":"response.simulated.unknown","sequence_number":1,"simulated":true}'
    return StreamKit(
        keepalive=b": keep-alive\n\n",
        unknown=b"event: response.simulated.unknown\ndata: " + unknown + b"\n\n",
        error=b"event: error\ndata: " + orjson.dumps(error) + b"\n\n",
    )
