"""Read a generateContent request as strictly as Google would, into what the simulator needs to answer it."""

from collections import Counter
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

import orjson

from bursar.simulator import tokens
from bursar.simulator.catalogue import Model
from bursar.simulator.checks import Check, Problem
from bursar.simulator.faults import Faults, FaultScriptInvalid, in_text, merged, read
from bursar.simulator.gemini_generate.conversation import check_conversation, check_options
from bursar.simulator.gemini_generate.errors import invalid, refuse, refuse_problem
from bursar.simulator.gemini_generate.fields import GENERATE, camel_case
from bursar.simulator.turn import Ask, Tool

MEDIA_TOKENS = {"image": 258, "audio": 320, "video": 2630, "application": 258}
"""Fixed prices of one picture, ten seconds of sound or film, one page."""
MODALITIES = {"image": "IMAGE", "audio": "AUDIO", "video": "VIDEO", "application": "DOCUMENT"}
THINKING_TOKENS = 48
THINKING_TOKENS_UNASKED = 24
LEVEL_TOKENS = {"MINIMAL": 8, "LOW": 16, "MEDIUM": 48, "HIGH": 96}
DYNAMIC_BUDGET = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateRequest:
    """A checked request; `sent` is the prompt's tokens by modality, `prompt` what a cache would compare."""

    raw: dict[str, Any]
    model: Model
    ask: Ask
    sent: Counter[str]
    prompt: bytes
    candidates: int
    shows_thoughts: bool

    @property
    def input_tokens(self) -> int:
        return self.sent.total()


def parse(content: bytes, check: Check) -> dict[str, Any]:
    """The checked JSON object of a request body."""
    try:
        raw = orjson.loads(content)
    except orjson.JSONDecodeError as bad:
        raise refuse("bad_json", why=str(bad)) from bad
    if not isinstance(raw, dict):
        raise refuse("bad_json", why="Root element must be a message.")
    named: dict[str, Any] = camel_case(raw)
    try:
        check(named, ())
    except Problem as problem:
        raise refuse_problem(problem) from problem
    return named


def understand(
    raw: dict[str, Any], model: Model, script: str, queued: Faults, *, answer_tokens: int
) -> GenerateRequest:
    """Check a request and say what it asks for; `queued` faults win over those in the request."""
    check_options(raw, model)
    check_conversation(raw["contents"], model)
    said, results = _tail(raw["contents"])
    try:
        faults = merged(read(in_text("\n".join((said, *results))), onto=read(script)), queued)
    except FaultScriptInvalid as bad:
        raise invalid(str(bad)) from bad
    config = raw.get("generationConfig") or {}
    thinking = config.get("thinkingConfig") or {}
    return GenerateRequest(
        raw=raw,
        model=model,
        ask=replace(_ask(raw, model, said, results, faults), answer_tokens=answer_tokens),
        sent=prompt_tokens(raw),
        prompt=orjson.dumps([raw.get("systemInstruction"), raw.get("tools"), raw["contents"]]),
        candidates=config.get("candidateCount", 1),
        shows_thoughts=thinking.get("includeThoughts") is True,
    )


def read_generate(content: bytes) -> dict[str, Any]:
    """The checked body of a generateContent request."""
    return parse(content, GENERATE)


def _tail(contents: list[dict[str, Any]]) -> tuple[str, tuple[str, ...]]:
    """Text and tool results of the turn to be answered: what follows the model's last content."""
    last = max((at for at, content in enumerate(contents) if content.get("role") == "model"), default=-1)
    if last == len(contents) - 1:
        last -= 1
    said: list[str] = []
    results: list[str] = []
    for content in contents[last + 1 :]:
        for part in content["parts"]:
            if "text" in part and content.get("role") != "model":
                said.append(part["text"])
            elif "functionResponse" in part:
                results.append(orjson.dumps(part["functionResponse"]["response"]).decode())
    return "\n".join(said), tuple(results)


def prompt_tokens(raw: dict[str, Any]) -> Counter[str]:
    """Tokens of system instruction, tools and contents, by modality: one, and two for each content."""
    sent: Counter[str] = Counter(TEXT=1)
    system = raw.get("systemInstruction")
    for content in [*([system] if system else ()), *raw["contents"]]:
        sent["TEXT"] += 2
        for part in content.get("parts") or ():
            sent += part_tokens(part)
    if raw.get("tools"):
        sent["TEXT"] += tokens.count(orjson.dumps(raw["tools"]).decode())
    return sent


def part_tokens(part: dict[str, Any]) -> Counter[str]:
    """The tokens of one part."""
    media = part.get("inlineData") or part.get("fileData")
    if media is not None:
        family = media.get("mimeType", "image/png").partition("/")[0]
        return Counter(
            {MODALITIES.get(family, "TEXT"): MEDIA_TOKENS.get(family, MEDIA_TOKENS["application"])}
        )
    if "text" in part:
        return Counter(TEXT=tokens.count(part["text"]))
    bare = {name: value for name, value in part.items() if name != "thoughtSignature"}
    return Counter(TEXT=tokens.count(orjson.dumps(bare).decode()))


def _thinking_tokens(raw: dict[str, Any], model: Model) -> int:
    config = (raw.get("generationConfig") or {}).get("thinkingConfig") or {}
    budget, level = config.get("thinkingBudget"), config.get("thinkingLevel")
    if level is not None:
        return LEVEL_TOKENS.get(level.upper(), THINKING_TOKENS)
    if budget is not None and budget != DYNAMIC_BUDGET:
        return min(THINKING_TOKENS, int(budget))
    if budget is not None or model.thinks_unasked:
        return THINKING_TOKENS_UNASKED
    return 0


def _ask(raw: dict[str, Any], model: Model, said: str, results: tuple[str, ...], faults: Faults) -> Ask:
    config = raw.get("generationConfig") or {}
    calling = (raw.get("toolConfig") or {}).get("functionCallingConfig") or {}
    declared = [one for tool in raw.get("tools") or () for one in tool.get("functionDeclarations") or ()]
    allowed = calling.get("allowedFunctionNames") or []
    decisive = [model.name, raw.get("systemInstruction"), raw.get("tools"), config, raw["contents"]]
    is_json = config.get("responseMimeType") == "application/json"
    schema = config.get("responseJsonSchema", _lower(config.get("responseSchema")))
    return Ask(
        seed=blake2b(orjson.dumps(decisive), digest_size=16).digest(),
        said=said,
        results=results,
        faults=faults,
        max_tokens=config.get("maxOutputTokens", model.output_max),
        tools=tuple(
            Tool(name=one["name"], schema=one.get("parametersJsonSchema", _lower(one.get("parameters"))))
            for one in declared
            if not allowed or one["name"] in allowed
        ),
        tool_mode={"ANY": "required", "NONE": "none"}.get(calling.get("mode", "AUTO"), "auto"),
        tool_name=allowed[0] if len(allowed) == 1 else None,
        schema=schema if is_json else None,
        json_object=is_json and schema is None,
        stop=tuple(config.get("stopSequences") or ()),
        thinking=_thinking_tokens(raw, model),
    )


def _lower(schema: Any) -> Any:
    """Google's own `Schema` as JSON Schema: its type names are upper case."""
    if isinstance(schema, list):
        return [_lower(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    lowered = {name: _lower(value) for name, value in schema.items()}
    if isinstance(schema.get("type"), str):
        lowered["type"] = schema["type"].lower()
    return lowered
