"""What the Gemini API accepts in a request.

Source: https://ai.google.dev/api/generate-content and the parameter types of google-genai 3.3. Names may be
written in camelCase or in snake_case, as protobuf's JSON mapping has it; SDKs send both.
"""

import re
from typing import Any

from bursar.simulator.checks import (
    Check,
    Kind,
    Path,
    Problem,
    anything,
    boolean,
    choice,
    integer,
    list_of,
    map_of,
    mapping,
    number,
    record,
    text,
)
from bursar.simulator.schema import well_formed

CONTENTS_MAX = 100_000
STOPS_MAX = 5
TOOL_NAME = text(shortest=1, longest=128, pattern=r"[a-zA-Z_][a-zA-Z0-9_.:-]*")
LEVELS = ("THINKING_LEVEL_UNSPECIFIED", "MINIMAL", "LOW", "MEDIUM", "HIGH")
KINDS_OF_PART = (
    "text",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
)
INT32_MAX = 2**31 - 1
_CALLERS_OWN = frozenset(
    (
        "args",
        "response",
        "parameters",
        "parametersJsonSchema",
        "responseSchema",
        "responseJsonSchema",
        "labels",
    )
)
_HUMP = re.compile(r"_([a-z0-9])")


def camel_case(value: Any) -> Any:
    """The same with the API's own names in camelCase; what callers name themselves stays."""
    if isinstance(value, list):
        return [camel_case(one) for one in value]
    if not isinstance(value, dict):
        return value
    named = {_HUMP.sub(lambda match: match[1].upper(), name): one for name, one in value.items()}
    return {name: one if name in _CALLERS_OWN else camel_case(one) for name, one in named.items()}


_INLINE = record(
    {"mimeType": text(shortest=1), "data": text(), "displayName": text()}, required=("mimeType", "data")
)
_FILE = record(
    {"mimeType": text(), "fileUri": text(shortest=1), "displayName": text()}, required=("fileUri",)
)
_CALL = record({"id": text(), "name": TOOL_NAME, "args": mapping}, required=("name",))
_RESPONSE = record(
    {
        "id": text(),
        "name": TOOL_NAME,
        "response": mapping,
        "parts": list_of(record({"inlineData": _INLINE, "fileData": _FILE})),
        "willContinue": boolean,
        "scheduling": text(),
    },
    required=("name", "response"),
)
_PART_FIELDS: dict[str, Check] = {
    "text": text(),
    "inlineData": _INLINE,
    "fileData": _FILE,
    "functionCall": _CALL,
    "functionResponse": _RESPONSE,
    "executableCode": mapping,
    "codeExecutionResult": mapping,
    "thought": boolean,
    "thoughtSignature": text(),
    "videoMetadata": mapping,
    "mediaResolution": mapping,
    "partMetadata": mapping,
}
_PART_SHAPE = record(_PART_FIELDS)


def _part(value: Any, path: Path) -> None:
    _PART_SHAPE(value, path)
    if sum(name in value for name in KINDS_OF_PART) > 1:
        raise Problem(Kind.TYPE, path, expected="object", value=value)


CONTENT = record({"role": choice("user", "model", "function"), "parts": list_of(_part)})
_SYSTEM = record({"role": text(), "parts": list_of(_part)})
_DECLARATION = record(
    {
        "name": TOOL_NAME,
        "description": text(),
        "parameters": mapping,
        "parametersJsonSchema": well_formed,
        "response": mapping,
        "responseJsonSchema": well_formed,
        "behavior": text(),
    },
    required=("name",),
)
_TOOL = record(
    {
        "functionDeclarations": list_of(_DECLARATION),
        **dict.fromkeys(
            ("googleSearch", "googleSearchRetrieval", "codeExecution", "urlContext", "computerUse"), mapping
        ),
        **dict.fromkeys(("googleMaps", "fileSearch", "enterpriseWebSearch"), mapping),
        "mcpServers": list_of(mapping),
    }
)
_CALLING = record(
    {
        "mode": choice("MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED"),
        "allowedFunctionNames": list_of(text()),
    }
)
_THINKING = record(
    {
        "includeThoughts": boolean,
        "thinkingBudget": integer(-1),
        "thinkingLevel": choice(*LEVELS, *map(str.lower, LEVELS)),
    }
)
_GENERATION = record(
    {
        "temperature": number(0, 2),
        "topP": number(0, 1),
        "topK": number(1),
        "candidateCount": integer(1, 8),
        "maxOutputTokens": integer(1),
        "stopSequences": list_of(text(shortest=1), most=STOPS_MAX),
        "responseMimeType": choice("text/plain", "application/json", "text/x.enum"),
        "responseSchema": mapping,
        "responseJsonSchema": well_formed,
        "presencePenalty": number(-2, 2),
        "frequencyPenalty": number(-2, 2),
        "seed": integer(-INT32_MAX - 1, INT32_MAX),
        "responseLogprobs": boolean,
        "logprobs": integer(0, 20),
        "responseModalities": list_of(text()),
        "mediaResolution": text(),
        "speechConfig": mapping,
        "imageConfig": mapping,
        "thinkingConfig": _THINKING,
        "enableEnhancedCivicAnswers": boolean,
    }
)
_GENERATE: dict[str, Check] = {
    "model": text(),
    "contents": list_of(CONTENT, least=1, most=CONTENTS_MAX),
    "systemInstruction": _SYSTEM,
    "generationConfig": _GENERATION,
    "tools": list_of(_TOOL),
    "toolConfig": record({"functionCallingConfig": _CALLING, "retrievalConfig": mapping}),
    "safetySettings": list_of(record({"category": text(), "threshold": text(), "method": text()})),
    "cachedContent": text(),
    "serviceTier": choice("unspecified", "standard", "flex", "priority"),
    "store": boolean,
    "labels": map_of(text()),
}
GENERATE = record(_GENERATE, required=("contents",))
COUNT = record({"contents": list_of(CONTENT, least=1), "generateContentRequest": GENERATE})
_EMBED: dict[str, Check] = {
    "model": text(),
    "content": record({"role": text(), "parts": list_of(_part, least=1)}, required=("parts",)),
    "taskType": text(),
    "title": text(),
    "outputDimensionality": integer(1, 3072),
}
EMBED = record(_EMBED, required=("content",))
EMBEDS_MAX = 100
EMBED_BATCH = record(
    {
        "requests": list_of(
            record({**_EMBED, "model": anything}, required=("content", "model")), most=EMBEDS_MAX
        )
    },
    required=("requests",),
)
