"""Write composed turns in Google's shape: whole, as server-sent events, or as one JSON array in pieces."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import orjson

from bursar.simulator.faults import Faults
from bursar.simulator.gemini_generate.conversation import sign, sign_text
from bursar.simulator.gemini_generate.errors import HEADERS, body
from bursar.simulator.gemini_generate.reading import GenerateRequest
from bursar.simulator.reply import JSON_TYPE, STAMP, Reply, StreamKit, json_reply, misbehave
from bursar.simulator.turn import Call, Finish, Turn

RESPONSE_ID = f"sImU{STAMP}aBcD"
SSE_TYPE = ("content-type", "text/event-stream")
DATA, END = b"data: ", b"\r\n\r\n"
BLOCKED = "PROHIBITED_CONTENT"
_FINISH = {
    Finish.STOP: "STOP",
    Finish.STOP_SEQUENCE: "STOP",
    Finish.LENGTH: "MAX_TOKENS",
    Finish.TOOL: "STOP",
    Finish.FILTER: "SAFETY",
}
_EXTRA = {"xSimulated": {"kept": True}}


def usage_of(request: GenerateRequest, turns: list[Turn], cached: int) -> dict[str, Any]:
    """Usage with Google's identity: total = prompt (cached inside) + candidates + thoughts."""
    faults = request.ask.faults
    if faults.zero_usage:
        return {"promptTokenCount": 0, "candidatesTokenCount": 0, "totalTokenCount": 0}
    sent = _sent(request)
    prompt = sent.total()
    thoughts = sum(len(turn.thinking) for turn in turns)
    came = max(sum(turn.output_tokens for turn in turns) - thoughts, 0)
    cached = min(faults.cached if faults.cached is not None else cached, prompt)
    tool_use = faults.tool_use or 0
    usage: dict[str, Any] = {"promptTokenCount": prompt}
    if came:
        usage["candidatesTokenCount"] = came
    usage["totalTokenCount"] = prompt + came + thoughts + tool_use + (1 if faults.wrong_total else 0)
    if cached:
        usage["cachedContentTokenCount"] = cached
    usage["promptTokensDetails"] = _details(sent)
    if cached:
        usage["cacheTokensDetails"] = _details(_cached(sent, cached))
    if came:
        usage["candidatesTokensDetails"] = _details(Counter(TEXT=came))
    if thoughts:
        usage["thoughtsTokenCount"] = thoughts
    if tool_use:
        usage["toolUsePromptTokenCount"] = tool_use
        usage["toolUsePromptTokensDetails"] = _details(Counter(TEXT=tool_use))
    if faults.service_tier:
        usage["serviceTier"] = faults.service_tier
    return usage


def _sent(request: GenerateRequest) -> Counter[str]:
    """The prompt by modality; a total told by the fault script is all text but for the media."""
    told = request.ask.faults.input_tokens
    if told is None:
        return request.sent
    media = Counter({name: count for name, count in request.sent.items() if name != "TEXT"})
    return media + Counter(TEXT=max(told - media.total(), 0)) if told >= media.total() else Counter(TEXT=told)


def _cached(sent: Counter[str], cached: int) -> Counter[str]:
    """Text first: prefixes are mostly text."""
    found: Counter[str] = Counter()
    for name in sorted(sent, key=lambda name: name != "TEXT"):
        found[name] = min(sent[name], cached - found.total())
    return +found


def _details(by_modality: Counter[str]) -> list[dict[str, Any]]:
    return [{"modality": name, "tokenCount": count} for name, count in by_modality.items() if count]


def _call_part(request: GenerateRequest, call: Call, *, first: bool) -> dict[str, Any]:
    try:
        arguments = orjson.loads(call.arguments)
    except orjson.JSONDecodeError:  # cut short by the output bound
        arguments = {}
    called: dict[str, Any] = {"name": call.name, "args": arguments}
    if not request.model.signatures:
        return {"functionCall": called}
    part: dict[str, Any] = {"functionCall": {"id": call.letters[:8], **called}}
    return {**part, "thoughtSignature": sign(called)} if first else part


def _pieces(request: GenerateRequest, turn: Turn) -> Iterator[dict[str, Any]]:
    """The parts of one answer as a stream brings them: a token, or a whole call, at a time."""
    if request.shows_thoughts:
        for thought in turn.thinking:
            yield {"text": thought, "thought": True}
    for token in turn.text:
        yield {"text": token}
    for number, call in enumerate(turn.calls):
        yield _call_part(request, call, first=number == 0)


def _last_part(request: GenerateRequest, turn: Turn) -> dict[str, Any]:
    """What closes a stream: no more text, and the signature of what was said."""
    if request.model.signatures and turn.text and turn.thinking:
        return {"text": "", "thoughtSignature": sign_text("".join(turn.text))}
    return {"text": ""}


