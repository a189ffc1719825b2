"""Write a composed turn in OpenAI's shape, whole or as a stream."""

from typing import Any

import orjson

from bursar.simulator import shapes, tokens
from bursar.simulator.faults import Faults
from bursar.simulator.openai_chat.errors import HEADERS, body
from bursar.simulator.openai_chat.reading import ChatRequest
from bursar.simulator.prompt_cache import OPENAI_STEP, OPENAI_TOKENS_MIN
from bursar.simulator.prose import Dice
from bursar.simulator.reply import CREATED, SSE_TYPE, STAMP, Reply, StreamKit, json_reply, misbehave
from bursar.simulator.turn import Call, Finish, Turn

SHAPES = shapes.load("openai_chat")
CHAT_ID = f"chatcmpl-DSimulated123{STAMP}"
"""As long as a real id: 29 characters after the dash."""
PREDICTION_REJECTED_MAX = 5
OBFUSCATED_LENGTH = 12
ARGUMENT_TOKENS_PER_EVENT = 4
DONE = b"data: [DONE]\n\n"
_FINISH = {
    Finish.STOP: "stop",
    Finish.STOP_SEQUENCE: "stop",
    Finish.LENGTH: "length",
    Finish.TOOL: "tool_calls",
    Finish.FILTER: "content_filter",
}
_TIERS = {"auto": "default", "fast": "priority"}


def usage_of(request: ChatRequest, turns: list[Turn], cached: int) -> dict[str, Any] | None:
    """Usage with OpenAI's identities.

    Cached, audio and cache writes are inside prompt_tokens, reasoning and
    rejected prediction inside completion_tokens, and total is their sum.
    """
    faults, shape = request.ask.faults, SHAPES["usage"]
    if faults.no_usage:
        return None
    prompt = faults.input_tokens if faults.input_tokens is not None else request.input_tokens
    cached = min(faults.cached if faults.cached is not None else cached, prompt)
    rejected = _rejected_prediction(request)
    completion = sum(turn.output_tokens for turn in turns) + rejected
    details = {
        **shape["prompt_tokens_details"],
        "cached_tokens": cached,
        "audio_tokens": request.audio_tokens,
    }
    if faults.cache_write is not None:
        details["cache_write_tokens"] = min(faults.cache_write, prompt - cached)
    elif request.model.cache_writes:
        written = prompt - prompt % OPENAI_STEP - cached if prompt >= OPENAI_TOKENS_MIN else 0
        details["cache_write_tokens"] = max(written, 0)
    out = {
        **shape["completion_tokens_details"],
        "reasoning_tokens": sum(len(turn.thinking) for turn in turns),
        "rejected_prediction_tokens": rejected,
    }
    if faults.zero_usage:
        return dict(shape)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion + (1 if faults.wrong_total else 0),
        "prompt_tokens_details": details,
        "completion_tokens_details": out,
    }


def _rejected_prediction(request: ChatRequest) -> int:
    prediction = request.raw.get("prediction")
    if not prediction:
        return 0
    content = prediction["content"]
    text = content if isinstance(content, str) else "".join(part["text"] for part in content)
    return min(tokens.count(text), PREDICTION_REJECTED_MAX)


def _tier(request: ChatRequest) -> str:
    asked = request.raw.get("service_tier") or "auto"
    return request.ask.faults.service_tier or _TIERS.get(asked, asked)


def _finish(request: ChatRequest, turn: Turn) -> str:
    if turn.finish is Finish.TOOL and request.raw.get("functions"):
        return "function_call"
    return _FINISH[turn.finish]


