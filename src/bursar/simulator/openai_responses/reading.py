"""Read a request for a response as strictly as OpenAI would, into what the simulator needs to answer it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

import orjson

from bursar.simulator import shapes, tokens
from bursar.simulator.catalogue import OPENAI, Model
from bursar.simulator.checks import Kind, Problem
from bursar.simulator.faults import NONE, Faults, FaultScriptInvalid, in_model, in_text, merged, read
from bursar.simulator.openai_chat.errors import HEADERS, invalid, refuse, refuse_problem
from bursar.simulator.openai_chat.reading import EFFORT_TOKENS, FILE_TOKENS, IMAGE_TOKENS, IMAGE_TOKENS_LOW
from bursar.simulator.openai_responses.fields import MESSAGE, RESPONSE
from bursar.simulator.reply import Refused, Reply, json_reply
from bursar.simulator.schema import strict_fault
from bursar.simulator.turn import Ask, Tool

SHAPES = shapes.load("openai_responses")
REQUEST_TOKENS = 3
ITEM_TOKENS = 4
CALLS = {"function_call": "function_call_output", "custom_tool_call": "custom_tool_call_output"}
COUNTED = frozenset((
    "model", "input", "instructions", "parallel_tool_calls", "reasoning", "text", "tool_choice", "tools",
    "truncation",
))  # fmt: skip
ENCRYPTED = "reasoning.encrypted_content"
SAMPLING = ("temperature", "top_p")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseRequest:
    """A checked request.

    Attributes:
        shown_model: the name the answer carries.
        prompt: the bytes that prompt caching compares.
        summarises: whether the answer shows a summary of its reasoning.
    """

    raw: dict[str, Any]
    model: Model
    ask: Ask
    shown_model: str
    prompt: bytes
    input_tokens: int
    stream: bool
    obfuscate: bool
    summarises: bool


def understand(raw: dict[str, Any], queued: Faults, *, answer_tokens: int) -> ResponseRequest:
    """Check a request and say what it asks for; faults in `queued` win over those in the request."""
    try:
        RESPONSE(raw, ())
    except Problem as problem:
        raise refuse_problem(problem) from problem
    name, script = in_model(raw["model"])
    model = OPENAI.find(name)
    if model is None:
        raise refuse("model_not_found", model=name)
    items = _items(raw["input"])
    _check_state(raw, items)
    _check_calls(items)
    _check_model(raw, model)
    _check_formats(raw, items)
    tail = _tail(items)
    said = "\n".join(_text(item.get("content")) for item in tail if item.get("role") == "user")
    results = tuple(_text(item["output"]) for item in tail if item.get("type") in CALLS.values())
    try:
        faults = read(in_text("\n".join((said, *results))), onto=read(script))
    except FaultScriptInvalid as bad:
        raise invalid(str(bad), "input") from bad
    prompt = orjson.dumps([raw.get("tools"), raw.get("text"), raw.get("instructions"), raw["input"]])
    reasoning = raw.get("reasoning") or {}
    return ResponseRequest(
        raw=raw,
        model=model,
        ask=replace(
            _ask(raw, model, prompt, merged(faults, queued)),
            said=said,
            results=results,
            answer_tokens=answer_tokens,
        ),
        shown_model=model.snapshot,
        prompt=prompt,
        input_tokens=_input_tokens(raw, items),
        stream=raw.get("stream") is True,
        obfuscate=(raw.get("stream_options") or {}).get("include_obfuscation") is not False,
        summarises=bool(reasoning.get("summary") or reasoning.get("generate_summary")),
    )


def count(raw: dict[str, Any]) -> Reply:
    """The answer to `POST /v1/responses/input_tokens`."""
    unknown = sorted(raw.keys() - COUNTED)
    if unknown:
        raise refuse_problem(Problem(Kind.UNKNOWN, (unknown[0],)))
    asked = understand(raw, NONE, answer_tokens=0)
    return json_reply(200, {"object": "response.input_tokens", "input_tokens": asked.input_tokens}, HEADERS)


def _items(given: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": given}] if isinstance(given, str) else given


def not_found(name: str, **words: str) -> Refused:
    """The refusal of something that is not kept here."""
    shape = SHAPES[name]
    error = {
        "message": shape["message"].format(**words),
        "type": "invalid_request_error",
        "param": shape["param"],
        "code": shape["code"],
    }
    return Refused(json_reply(shape["status"], {"error": error}, HEADERS))


def _check_state(raw: dict[str, Any], items: list[dict[str, Any]]) -> None:
    """Nothing is kept here, so nothing can be referred to."""
    if raw.get("previous_response_id") is not None:
        raise not_found("no_previous", id=raw["previous_response_id"])
    for item in items:
        unkept = item.get("type") == "reasoning" and not item.get("encrypted_content")
        if unkept or item.get("type") == "item_reference":
            raise not_found("not_persisted", id=item["id"])


def _check_calls(items: list[dict[str, Any]]) -> None:
    """Every tool call has its output somewhere after it, and every output its call before it."""
    open_calls: dict[str, str] = {}
    for item in items:
        kind = item.get("type", MESSAGE)
        if kind in CALLS:
            open_calls[item["call_id"]] = kind
        elif kind in CALLS.values():
            called = open_calls.pop(item["call_id"], None)
            if called is None or CALLS[called] != kind:
                raise invalid(f"No tool call found for {kind} with call_id {item['call_id']}.", "input")
    for call_id in open_calls:
        raise invalid(f"No tool output found for function call {call_id}.", "input")


def _check_model(raw: dict[str, Any], model: Model) -> None:
    if model.reasoning:
        for name in SAMPLING:
            if raw.get(name) not in (None, 1):
                raise refuse("unsupported_parameter", param=name, hint="")
        return
    wanted = raw.get("reasoning") or {}
    for name in ("effort", "summary"):
        if wanted.get(name) is not None and not model.name.startswith("sim-"):
            raise refuse("unsupported_parameter", param=f"reasoning.{name}", hint="")
    if ENCRYPTED in (raw.get("include") or ()) and not model.name.startswith("sim-"):
        raise invalid("Encrypted content is not supported with this model.", "include")
    asked = raw.get("max_output_tokens") or 0
    if asked > model.output_max:
        raise invalid(f"max_output_tokens is too large: {asked}.", "max_output_tokens")


def _check_formats(raw: dict[str, Any], items: list[dict[str, Any]]) -> None:
    wanted = (raw.get("text") or {}).get("format") or {}
    if wanted.get("type") == "json_object" and b"json" not in orjson.dumps(items).lower():
        raise refuse("json_word")
    fault = strict_fault(wanted.get("schema")) if wanted.get("strict") else None
    if fault:
        where = f"response_format '{wanted['name']}'"
        raise refuse("bad_schema", param="text.format.schema", where=where, why=fault)
    for at, tool in enumerate(raw.get("tools") or ()):
        if tool.get("strict") and (fault := strict_fault(tool.get("parameters"))):
            where = f"function '{tool['name']}'"
            raise refuse("bad_function_schema", param=f"tools[{at}].parameters", where=where, why=fault)


def _tail(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The turn to be answered: what follows the model's last word."""
    last = max((at for at, item in enumerate(items) if _is_models(item)), default=-1)
    return items[last + 1 :]


