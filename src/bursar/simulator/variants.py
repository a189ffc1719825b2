"""Providers that copied OpenAI's chat dialect, each with its ways of telling usage, reasoning and patience.

Their answers are the compatible imitator's, told over again. What each does is written in its API reference:
xAI counts reasoning beside `completion_tokens` and states its price; DeepSeek splits the prompt into cache
hits and misses and sends blank lines while busy; Mistral knows no `stream_options`, tells usage in the last
chunk with words and reasons in chunks of the content; OpenRouter sends comments, `reasoning` and its `cost`;
Azure has the deployment in its path and the key in a header of its own.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs, unquote

import orjson

from bursar.simulator.openai_chat.errors import refuse
from bursar.simulator.reply import JSON_TYPE, Refused, Reply
from bursar.simulator.wire import Request

TICKS_PER_TOKEN = 12_500
COST_PER_TOKEN = 0.000_001
BLANK_LINES = b"\n\n\n"
CHAT = "/v1/chat/completions"
RESPONSES = "/v1/responses"
_DEPLOYMENTS = "/openai/deployments/"
_UNKNOWN_TO_MISTRAL = ("stream_options", "seed", "user", "max_completion_tokens", "logprobs", "store")
_FILTERED = {"id": "", "object": "", "created": 0, "model": "", "choices": []}
_FILTER = {"prompt_index": 0, "content_filter_results": {"hate": {"filtered": False, "severity": "safe"}}}

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One provider's ways.

    * `usage`: its usage, from OpenAI's; `said`: its message or delta, from the imitator's;
    * `first`: the event before all others; `before`: bytes before a whole answer;
    * `usage_apart`: usage has a chunk of its own; `check`: refuses what it does not know;
    * `responds`: it speaks OpenAI's Responses API too.
    """

    usage: Callable[[Json], Json] = dict
    said: Callable[[Json], Json] = dict
    first: bytes = b""
    before: bytes = b""
    usage_apart: bool = True
    check: Callable[[Json], None] = lambda _: None
    responds: bool = False


def _xai_usage(usage: Json) -> Json:
    reasoning = usage["completion_tokens_details"]["reasoning_tokens"]
    ticks = usage["total_tokens"] * TICKS_PER_TOKEN
    beside = usage["completion_tokens"] - reasoning
    return {**usage, "completion_tokens": beside, "num_sources_used": 0, "cost_in_usd_ticks": ticks}


def _deepseek_usage(usage: Json) -> Json:
    hits = usage["prompt_tokens_details"]["cached_tokens"]
    return {
        **{name: usage[name] for name in ("prompt_tokens", "completion_tokens", "total_tokens")},
        "prompt_tokens_details": {"cached_tokens": hits},
        "completion_tokens_details": {
            "reasoning_tokens": usage["completion_tokens_details"]["reasoning_tokens"]
        },
        "prompt_cache_hit_tokens": hits,
        "prompt_cache_miss_tokens": usage["prompt_tokens"] - hits,
    }


def _mistral_usage(usage: Json) -> Json:
    cached = usage["prompt_tokens_details"]["cached_tokens"]
    plain = {name: usage[name] for name in ("prompt_tokens", "completion_tokens", "total_tokens")}
    return {**plain, "prompt_tokens_details": {"cached_tokens": cached}, "prompt_audio_seconds": None}


def _openrouter_usage(usage: Json) -> Json:
    cost = round(usage["total_tokens"] * COST_PER_TOKEN, 9)
    return {**usage, "cost": cost, "is_byok": False, "cost_details": {"upstream_inference_cost": None}}


def _in_chunks(said: Json) -> Json:
    thought = said.get("reasoning_content")
    rest = {name: value for name, value in said.items() if name not in {"reasoning_content", "refusal"}}
    if not thought:
        return rest
    chunk = {"type": "thinking", "thinking": [{"type": "text", "text": thought}]}
    words = [{"type": "text", "text": said["content"]}] if said.get("content") else []
    return {**rest, "content": [chunk, *words]}


def _as_reasoning(said: Json) -> Json:
    return {("reasoning" if name == "reasoning_content" else name): value for name, value in said.items()}


def _mistral_check(raw: Json) -> None:
    for name in _UNKNOWN_TO_MISTRAL:
        if name in raw:
            detail = {
                "type": "extra_forbidden",
                "loc": ["body", name],
                "msg": "Extra inputs are not permitted",
            }
            body = orjson.dumps({"detail": [detail]})
            raise Refused(Reply(status=422, headers=(JSON_TYPE,), body=body))


