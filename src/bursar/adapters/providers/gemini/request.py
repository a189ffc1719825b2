"""A canonical chat request written for the Gemini API.

Source: https://ai.google.dev/api/generate-content and google-genai 3.3, `types.GenerateContentConfig`.
"""

from typing import Any, Final

from bursar.adapters.providers import Attempt
from bursar.adapters.providers.gemini.contents import contents_of, system_parts
from bursar.adapters.providers.gemini.models import Budgets, budgets, level, signs_calls, thinks
from bursar.core.chat import ChatRequest, Effort, Tool, unsupported

STOPS_MAX: Final = 5
SEED_MAX: Final = 2**31 - 1
TIERS: Final = {"auto": None, "default": "standard", "standard": "standard", "flex": "flex"}
"""Tiers there is a price for, in the API's words."""
_BUDGET_OF: dict[Effort, int] = {
    "minimal": 512, "low": 1_024, "medium": 8_192, "high": 24_576, "xhigh": 32_768, "max": 32_768,
}  # fmt: skip
"""Thinking budgets for efforts, as Google maps OpenAI's to its 2.5 models; cut to what a model takes."""
_JSON: Final = "application/json"


def generate_body(request: ChatRequest, attempt: Attempt) -> dict[str, Any]:
    """The request's body. Raises `BadRequest` for what the provider cannot do."""
    model = attempt.deployment.provider_model
    body: dict[str, Any] = {"contents": contents_of(request.turns, signs=signs_calls(model))}
    system = system_parts(request.turns)
    if system:
        body["systemInstruction"] = {"parts": system}
    config = {**_sampling(request), **_bounds(request, attempt), **_format(request)}
    thinking = _thinking(request, model)
    if thinking:
        config["thinkingConfig"] = thinking
    if config:
        body["generationConfig"] = config
    body.update(_tools(request))
    tier = _tier(request)
    if tier is not None:
        body["serviceTier"] = tier
    return body


def _sampling(request: ChatRequest) -> dict[str, Any]:
    if request.n not in {None, 1}:
        raise unsupported(request.named("n"), "one answer is translated per request")
    if request.seed is not None and not -SEED_MAX - 1 <= request.seed <= SEED_MAX:
        raise unsupported(request.named("seed"), "the provider's seeds have 32 bits")
    if len(request.stop) > STOPS_MAX:
        raise unsupported(request.named("stop"), f"the provider takes {STOPS_MAX} sequences at most")
    given = {
        "temperature": request.temperature,
        "topP": request.top_p,
        "topK": request.top_k,
        "seed": request.seed,
        "frequencyPenalty": request.frequency_penalty,
        "presencePenalty": request.presence_penalty,
        "stopSequences": list(request.stop) or None,
    }
    return {name: value for name, value in given.items() if value is not None}


def _bounds(request: ChatRequest, attempt: Attempt) -> dict[str, Any]:
    """The smallest bound anybody set; thoughts count against it too."""
    bounds = [bound for bound in (request.max_tokens, attempt.max_tokens) if bound is not None]
    if request.max_tokens is not None:
        bounds.append(attempt.deployment.output_tokens_max)
    return {"maxOutputTokens": min(bounds)} if bounds else {}


def _format(request: ChatRequest) -> dict[str, Any]:
    if request.json_schema is not None:
        return {"responseMimeType": _JSON, "responseJsonSchema": dict(request.json_schema)}
    return {"responseMimeType": _JSON} if request.json_object else {}


def _thinking(request: ChatRequest, model: str) -> dict[str, Any]:
    """How much to think, shown in summary; a budget in tokens wins over an effort, being more exact."""
    asked, named = request.thinking_tokens, "thinking_tokens"
    if asked is None:
        if request.effort is None:
            return {}
        asked, named = 0 if request.effort == "none" else _BUDGET_OF[request.effort], "effort"
    if not thinks(model):
        if asked == 0:
            return {}
        raise unsupported(request.named(named), "this model does not reason")
    limits = budgets(model)
    if asked == 0:
        if limits is None or not limits.off:
            raise unsupported(request.named(named), "this model's reasoning cannot be switched off")
        return {"thinkingBudget": 0}
    if limits is None and request.thinking_tokens is None and request.effort is not None:
        return {"thinkingLevel": level(model, request.effort), "includeThoughts": True}
    return {"thinkingBudget": _within(asked, limits), "includeThoughts": True}


def _within(asked: int, limits: Budgets | None) -> int:
    return asked if limits is None else max(limits.least, min(asked, limits.most))


def _tools(request: ChatRequest) -> dict[str, Any]:
    if request.parallel_tools is False and request.tools:
        raise unsupported(
            request.named("parallel_tools"), "the provider cannot be kept from calling several tools at once"
        )
    if not request.tools:
        return {}
    calling = _calling(request)
    declared = {"tools": [{"functionDeclarations": [_declaration(tool) for tool in request.tools]}]}
    return {**declared, "toolConfig": {"functionCallingConfig": calling}} if calling else declared


def _declaration(tool: Tool) -> dict[str, Any]:
    declared: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        declared["description"] = tool.description
    if tool.parameters is not None:
        declared["parametersJsonSchema"] = dict(tool.parameters)
    return declared


def _calling(request: ChatRequest) -> dict[str, Any] | None:
    """The mode; strict tools want arguments that fit their schema, which `VALIDATED` and `ANY` promise."""
    choice = request.tool_choice
    if choice is None or choice.mode == "auto":
        if any(tool.strict for tool in request.tools):
            return {"mode": "VALIDATED"}
        return None if choice is None else {"mode": "AUTO"}
    if choice.mode == "none":
        return {"mode": "NONE"}
    if choice.mode == "named":
        return {"mode": "ANY", "allowedFunctionNames": [choice.name]}
    return {"mode": "ANY"}


def _tier(request: ChatRequest) -> str | None:
    if request.service_tier is None:
        return None
    if request.service_tier not in TIERS:
        raise unsupported(request.named("service_tier"), "no price for this tier is kept")
    return TIERS[request.service_tier]
