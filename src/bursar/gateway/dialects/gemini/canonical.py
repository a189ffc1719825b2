"""The Gemini API's request, read into the canonical form. What neither can say is refused by its own name."""

from collections.abc import Mapping
from typing import Any, Final

from bursar.core.chat import ChatRequest, Effort, Tool, ToolChoice, unsupported
from bursar.gateway.dialects.bodies import wrong
from bursar.gateway.dialects.gemini.parts import Conversation
from bursar.gateway.dialects.gemini.schemas import json_schema

_CONFIG: Final = "generationConfig"
_NAMES: Final[Mapping[str, str]] = {
    "max_tokens": f"{_CONFIG}.maxOutputTokens",
    "temperature": f"{_CONFIG}.temperature",
    "top_p": f"{_CONFIG}.topP",
    "top_k": f"{_CONFIG}.topK",
    "seed": f"{_CONFIG}.seed",
    "stop": f"{_CONFIG}.stopSequences",
    "frequency_penalty": f"{_CONFIG}.frequencyPenalty",
    "presence_penalty": f"{_CONFIG}.presencePenalty",
    "n": f"{_CONFIG}.candidateCount",
    "effort": f"{_CONFIG}.thinkingConfig.thinkingLevel",
    "thinking_tokens": f"{_CONFIG}.thinkingConfig.thinkingBudget",
    "json_schema": f"{_CONFIG}.responseJsonSchema",
    "json_object": f"{_CONFIG}.responseMimeType",
    "tool_choice": "toolConfig.functionCallingConfig",
    "service_tier": "serviceTier",
    "metadata": "labels",
    "turns": "contents",
}
"""What this dialect calls the canonical fields."""
_TOP: Final = frozenset({
    "model", "contents", "systemInstruction", _CONFIG, "tools", "toolConfig", "safetySettings", "serviceTier",
    "labels",
})  # fmt: skip
_NEUTRAL: Final[Mapping[str, tuple[Any, ...]]] = {
    "store": (False,),
    "cachedContent": ("",),
    f"{_CONFIG}.responseModalities": ([], ["TEXT"], ["MODALITY_UNSPECIFIED"]),
    f"{_CONFIG}.responseLogprobs": (False,),
    f"{_CONFIG}.logprobs": (0,),
    f"{_CONFIG}.enableEnhancedCivicAnswers": (False,),
}
"""Values of refused properties that ask for nothing."""
_READ: Final = frozenset({
    "temperature", "topP", "topK", "candidateCount", "maxOutputTokens", "stopSequences", "presencePenalty",
    "frequencyPenalty", "seed", "responseMimeType", "responseSchema", "responseJsonSchema", "thinkingConfig",
    "mediaResolution",
})  # fmt: skip
"""What of the configuration is read; `mediaResolution` is a hint on cost and left out."""
_UNBLOCKED: Final = frozenset({"BLOCK_NONE", "OFF", "HARM_BLOCK_THRESHOLD_UNSPECIFIED"})
_LEVELS: Final[Mapping[str, Effort]] = {
    "minimal": "minimal", "low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh",
}  # fmt: skip
_TIERS: Final[Mapping[str, str]] = {"standard": "default", "unspecified": "auto", "flex": "flex"}
_DYNAMIC: Final = -1
_JSON: Final = "application/json"


def canonical(raw: Mapping[str, Any]) -> ChatRequest:
    """The request in the canonical form; `raw` has passed `reading.check` and is in camelCase."""
    config = raw.get(_CONFIG) or {}
    _refuse_unknown(raw, config)
    tools, choice = _tools(raw)
    effort, budget = _thinking(config.get("thinkingConfig") or {})
    schema = _schema(config)
    return ChatRequest(
        turns=Conversation().turns(raw),
        max_tokens=config.get("maxOutputTokens"),
        temperature=config.get("temperature"),
        top_p=config.get("topP"),
        top_k=config.get("topK"),
        stop=tuple(config.get("stopSequences") or ()),
        seed=config.get("seed"),
        frequency_penalty=config.get("frequencyPenalty"),
        presence_penalty=config.get("presencePenalty"),
        n=config.get("candidateCount"),
        tools=tools,
        tool_choice=choice,
        effort=effort,
        thinking_tokens=budget,
        json_schema=schema,
        json_object=schema is None and config.get("responseMimeType") == _JSON,
        service_tier=_tier(raw.get("serviceTier")),
        metadata=raw.get("labels") or None,
        names=_NAMES,
    )


