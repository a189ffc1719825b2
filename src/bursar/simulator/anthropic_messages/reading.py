"""Read a messages request as strictly as Anthropic would, into what the simulator needs to answer it."""

from base64 import b64decode
from binascii import Error as BadBase64
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

import orjson

from bursar.simulator import tokens
from bursar.simulator.anthropic_messages.conversation import (
    blocks,
    check_messages,
    check_options,
    check_version,
    in_order,
)
from bursar.simulator.anthropic_messages.errors import invalid, refuse, refuse_problem
from bursar.simulator.anthropic_messages.fields import VERSION, VERSION_WITH_SAMPLING, accepted
from bursar.simulator.catalogue import ANTHROPIC, Model
from bursar.simulator.checks import Problem
from bursar.simulator.faults import Faults, FaultScriptInvalid, in_model, in_text, merged, read
from bursar.simulator.prompt_cache import Segment
from bursar.simulator.turn import Ask, Tool

REQUEST_TOKENS = 5
MESSAGE_TOKENS = 3
TOOLS_TOKENS = 346
"""The system prompt that tools bring with them."""
IMAGE_TOKENS = 1000
IMAGE_TOKENS_MAX = 1600
PIXELS_PER_TOKEN = 750
PNG_HEADER_BYTES = 24
FILE_TOKENS = 250
THINKING_TOKENS = 48
THINKING_TOKENS_UNASKED = 24
EFFORT_TOKENS = {"low": 16, "medium": 48, "high": 96, "xhigh": 192, "max": 384}
VERSIONS = (VERSION_WITH_SAMPLING, VERSION)


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """What the headers say: API version, and whether any beta is asked for."""

    version: str
    beta: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagesRequest:
    """A checked request; `segments` is the prompt in caching order, `input_tokens` all of it."""

    raw: dict[str, Any]
    model: Model
    ask: Ask
    segments: tuple[Segment, ...]
    input_tokens: int
    stream: bool
    show_thinking: bool


def parse(content: bytes) -> dict[str, Any]:
    """JSON object of a request body."""
    try:
        raw = orjson.loads(content)
    except orjson.JSONDecodeError as bad:
        raise refuse("bad_json", why=str(bad)) from bad
    if not isinstance(raw, dict):
        raise refuse("type", param="", expected="dictionary")
    return raw


def check(raw: dict[str, Any], api: Api, *, counting: bool = False) -> Model:
    """Refuse what Anthropic refuses; say which model is meant."""
    try:
        accepted(api.version, beta=api.beta, counting=counting)(raw, ())
    except Problem as problem:
        raise refuse_problem(problem) from problem
    name, _ = in_model(raw["model"])
    model = ANTHROPIC.find(name)
    if model is None:
        raise refuse("model_not_found", model=name)
    check_options(raw, model)
    check_version(raw["messages"], api.version)
    check_messages(raw["messages"], model)
    return model


def understand(raw: dict[str, Any], queued: Faults, api: Api, *, answer_tokens: int) -> MessagesRequest:
    """Check a request and say what it asks for; `queued` faults win over those in the request."""
    model = check(raw, api)
    said, results = _tail(raw["messages"])
    _, script = in_model(raw["model"])
    try:
        faults = merged(read(in_text("\n".join((said, *results))), onto=read(script)), queued)
    except FaultScriptInvalid as bad:
        raise invalid(str(bad)) from bad
    segments = segments_of(raw)
    thinking = raw.get("thinking") or {}
    return MessagesRequest(
        raw=raw,
        model=model,
        ask=replace(_ask(raw, model, said, results, faults), answer_tokens=answer_tokens),
        segments=segments,
        input_tokens=input_tokens(raw, segments),
        stream=raw.get("stream") is True,
        show_thinking=thinking.get("display") != "omitted",
    )


def _tail(messages: list[dict[str, Any]]) -> tuple[str, tuple[str, ...]]:
    """Text and tool results of the turn to be answered: what follows the last assistant message."""
    last = max((at for at, message in enumerate(messages) if message["role"] == "assistant"), default=-1)
    if last == len(messages) - 1:
        last -= 1
    said: list[str] = []
    results: list[str] = []
    for message in messages[last + 1 :]:
        if message["role"] != "user":
            continue
        for block in blocks(message["content"]):
            if block["type"] == "text":
                said.append(block["text"])
            elif block["type"] == "tool_result":
                results.append(_text(block.get("content")))
    return "\n".join(said), tuple(results)


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(block["text"] for block in content or () if block.get("type") == "text")