VARIANTS: Mapping[str, Variant] = {
    "xai": Variant(usage=_xai_usage, responds=True),
    "deepseek": Variant(usage=_deepseek_usage, first=b": keep-alive\n\n", before=BLANK_LINES),
    "mistral": Variant(usage=_mistral_usage, said=_in_chunks, usage_apart=False, check=_mistral_check),
    "openrouter": Variant(usage=_openrouter_usage, said=_as_reasoning, first=b": OPENROUTER PROCESSING\n\n"),
    "azure": Variant(
        first=b"data: " + orjson.dumps({**_FILTERED, "prompt_filter_results": [_FILTER]}) + b"\n\n",
        responds=True,
    ),
}
"""The first part of a path, without its slashes → whose it is."""


def answer(
    name: str, request: Request, path: str, query: str, imitator: Callable[[Request, str], Reply]
) -> Reply:
    """What the provider `name` answers; `imitator` is the one that does the talking."""
    variant = VARIANTS[name]
    if name == "azure":
        request, path = _at_azure(request, path, query)
    if path != CHAT:
        if path == RESPONSES and not variant.responds:
            raise refuse("bad_url", method=request.method, path=path)
        return imitator(request, path)
    try:
        raw = orjson.loads(request.body)
    except orjson.JSONDecodeError:
        return imitator(request, path)
    if isinstance(raw, dict):
        variant.check(raw)
        if not variant.usage_apart and raw.get("stream"):
            body = orjson.dumps({**raw, "stream_options": {"include_usage": True}})
            request = _with(request, body=body)
    return told(variant, imitator(request, path))


def _at_azure(request: Request, path: str, query: str) -> tuple[Request, str]:
    """The imitator's request: of the dated API or of the newer one, whose path ends in `/v1`."""
    key = request.headers.get(b"api-key", b"")
    headers = {**request.headers, b"authorization": b"Bearer " + key} if key else request.headers
    request = _with(request, headers=headers)
    if not path.startswith(_DEPLOYMENTS):
        return request, path.removeprefix("/openai")
    deployment, _, service = path.removeprefix(_DEPLOYMENTS).partition("/")
    if "api-version" not in parse_qs(query):
        raise refuse("bad_url", method=request.method, path=path)
    try:
        raw = orjson.loads(request.body)
    except orjson.JSONDecodeError:
        return request, f"/v1/{service}"
    if isinstance(raw, dict):
        request = _with(request, body=orjson.dumps({**raw, "model": unquote(deployment)}))
    return request, f"/v1/{service}"


def _with(
    request: Request, *, headers: dict[bytes, bytes] | None = None, body: bytes | None = None
) -> Request:
    return Request(
        request.method,
        request.target,
        request.headers if headers is None else headers,
        request.body if body is None else body,
        keep_alive=request.keep_alive,
    )


def told(variant: Variant, reply: Reply) -> Reply:
    """The imitator's reply as this provider writes it; errors and what a fault broke stay as they are."""
    if reply.events is None:
        whole = _parsed(reply.body) if reply.status == 200 else None  # noqa: PLR2004 - the one good status
        if whole is None:
            return reply
        return replace(reply, body=variant.before + orjson.dumps(_restated(variant, whole, "message")))
    events = _merged(reply.events) if not variant.usage_apart else reply.events
    restated = [_event(variant, event) for event in events]
    return replace(
        reply, events=(variant.first, *restated) if variant.first and restated else tuple(restated)
    )


def _event(variant: Variant, event: bytes) -> bytes:
    chunk = _parsed(event.removeprefix(b"data: "))
    if chunk is None:
        return event
    return b"data: " + orjson.dumps(_restated(variant, chunk, "delta")) + b"\n\n"


def _restated(variant: Variant, value: Json, key: str) -> Json:
    choices = [
        {**choice, key: variant.said(choice[key])} if isinstance(choice.get(key), dict) else choice
        for choice in value["choices"]
    ]
    usage = value.get("usage")
    if not usage:
        return {**value, "choices": choices}
    complete = {"prompt_tokens_details", "completion_tokens_details"} <= set(usage)
    return {**value, "choices": choices, "usage": variant.usage(usage) if complete else usage}


def _merged(events: tuple[bytes, ...]) -> list[bytes]:
    """Usage in the last chunk that has choices, none in any other."""
    merged: list[bytes] = []
    last: int | None = None
    for event in events:
        chunk = _parsed(event.removeprefix(b"data: "))
        if chunk is not None and not chunk["choices"] and chunk.get("usage") and last is not None:
            before = _parsed(merged[last].removeprefix(b"data: "))
            merged[last] = b"data: " + orjson.dumps({**(before or {}), "usage": chunk["usage"]}) + b"\n\n"
            continue
        if chunk is not None and chunk["choices"]:
            last = len(merged)
            chunk.pop("usage", None)
            event = b"data: " + orjson.dumps(chunk) + b"\n\n"  # noqa: PLW2901 - the same event without usage
        merged.append(event)
    return merged


def _parsed(content: bytes) -> Json | None:
    """A completion or a chunk; `None` for everything else."""
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) and isinstance(value.get("choices"), list) else None