def _refuse_unknown(raw: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    said = [(name, value) for name, value in raw.items() if name not in _TOP]
    said += [(f"{_CONFIG}.{name}", value) for name, value in config.items() if name not in _READ]
    for name, value in said:
        if value is not None and value not in _NEUTRAL.get(name, ()):
            raise unsupported(name, "it has no equivalent at this model's provider")
    if (config.get("candidateCount") or 1) > 1:
        raise unsupported(_NAMES["n"], "the model's provider gives one answer per request")
    for position, setting in enumerate(raw.get("safetySettings") or ()):
        if str(setting.get("threshold", "OFF")).upper() not in _UNBLOCKED:
            raise unsupported(
                f"safetySettings[{position}].threshold",
                "the model's provider has no filter that could be set",
            )
    mime = config.get("responseMimeType")
    if mime not in {None, "text/plain", _JSON}:
        raise unsupported(_NAMES["json_object"], f"answers in {mime} have no equivalent")


def _schema(config: Mapping[str, Any]) -> Mapping[str, Any] | None:
    described, own = config.get("responseJsonSchema"), config.get("responseSchema")
    if described is not None:
        if not isinstance(described, Mapping):
            raise wrong(_NAMES["json_schema"], "a JSON schema")
        return described
    return None if own is None else json_schema(own, f"{_CONFIG}.responseSchema")


def _thinking(config: Mapping[str, Any]) -> tuple[Effort | None, int | None]:
    """Effort and budget; -1 leaves the budget to the model, which is saying nothing."""
    level, budget = config.get("thinkingLevel"), config.get("thinkingBudget")
    if budget is not None and (type(budget) is not int or budget < _DYNAMIC):
        raise wrong(_NAMES["thinking_tokens"], "an integer from -1")
    if level is None or level == "THINKING_LEVEL_UNSPECIFIED":
        return None, None if budget == _DYNAMIC else budget
    effort = _LEVELS.get(str(level).lower())
    if effort is None:
        raise wrong(_NAMES["effort"], f"one of {', '.join(_LEVELS)}")
    return effort, None


def _tier(tier: str | None) -> str | None:
    return None if tier is None else _TIERS.get(tier.lower(), tier)


def _tools(raw: Mapping[str, Any]) -> tuple[tuple[Tool, ...], ToolChoice | None]:
    tools: list[Tool] = []
    for position, tool in enumerate(raw.get("tools") or ()):
        for name, value in tool.items():
            if name != "functionDeclarations" and value is not None:
                raise unsupported(f"tools[{position}].{name}", "it is run by Google alone")
        for number, declared in enumerate(tool.get("functionDeclarations") or ()):
            tools.append(_tool(declared, f"tools[{position}].functionDeclarations[{number}]"))
    return _chosen(raw.get("toolConfig") or {}, tuple(tools))


def _tool(declared: Mapping[str, Any], place: str) -> Tool:
    name = declared.get("name")
    if not isinstance(name, str):
        raise wrong(f"{place}.name", "a string")
    for odd in ("response", "responseJsonSchema", "behavior"):
        if declared.get(odd) is not None:
            raise unsupported(f"{place}.{odd}", "it has no equivalent at this model's provider")
    parameters = declared.get("parametersJsonSchema")
    if parameters is None and declared.get("parameters") is not None:
        parameters = json_schema(declared["parameters"], f"{place}.parameters")
    description = declared.get("description")
    return Tool(
        name=name,
        description=description if isinstance(description, str) else None,
        parameters=parameters if isinstance(parameters, Mapping) else None,
    )


def _chosen(config: Mapping[str, Any], tools: tuple[Tool, ...]) -> tuple[tuple[Tool, ...], ToolChoice | None]:
    """The tools on offer and the choice among them."""
    place = "toolConfig.functionCallingConfig"
    if config.get("retrievalConfig") is not None:
        raise unsupported("toolConfig.retrievalConfig", "it is for tools that Google runs")
    calling = config.get("functionCallingConfig") or {}
    if not isinstance(calling, Mapping):
        raise wrong(place, "an object")
    mode, allowed = str(calling.get("mode", "AUTO")).upper(), calling.get("allowedFunctionNames") or ()
    if not isinstance(allowed, list | tuple):
        raise wrong(f"{place}.allowedFunctionNames", "an array of strings")
    if allowed:
        tools = tuple(tool for tool in tools if tool.name in allowed)
    if mode == "ANY":
        named = ToolChoice(mode="named", name=tools[0].name) if len(allowed) == len(tools) == 1 else None
        return tools, named or ToolChoice(mode="required")
    if mode == "NONE":
        return tools, ToolChoice(mode="none")
    if mode == "VALIDATED":
        strict = tuple(
            Tool(name=one.name, description=one.description, parameters=one.parameters, strict=True)
            for one in tools
        )
        return strict, ToolChoice(mode="auto")
    if mode in {"AUTO", "MODE_UNSPECIFIED"}:
        return tools, ToolChoice(mode="auto") if calling else None
    raise wrong(f"{place}.mode", "AUTO, ANY, NONE or VALIDATED")
