"""Read a chat completion request as strictly as OpenAI would, into what the simulator needs to answer it."""

from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

import orjson

from bursar.simulator import tokens
from bursar.simulator.catalogue import OPENAI, Model
from bursar.simulator.checks import Kind, Problem
from bursar.simulator.faults import Faults, FaultScriptInvalid, in_model, in_text, merged, read
from bursar.simulator.openai_chat.errors import invalid, refuse, refuse_problem
from bursar.simulator.openai_chat.fields import CHAT, COMPATIBLE
from bursar.simulator.schema import strict_fault
from bursar.simulator.turn import Ask, Tool

REQUEST_TOKENS = 3
MESSAGE_TOKENS = 4
IMAGE_TOKENS_LOW = 85
IMAGE_TOKENS = 765
AUDIO_TOKENS = 50
FILE_TOKENS = 250
EFFORT_TOKENS = {"none": 0, "minimal": 0, "low": 16, "medium": 64, "high": 256, "xhigh": 512, "max": 1024}
SAMPLING = ("temperature", "top_p")
ASSISTANT_CONTENT = ("content", "tool_calls", "function_call", "refusal", "audio")
TOGETHER = (
    ("tool_choice", "tools", "are specified"),
    ("parallel_tool_calls", "tools", "are specified"),
    ("stream_options", "stream", "is enabled"),
    ("top_logprobs", "logprobs", "is enabled"),
)
"""Parameters that need another one."""
NOT_FOR_REASONING = (
    "presence_penalty",
    "frequency_penalty",
    "logprobs",
    "top_logprobs",
    "logit_bias",
    "stop",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """A checked request.

    Attributes:
        shown_model: the name the answer carries.
        prompt: the bytes that prompt caching compares.
        input_tokens: the whole prompt; image and audio tokens are part of it.
    """

    raw: dict[str, Any]
    model: Model
    ask: Ask
    shown_model: str
    prompt: bytes
    input_tokens: int
    audio_tokens: int
    stream: bool
    choices: int
    include_usage: bool
    obfuscate: bool
    compatible: bool


def parse(content: bytes) -> dict[str, Any]:
    """JSON object of a request body."""
    try:
        raw = orjson.loads(content)
    except orjson.JSONDecodeError as bad:
        raise refuse("bad_json") from bad
    if not isinstance(raw, dict):
        raise refuse("bad_json")
    if not raw.get("model"):
        raise refuse("no_model")
    return raw


def understand(raw: dict[str, Any], queued: Faults, *, compatible: bool, answer_tokens: int) -> ChatRequest:
    """Check a request and say what it asks for.

    Args:
        raw: the request's JSON.
        queued: faults from the control queue; they win over those in the request.
        compatible: an imitator of OpenAI: any model name, unknown fields ignored.
        answer_tokens: configured length of an answer.
    """
    _check(raw, compatible=compatible)
    name, script = in_model(raw["model"])
    model = Model(name=name, snapshot=name) if compatible else OPENAI.find(name)
    if model is None:
        raise refuse("model_not_found", model=name)
    messages: list[dict[str, Any]] = raw["messages"]
    if not compatible:
        _check_conversation(messages)
        _check_model(raw, model)
        _check_formats(raw)
    tail = _tail(messages)
    said = "\n".join(_text(message.get("content")) for message in tail if message["role"] == "user")
    results = tuple(
        _text(message.get("content")) for message in tail if message["role"] in ("tool", "function")
    )
    try:
        faults = read(in_text("\n".join((said, *results))), onto=read(script))
    except FaultScriptInvalid as bad:
        raise invalid(str(bad), "messages") from bad
    faults = merged(faults, queued)
    options = raw.get("stream_options") or {}
    tools, prompt = raw.get("tools") or raw.get("functions") or [], _prompt(raw)
    media, audio = _media_tokens(messages)
    return ChatRequest(
        raw=raw,
        model=model,
        ask=replace(_ask(raw, model, said, results, faults), answer_tokens=answer_tokens),
        shown_model=model.snapshot,
        prompt=prompt,
        input_tokens=_input_tokens(messages, tools) + media,
        audio_tokens=audio,
        stream=raw.get("stream") is True,
        choices=raw.get("n") or 1,
        include_usage=bool(options.get("include_usage")),
        obfuscate=not compatible and options.get("include_obfuscation") is not False,
        compatible=compatible,
    )


def _check(raw: dict[str, Any], *, compatible: bool) -> None:
    try:
        (COMPATIBLE if compatible else CHAT)(raw, ())
    except Problem as problem:
        raise refuse_problem(problem) from problem


def _check_conversation(messages: list[dict[str, Any]]) -> None:
    """Every tool call is answered right after it, and every tool message answers one."""
    open_calls: set[str] = set()
    for at, message in enumerate(messages):
        if message["role"] == "tool":
            if message["tool_call_id"] not in open_calls:
                raise refuse("orphan_tool", param=f"messages.[{at}].role")
            open_calls.discard(message["tool_call_id"])
            continue
        if open_calls:
            raise refuse("unanswered_call", param=f"messages.[{at}].role", ids=", ".join(sorted(open_calls)))
        if message["role"] == "assistant":
            open_calls = {call["id"] for call in message.get("tool_calls") or ()}
            if not any(message.get(name) is not None for name in ASSISTANT_CONTENT):
                raise refuse("type", param=f"messages[{at}].content", expected="a string", got="null")
    if open_calls:
        raise refuse(
            "unanswered_call", param=f"messages.[{len(messages)}].role", ids=", ".join(sorted(open_calls))
        )


def _check_model(raw: dict[str, Any], model: Model) -> None:
    """What this model does not take."""
    if model.name.startswith("sim-") and not model.reasoning:
        return
    if raw.get("web_search_options") is not None:
        raise refuse("unsupported_parameter", param="web_search_options", hint="")
    if "audio" in (raw.get("modalities") or ()) or raw.get("audio") is not None:
        raise invalid("This model does not support audio output.", "modalities")
    _check_limit(raw, model)
    if model.reasoning:
        _check_reasoning(raw)
    elif raw.get("reasoning_effort") is not None:
        raise refuse_problem(Problem(Kind.UNKNOWN, ("reasoning_effort",)))


def _check_limit(raw: dict[str, Any], model: Model) -> None:
    short, long = raw.get("max_tokens"), raw.get("max_completion_tokens")
    if short is not None and long is not None:
        message = "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported."
        raise invalid(message, "max_tokens")
    asked = long or short or 0
    if asked > model.output_max:
        raise invalid(
            f"max_tokens is too large: {asked}. This model supports at most {model.output_max} completion "
            f"tokens, whereas you provided {asked}.",
            "max_tokens",
        )


def _check_reasoning(raw: dict[str, Any]) -> None:
    if raw.get("max_tokens") is not None:
        hint = " Use 'max_completion_tokens' instead."
        raise refuse("unsupported_parameter", param="max_tokens", hint=hint)
    for name in NOT_FOR_REASONING:
        if raw.get(name):
            raise refuse("unsupported_parameter", param=name, hint="")
    for name in SAMPLING:
        if raw.get(name) not in (None, 1):
            raise refuse("unsupported_value", param=name, value=raw[name])


def _check_formats(raw: dict[str, Any]) -> None:
    """Response formats, tools and options that contradict each other."""
    wanted = raw.get("response_format") or {}
    if wanted.get("type") == "json_object" and b"json" not in orjson.dumps(raw["messages"]).lower():
        raise refuse("json_word")
    if wanted.get("type") == "json_schema":
        described = wanted["json_schema"]
        fault = strict_fault(described.get("schema")) if described.get("strict") else None
        if fault:
            where = f"response_format '{described['name']}'"
            raise refuse("bad_schema", param="response_format", where=where, why=fault)
    for at, tool in enumerate(raw.get("tools") or ()):
        function = tool.get("function") or {}
        if function.get("strict") and (fault := strict_fault(function.get("parameters"))):
            where = f"function '{function['name']}'"
            raise refuse(
                "bad_function_schema", param=f"tools[{at}].function.parameters", where=where, why=fault
            )
    for name, other, word in TOGETHER:
        if raw.get(name) is not None and not raw.get(other):
            raise invalid(f"The '{name}' parameter is only allowed when '{other}' {word}.", name)


def _tail(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The turn to be answered: what follows the last assistant message."""
    last = max((at for at, message in enumerate(messages) if message["role"] == "assistant"), default=-1)
    return messages[last + 1 :]


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else ()
    texts = (part.get("text", part.get("refusal")) for part in parts if isinstance(part, dict))
    return "\n".join(text for text in texts if isinstance(text, str))


def _input_tokens(messages: list[dict[str, Any]], tools: list[Any]) -> int:
    """Three, plus four and the text of each message, plus tool calls and tool definitions as JSON."""
    total = REQUEST_TOKENS
    for message in messages:
        total += MESSAGE_TOKENS + tokens.count(_text(message.get("content")))
        calls = message.get("tool_calls") or message.get("function_call")
        if calls:
            total += tokens.count(orjson.dumps(calls).decode())
    return total + (tokens.count(orjson.dumps(tools).decode()) if tools else 0)


def _media_tokens(messages: list[dict[str, Any]]) -> tuple[int, int]:
    """Fixed prices of images, audio and files: (all, of which audio)."""
    total = audio = 0
    for message in messages:
        content = message.get("content")
        for part in content if isinstance(content, list) else ():
            match part.get("type"):
                case "image_url":
                    image = part.get("image_url")
                    low = isinstance(image, dict) and image.get("detail") == "low"
                    total += IMAGE_TOKENS_LOW if low else IMAGE_TOKENS
                case "input_audio":
                    total += AUDIO_TOKENS
                    audio += AUDIO_TOKENS
                case "file":
                    total += FILE_TOKENS
    return total, audio


def _prompt(raw: dict[str, Any]) -> bytes:
    return orjson.dumps([raw.get("tools"), raw.get("functions"), raw.get("response_format"), raw["messages"]])


def _ask(raw: dict[str, Any], model: Model, said: str, results: tuple[str, ...], faults: Faults) -> Ask:
    wanted, mode, name = raw.get("response_format") or {}, *_tool_choice(raw)
    stop = raw.get("stop") or ()
    described = wanted.get("json_schema") or {}
    effort = raw.get("reasoning_effort") or "medium"
    seed = blake2b(orjson.dumps([model.name, raw.get("seed")]) + _prompt(raw), digest_size=16).digest()
    return Ask(
        seed=seed,
        said=said,
        results=results,
        faults=faults,
        max_tokens=raw.get("max_completion_tokens") or raw.get("max_tokens") or model.output_max,
        tools=_tools(raw),
        tool_mode=mode,
        tool_name=name,
        parallel=raw.get("parallel_tool_calls") is not False and not raw.get("functions"),
        schema=described.get("schema", {"type": "object"}) if wanted.get("type") == "json_schema" else None,
        json_object=wanted.get("type") == "json_object",
        stop=(stop,) if isinstance(stop, str) else tuple(stop),
        thinking=EFFORT_TOKENS.get(effort, 0) if model.reasoning else 0,
    )


def _tools(raw: dict[str, Any]) -> tuple[Tool, ...]:
    offered = [_tool(tool) for tool in raw.get("tools") or ()]
    offered += [Tool(name=one["name"], schema=one.get("parameters")) for one in raw.get("functions") or ()]
    return tuple(offered)


def _tool(tool: dict[str, Any]) -> Tool:
    if tool["type"] == "custom":
        return Tool(name=tool["custom"]["name"], schema=None, custom=True)
    return Tool(name=tool["function"]["name"], schema=tool["function"].get("parameters"))


def _tool_choice(raw: dict[str, Any]) -> tuple[str, str | None]:
    """Mode and the one tool insisted on."""
    wanted = raw.get("tool_choice") or raw.get("function_call") or "auto"
    if isinstance(wanted, str):
        return wanted, None
    if wanted.get("type") == "allowed_tools":
        return wanted["allowed_tools"]["mode"], None
    named = wanted.get("function") or wanted.get("custom") or wanted
    return "required", named["name"]
