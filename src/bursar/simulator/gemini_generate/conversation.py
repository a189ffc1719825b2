"""The rules of the Gemini API that tie contents, tool calls, thought signatures and models together."""

from base64 import b64encode
from hashlib import blake2b
from typing import Any

import orjson

from bursar.simulator.catalogue import Model
from bursar.simulator.gemini_generate.errors import invalid

UNSIGNED = frozenset({"skip_thought_signature_validator", "context_engineering_is_the_way_to_go"})
"""Values the API documents for calls that another model made."""
SIGNATURE_BYTES = 61
"""Not a multiple of three, so that the signature ends in padding."""
BUDGET_MIN, BUDGET_MAX = 1, 32_768


def sign(call: dict[str, Any]) -> str:
    """The signature of a tool call; one that comes back changed is refused."""
    said = orjson.dumps([call["name"], call.get("args") or {}], option=orjson.OPT_SORT_KEYS)
    return b64encode(blake2b(b"simulated thought\n" + said, digest_size=SIGNATURE_BYTES).digest()).decode()


def sign_text(text: str) -> str:
    """The signature that comes with the last part of an answer without tool calls."""
    return b64encode(
        blake2b(b"simulated text\n" + text.encode(), digest_size=SIGNATURE_BYTES).digest()
    ).decode()


def _standard(signature: str) -> str:
    """Base64 of the standard alphabet: clients send the one for URLs as well, with or without padding."""
    bare = signature.replace("-", "+").replace("_", "/").rstrip("=")
    return bare + "=" * (-len(bare) % 4)


def check_conversation(contents: list[dict[str, Any]], model: Model) -> None:
    """Roles, empty parts, tool calls answered at once, signatures of the turn's own calls."""
    for at, content in enumerate(contents):
        if not content.get("parts"):
            raise invalid(
                f"* GenerateContentRequest.contents[{at}].parts: contents.parts must not be empty.\n"
            )
        for number, part in enumerate(content["parts"]):
            if not set(part) - {"thought", "thoughtSignature", "partMetadata"}:
                where = f"contents[{at}].parts[{number}]"
                raise invalid(
                    f"* GenerateContentRequest.{where}.data: required oneof field 'data' must have one "
                    f"initialized field\n"
                )
    if len(contents) > 1 and not any(
        content.get("role") in (None, "user", "function") for content in contents
    ):
        raise invalid("Please ensure that multiturn requests alternate between user and model.")
    _check_calls(contents)
    if model.signatures:
        _check_signatures(contents)


def _calls(content: dict[str, Any]) -> list[dict[str, Any]]:
    return [part["functionCall"] for part in content["parts"] if "functionCall" in part]


def _responses(content: dict[str, Any]) -> list[dict[str, Any]]:
    return [part["functionResponse"] for part in content["parts"] if "functionResponse" in part]


def _check_calls(contents: list[dict[str, Any]]) -> None:
    for at, content in enumerate(contents):
        calls = _calls(content) if content.get("role") == "model" else []
        before = contents[at - 1] if at else None
        if calls and (before is None or before.get("role") == "model"):
            raise invalid(
                "Please ensure that function call turn comes immediately after a user turn or after a "
                "function response turn."
            )
        answers = _responses(content)
        if not answers:
            continue
        asked = _calls(before) if before is not None and before.get("role") == "model" else []
        if len(asked) != len(answers):
            raise invalid(
                "Please ensure that the number of function response parts is equal to the number of function "
                "call parts of the function call turn."
            )
        if sorted(one["name"] for one in asked) != sorted(one["name"] for one in answers):
            raise invalid("Please ensure that function responses carry the names of their function calls.")
        if {one.get("id") for one in answers} - {one.get("id") for one in asked}:
            raise invalid("Please ensure that function responses carry the ids of their function calls.")


def _check_signatures(contents: list[dict[str, Any]]) -> None:
    """The first call of every step since the user last spoke must come back signed, exactly as it left."""
    start = max(
        (
            at
            for at, content in enumerate(contents)
            if content.get("role") != "model" and not _responses(content)
        ),
        default=0,
    )
    for content in contents[start:]:
        signed = [part for part in content["parts"] if "functionCall" in part]
        for number, part in enumerate(signed):
            given, call = part.get("thoughtSignature"), part["functionCall"]
            if given is None and number == 0:
                raise invalid(
                    "Function call is missing a thought_signature in functionCall parts. This is required "
                    "for tools to work correctly, and missing thought_signature may lead to degraded model "
                    f"performance. Additional data, function call `default_api:{call['name']}`, position "
                    f"{content['parts'].index(part)}."
                )
            if given is not None and given not in UNSIGNED and _standard(given) != sign(call):
                raise invalid("Corrupted thought signature.")


def check_options(raw: dict[str, Any], model: Model) -> None:
    """Limits, thinking and tools for this model."""
    config = raw.get("generationConfig") or {}
    if config.get("maxOutputTokens", 1) > model.output_max:
        raise invalid(
            f"Unable to submit request because it has a maxOutputTokens value of {config['maxOutputTokens']} "
            f"but the supported range is from 1 (inclusive) to {model.output_max + 1} (exclusive)."
        )
    _check_thinking(config.get("thinkingConfig") or {}, model)
    wants_schema = "responseSchema" in config or "responseJsonSchema" in config
    if wants_schema and config.get("responseMimeType", "text/plain") == "text/plain":
        raise invalid(
            "GenerateContentRequest.generation_config.response_schema: response schema is only supported for "
            "JSON responses: set response_mime_type."
        )
    if "responseSchema" in config and "responseJsonSchema" in config:
        raise invalid("Only one of response_schema and response_json_schema may be set.")
    _check_tools(raw)


def _check_thinking(thinking: dict[str, Any], model: Model) -> None:
    budget, level = thinking.get("thinkingBudget"), thinking.get("thinkingLevel")
    if thinking and not model.manual_thinking:
        raise invalid("Thinking is not enabled for this model.")
    if budget is not None and level is not None:
        raise invalid("You can only set only one of thinking budget and thinking level.")
    if level is not None and not model.adaptive_thinking:
        raise invalid("Thinking level is not supported for this model.")
    if budget == 0 and not model.thinking_off:
        raise invalid("Budget 0 is invalid. This model only works in thinking mode.")
    if budget is not None and budget > BUDGET_MAX:
        raise invalid(
            f"The thinking budget {budget} is invalid. Please choose a value between 512 and 24576."
        )


def _check_tools(raw: dict[str, Any]) -> None:
    names = [one["name"] for tool in raw.get("tools") or () for one in tool.get("functionDeclarations") or ()]
    if len(set(names)) != len(names):
        raise invalid(f"Duplicate function declaration found: {names[0]}")
    calling = (raw.get("toolConfig") or {}).get("functionCallingConfig") or {}
    allowed = calling.get("allowedFunctionNames") or []
    if allowed and calling.get("mode") not in ("ANY", "VALIDATED"):
        raise invalid("Function calling config: allowed_function_names is only valid when mode is ANY.")
    if set(allowed) - set(names):
        raise invalid(
            "Function calling config: allowed_function_names names a function that is not declared."
        )
    if calling.get("mode") in ("ANY", "VALIDATED") and not names:
        raise invalid("Function calling config is set without function_declarations.")