def _called(call: Call, arguments: str) -> dict[str, Any]:
    ident = f"call_{call.letters}"
    if call.custom:
        return {"id": ident, "type": "custom", "custom": {"name": call.name, "input": arguments}}
    return {"id": ident, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def _message(request: ChatRequest, turn: Turn) -> dict[str, Any]:
    message = dict(SHAPES["message"])
    if turn.refused:
        message["refusal"] = "".join(turn.text)
    elif turn.text or not turn.calls:
        message["content"] = "".join(turn.text)
    if turn.calls and request.raw.get("functions"):
        message["function_call"] = {"name": turn.calls[0].name, "arguments": turn.calls[0].arguments}
    elif turn.calls:
        message["tool_calls"] = [_called(call, call.arguments) for call in turn.calls]
    if request.compatible and turn.thinking:
        message["reasoning_content"] = "".join(turn.thinking)
    return message


def _logprob(token: str, dice: Dice) -> tuple[str, list[int], float]:
    return token, list(token.encode()), -dice.below(9_000) / 10_000


def _logprobs(
    request: ChatRequest, written: tuple[str, ...], dice: Dice, key: str = "content"
) -> dict[str, Any] | None:
    """Log probabilities of some tokens, or None when not asked for."""
    if not request.raw.get("logprobs"):
        return None
    wanted, listed = request.raw.get("top_logprobs") or 0, []
    for one in written:
        token, raw, value = _logprob(one, dice)
        others = [_logprob(f" {dice.letters(3)}", dice) for _ in range(max(wanted - 1, 0))]
        top = [(token, raw, value), *((name, data, value - 1 + lower) for name, data, lower in others)][
            :wanted
        ]
        ranked = [{"token": name, "logprob": at, "bytes": data} for name, data, at in top]
        listed.append({"token": token, "logprob": value, "bytes": raw, "top_logprobs": ranked})
    other = "refusal" if key == "content" else "content"
    return {key: listed, other: None}


def whole(request: ChatRequest, turns: list[Turn], cached: int) -> Reply:
    """A `chat.completion`."""
    choices = []
    for at, turn in enumerate(turns):
        key = "refusal" if turn.refused else "content"
        logprobs = _logprobs(request, turn.text, Dice(request.ask.seed), key)
        finish = None if request.ask.faults.no_finish else _finish(request, turn)
        choices.append(
            {"index": at, "message": _message(request, turn), "logprobs": logprobs, "finish_reason": finish}
        )
    answer = {
        **SHAPES["chat_completion"],
        "id": CHAT_ID,
        "created": CREATED,
        "model": request.shown_model,
        "choices": choices,
        "usage": usage_of(request, turns, cached),
        "service_tier": _tier(request),
    }
    if answer["usage"] is None:
        del answer["usage"]
    if request.ask.faults.extra_fields:
        answer["x_simulated"] = {"kept": True}
    made = sum(turn.output_tokens for turn in turns)
    return json_reply(200, answer, HEADERS, faults=request.ask.faults, tokens=made)


class _Chunks:
    """Builds the chunks of one stream."""

    def __init__(self, request: ChatRequest, turns: list[Turn], usage: dict[str, Any] | None) -> None:
        self._request = request
        self._turns = turns
        self._usage = usage
        self._dice = Dice(request.ask.seed + b"padding")
        self._logprob_dice = Dice(request.ask.seed)
        self._frame = {
            **SHAPES["chunk"],
            "id": CHAT_ID,
            "created": CREATED,
            "model": request.shown_model,
            "service_tier": _tier(request),
        }

    def _event(self, choices: list[dict[str, Any]], *, visible: int = 0, usage: Any = None) -> bytes:
        value = {**self._frame, "choices": choices}
        faults = self._request.ask.faults
        if self._request.include_usage:
            value["usage"] = self._usage if faults.running_usage else usage
        if self._request.obfuscate:
            value["obfuscation"] = self._dice.letters(max(OBFUSCATED_LENGTH - visible, 1))
        if faults.extra_fields:
            value["x_simulated"] = {"kept": True}
        return b"data: " + orjson.dumps(value) + b"\n\n"

    def _delta(
        self, at: int, delta: dict[str, Any], *, finish: str | None = None, logprobs: Any = None
    ) -> bytes:
        one = {"index": at, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        return self._event([one], visible=len(str(delta.get("content", ""))))

    def all(self) -> list[bytes]:
        """First every choice's opening, then the choices' tokens in turn, their ends, usage and [DONE]."""
        events = [self._opening(at, turn) for at, turn in enumerate(self._turns)]
        lines = [self._tokens(at, turn) for at, turn in enumerate(self._turns)]
        for row in range(max(map(len, lines), default=0)):
            events += [line[row] for line in lines if row < len(line)]
        if not self._request.ask.faults.no_finish:
            events += [
                self._delta(at, {}, finish=_finish(self._request, turn))
                for at, turn in enumerate(self._turns)
            ]
        if self._request.include_usage and self._usage is not None:
            events.append(self._event([], usage=self._usage))
        return [*events, DONE]

    def _opening(self, at: int, turn: Turn) -> bytes:
        if turn.calls and self._request.raw.get("functions"):
            call = {"name": turn.calls[0].name, "arguments": ""}
            return self._delta(
                at, {"role": "assistant", "content": None, "function_call": call, "refusal": None}
            )
        if turn.calls:
            first = {"index": 0, **_called(turn.calls[0], "")}
            return self._delta(
                at, {"role": "assistant", "content": None, "tool_calls": [first], "refusal": None}
            )
        return self._delta(at, {"role": "assistant", "content": "", "refusal": None})

    def _tokens(self, at: int, turn: Turn) -> list[bytes]:
        events: list[bytes] = []
        if self._request.compatible:
            events += [self._delta(at, {"reasoning_content": one}) for one in turn.thinking]
        for number, call in enumerate(turn.calls):
            events += self._call(at, number, call)
        key = "refusal" if turn.refused else "content"
        for one in turn.text:
            events.append(
                self._delta(
                    at, {key: one}, logprobs=_logprobs(self._request, (one,), self._logprob_dice, key)
                )
            )
        return events

    def _call(self, at: int, number: int, call: Call) -> list[bytes]:
        written = tokens.pieces(call.arguments)
        parts = [
            "".join(written[start : start + ARGUMENT_TOKENS_PER_EVENT])
            for start in range(0, len(written), ARGUMENT_TOKENS_PER_EVENT)
        ]
        if self._request.raw.get("functions"):
            return [self._delta(at, {"function_call": {"arguments": part}}) for part in parts]
        first = (
            [] if number == 0 else [self._delta(at, {"tool_calls": [{"index": number, **_called(call, "")}]})]
        )
        kind, field = ("custom", "input") if call.custom else ("function", "arguments")
        return first + [
            self._delta(at, {"tool_calls": [{"index": number, kind: {field: part}}]}) for part in parts
        ]


def _kit(faults: Faults) -> StreamKit:
    error = body("500", model="", key="")[1]
    if faults.error_type:
        error["error"]["type"] = faults.error_type
    if faults.error_code:
        error["error"]["code"] = faults.error_code
    return StreamKit(
        keepalive=b": keep-alive\n\n",
        unknown=b'event: simulated.unknown\ndata: {"object":"simulated.unknown","choices":[]}\n\n',
        error=b"data: " + orjson.dumps(error) + b"\n\n",
    )


def stream(request: ChatRequest, turns: list[Turn], cached: int) -> Reply:
    """A stream of `chat.completion.chunk`."""
    faults = request.ask.faults
    events = _Chunks(request, turns, usage_of(request, turns, cached)).all()
    return Reply(
        status=200,
        headers=(SSE_TYPE, *HEADERS),
        events=tuple(misbehave(events, faults, _kit(faults))),
        faults=faults,
        unseen_tokens=0 if request.compatible else sum(len(turn.thinking) for turn in turns),
        tokens=sum(turn.output_tokens for turn in turns),
    )