def _is_models(item: Mapping[str, Any]) -> bool:
    return item.get("role") == "assistant" or item.get("type") in {*CALLS, "reasoning"}


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else ()
    texts = (part.get("text", part.get("refusal")) for part in parts)
    return "\n".join(text for text in texts if isinstance(text, str))


def _input_tokens(raw: dict[str, Any], items: list[dict[str, Any]]) -> int:
    """Three, plus four and the text of each item, plus fixed prices of media, plus tools as JSON."""
    total = REQUEST_TOKENS + tokens.count(raw.get("instructions") or "")
    for item in items:
        content = item.get("content", item.get("output"))
        total += ITEM_TOKENS + tokens.count(_text(content)) + _media_tokens(content)
        if item.get("type") in CALLS:
            total += tokens.count(item["name"] + item.get("arguments", item.get("input", "")))
    tools = raw.get("tools")
    return total + (tokens.count(orjson.dumps(tools).decode()) if tools else 0)


def _media_tokens(content: Any) -> int:
    total = 0
    for part in content if isinstance(content, list) else ():
        if part.get("type") == "input_image":
            total += IMAGE_TOKENS_LOW if part.get("detail") == "low" else IMAGE_TOKENS
        elif part.get("type") == "input_file":
            total += FILE_TOKENS
    return total


def _ask(raw: dict[str, Any], model: Model, prompt: bytes, faults: Faults) -> Ask:
    wanted, (mode, name) = (raw.get("text") or {}).get("format") or {}, _tool_choice(raw)
    effort = (raw.get("reasoning") or {}).get("effort") or "medium"
    return Ask(
        seed=blake2b(model.name.encode() + prompt, digest_size=16).digest(),
        said="",
        faults=faults,
        max_tokens=raw.get("max_output_tokens") or model.output_max,
        tools=tuple(_tool(tool) for tool in raw.get("tools") or ()),
        tool_mode=mode,
        tool_name=name,
        parallel=raw.get("parallel_tool_calls") is not False,
        schema=wanted.get("schema") if wanted.get("type") == "json_schema" else None,
        json_object=wanted.get("type") == "json_object",
        thinking=EFFORT_TOKENS.get(effort, 0) if model.reasoning else 0,
    )


def _tool(tool: dict[str, Any]) -> Tool:
    return Tool(name=tool["name"], schema=tool.get("parameters"), custom=tool["type"] == "custom")


def _tool_choice(raw: dict[str, Any]) -> tuple[str, str | None]:
    """Mode and the one tool insisted on."""
    wanted = raw.get("tool_choice") or "auto"
    if isinstance(wanted, str):
        return wanted, None
    if wanted["type"] == "allowed_tools":
        return wanted["mode"], None
    return "required", wanted["name"]