def _whole_parts(request: GenerateRequest, turn: Turn) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    if request.shows_thoughts and turn.thinking:
        parts.append({"text": "".join(turn.thinking), "thought": True})
    if turn.text:
        text = "".join(turn.text)
        signed = request.model.signatures and turn.thinking
        parts.append({"text": text, "thoughtSignature": sign_text(text)} if signed else {"text": text})
    return parts + [_call_part(request, call, first=at == 0) for at, call in enumerate(turn.calls)]


def _candidate(index: int, parts: list[dict[str, Any]], finish: str | None = None) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}}
    if finish is not None:
        candidate["finishReason"] = finish
    return {**candidate, "index": index}


def _finish(request: GenerateRequest, turn: Turn) -> str | None:
    faults = request.ask.faults
    if faults.no_finish:
        return None
    return faults.finish_reason or _FINISH[turn.finish]


def _blocked(request: GenerateRequest) -> dict[str, Any]:
    usage = usage_of(request, [], 0)
    return {"promptFeedback": {"blockReason": BLOCKED}, "usageMetadata": usage, **_frame(request)}


def _frame(request: GenerateRequest) -> dict[str, Any]:
    extra = _EXTRA if request.ask.faults.extra_fields else {}
    return {"modelVersion": request.model.snapshot, "responseId": RESPONSE_ID, **extra}


def whole(request: GenerateRequest, turns: list[Turn], cached: int) -> Reply:
    """A whole answer."""
    faults = request.ask.faults
    answer: dict[str, Any]
    if faults.blocked:
        answer = _blocked(request)
    else:
        answer = {
            "candidates": [
                _candidate(index, _whole_parts(request, turn), _finish(request, turn))
                for index, turn in enumerate(turns)
            ],
            "usageMetadata": usage_of(request, turns, cached),
            **_frame(request),
        }
    if faults.no_usage:
        del answer["usageMetadata"]
    return json_reply(200, answer, HEADERS, faults=faults, tokens=sum(turn.output_tokens for turn in turns))


def _chunks(request: GenerateRequest, turns: list[Turn], cached: int) -> list[dict[str, Any]]:
    """The chunks of a stream: usage so far in each, the final one and the reason of the end in the last."""
    faults, frame = request.ask.faults, _frame(request)
    if faults.blocked:
        return [_blocked(request)]
    final = usage_of(request, turns, cached)
    prompt = {name: final[name] for name in ("promptTokenCount", "promptTokensDetails") if name in final}
    chunks: list[dict[str, Any]] = []
    for index, turn in enumerate(turns):
        for came, part in enumerate(_pieces(request, turn), start=1):
            chunks.append({"candidates": [_candidate(index, [part])], **frame})
            if not (faults.no_usage or faults.zero_usage):
                counted = {"candidatesTokenCount": came, "totalTokenCount": prompt["promptTokenCount"] + came}
                chunks[-1]["usageMetadata"] = prompt | counted
        last = _candidate(index, [_last_part(request, turn)], _finish(request, turn))
        chunks.append({"candidates": [last]} | frame)
    if not (faults.no_usage or faults.no_final_usage):
        chunks[-1]["usageMetadata"] = final
    return chunks


def event(value: Any) -> bytes:
    """One server-sent event, with the line ends that Google uses."""
    return DATA + orjson.dumps(value) + END


def _kit(faults: Faults) -> StreamKit:
    error = body("503")[1]
    if faults.error_type:
        error["error"]["status"] = faults.error_type
    return StreamKit(
        keepalive=b"\r\n",
        unknown=event({"simulatedUnknown": {"index": 0}, "responseId": RESPONSE_ID}),
        error=event(error),
    )


def stream(request: GenerateRequest, turns: list[Turn], cached: int, *, sse: bool) -> Reply:
    """The chunks of an answer: as server-sent events, or as the elements of one JSON array."""
    faults = request.ask.faults
    events = misbehave([event(one) for one in _chunks(request, turns, cached)], faults, _kit(faults))
    thinking = 0 if request.shows_thoughts else sum(len(turn.thinking) for turn in turns)
    return Reply(
        status=200,
        headers=(SSE_TYPE if sse else JSON_TYPE, *HEADERS),
        events=tuple(events if sse else _array(events)),
        faults=faults,
        tokens=sum(turn.output_tokens for turn in turns),
        unseen_tokens=thinking,
    )


def _array(events: list[bytes]) -> list[bytes]:
    """The same as a JSON array that grows; what is no event stays as it is."""
    bare = [one.removeprefix(DATA).removesuffix(END) for one in events]
    opened = [(b"[" if at == 0 else b",\r\n") + one for at, one in enumerate(bare)]
    return [*opened, b"]"]
