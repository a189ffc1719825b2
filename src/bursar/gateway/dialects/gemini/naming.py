"""One spelling for the names of the Gemini API, which takes each in camelCase and in snake_case.

Source: protobuf's JSON mapping. Both spellings of one name in one object could mean one thing to us and
another to the provider, so that is refused. What callers name themselves (arguments, schemas, labels) stays
as it is.
"""

import re
from typing import Any, Final

from bursar.core.chat import BadRequest

CALLERS_OWN: Final = frozenset({
    "args", "response", "parameters", "parametersJsonSchema", "responseSchema", "responseJsonSchema",
    "labels", "partMetadata",
})  # fmt: skip
"""Values whose inside is the caller's."""
_HUMP: Final = re.compile(r"_([a-z0-9])")


def in_camel_case(value: Any) -> Any:
    """The same value with the API's own names in camelCase. Raises `BadRequest` for a name given twice."""
    if isinstance(value, list):
        return [in_camel_case(one) for one in value]
    if not isinstance(value, dict):
        return value
    named: dict[str, Any] = {}
    for spelled, inner in value.items():
        name = _HUMP.sub(_raised, spelled) if "_" in spelled else spelled
        if name in named:
            raise BadRequest(f"'{name}' is given twice, in two spellings.", param=name)
        named[name] = inner if name in CALLERS_OWN else in_camel_case(inner)
    return named


def _raised(match: re.Match[str]) -> str:
    return match[1].upper()