def _block_tokens(block: dict[str, Any]) -> int:
    match block.get("type"):
        case "text":
            return tokens.count(block["text"])
        case "image":
            return _image_tokens(block["source"])
        case "document" | "container_upload":
            return FILE_TOKENS
        case "thinking":
            return tokens.count(block["thinking"])
        case "tool_result":
            inner = block.get("content") or ""
            return MESSAGE_TOKENS + sum(_block_tokens(one) for one in blocks(inner))
        case _:
            return tokens.count(orjson.dumps(block).decode())


def _image_tokens(source: dict[str, Any]) -> int:
    """Width times height over 750 for an inline PNG, a fixed figure otherwise."""
    try:
        header = b64decode(source.get("data", "")[:32], validate=True)
    except BadBase64:
        return IMAGE_TOKENS
    if len(header) < PNG_HEADER_BYTES or header[12:16] != b"IHDR":
        return IMAGE_TOKENS
    pixels = int.from_bytes(header[16:20], "big") * int.from_bytes(header[20:24], "big")
    return min(max(pixels // PIXELS_PER_TOKEN, 1), IMAGE_TOKENS_MAX)


def segments_of(raw: dict[str, Any]) -> tuple[Segment, ...]:
    """The prompt cut at every block, with the caller's cache breakpoints."""
    ordered = in_order(raw)
    whole = raw.get("cache_control")
    cut: list[Segment] = []
    for at, block in enumerate(ordered):
        mark = block.get("cache_control") or (whole if at == len(ordered) - 1 else None)
        bare = {name: value for name, value in block.items() if name != "cache_control"}
        ttl = mark.get("ttl", "5m") if mark else None
        cut.append(Segment(content=orjson.dumps(bare), tokens=_block_tokens(block), ttl=ttl))
    return tuple(cut)


def input_tokens(raw: dict[str, Any], segments: tuple[Segment, ...]) -> int:
    """Five, plus three for each message, plus every block, plus the tools' own system prompt."""
    extra = TOOLS_TOKENS if raw.get("tools") else 0
    return (
        REQUEST_TOKENS + extra + MESSAGE_TOKENS * len(raw["messages"]) + sum(one.tokens for one in segments)
    )


def _thinking_tokens(raw: dict[str, Any], model: Model) -> int:
    thinking = raw.get("thinking")
    if thinking is None:
        return THINKING_TOKENS_UNASKED if model.thinks_unasked else 0
    match thinking["type"]:
        case "enabled":
            return int(min(THINKING_TOKENS, thinking["budget_tokens"]))
        case "adaptive":
            return EFFORT_TOKENS[(raw.get("output_config") or {}).get("effort") or "high"]
        case _:
            return 0


def _ask(raw: dict[str, Any], model: Model, said: str, results: tuple[str, ...], faults: Faults) -> Ask:
    wanted = raw.get("tool_choice") or {"type": "auto"}
    shape = (raw.get("output_config") or {}).get("format") or {}
    decisive = [model.name, raw.get("system"), raw.get("tools"), raw.get("output_config"), raw["messages"]]
    offered = [tool for tool in raw.get("tools") or () if "input_schema" in tool]
    return Ask(
        seed=blake2b(orjson.dumps(decisive), digest_size=16).digest(),
        said=said,
        results=results,
        faults=faults,
        max_tokens=raw["max_tokens"],
        tools=tuple(Tool(name=tool["name"], schema=tool["input_schema"]) for tool in offered),
        tool_mode={"any": "required", "tool": "required"}.get(wanted["type"], wanted["type"]),
        tool_name=wanted.get("name"),
        parallel=not wanted.get("disable_parallel_tool_use"),
        schema=shape.get("schema"),
        stop=tuple(raw.get("stop_sequences") or ()),
        thinking=_thinking_tokens(raw, model),
    )
