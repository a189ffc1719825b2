"""The Gemini API's embeddings: reading requests.

Source: https://ai.google.dev/api/embeddings. One content, or a list of requests with one content each.
"""

from collections.abc import Mapping
from typing import Any, Final

from bursar.core.estimate import tokens_of_text
from bursar.core.service import Service
from bursar.gateway.dialects import Asked, Call
from bursar.gateway.dialects.bodies import Check, check_model, of_type, parse_object, require, within, wrong
from bursar.gateway.dialects.gemini.naming import in_camel_case
from bursar.gateway.dialects.gemini.reading import check_content, endpoint_of, part_tokens

DIALECT: Final = "gemini_embeddings"
SINGLE: Final = "embedContent"
INPUTS_MAX: Final = 100
"""Requests of one batch, as documented."""
DIMENSIONS_MAX: Final = 65_536
"""Far above the longest vectors of today: an answer must fit in memory."""


def read(body: bytes, asked: Asked) -> Call:
    """Check a request body. Raises `BadRequest` (422) naming the property that is wrong."""
    raw = in_camel_case(parse_object(body))
    name = asked.model or ""
    check_model("model", name)
    action = asked.action or SINGLE
    for place, one in requests_of(raw, action):
        _check(place, one)
    texts: list[str] = []
    tokens = sum(
        part_tokens(part, texts) for _, one in requests_of(raw, action) for part in one["content"]["parts"]
    )
    return Call(
        dialect=DIALECT,
        endpoint=endpoint_of(asked, action),
        model=name,
        stream=False,
        include_usage=True,
        max_tokens=0,
        n=1,
        input_tokens=max(1, tokens + tokens_of_text("\n".join(texts))),
        end_user=None,
        tools_present=False,
        raw=raw,
        service=Service.EMBEDDINGS,
    )


def requests_of(raw: Mapping[str, Any], action: str) -> list[tuple[str, Mapping[str, Any]]]:
    """Each request with where it stands; a single one stands at the top."""
    if action == SINGLE:
        return [("", raw)]
    require(raw, "requests")
    listed = raw["requests"]
    if not isinstance(listed, list) or not 0 < len(listed) <= INPUTS_MAX:
        raise wrong("requests", f"an array of 1 to {INPUTS_MAX} requests")
    return [(f"requests[{position}].", one) for position, one in enumerate(listed)]


def _check(place: str, one: Any) -> None:
    if not isinstance(one, dict):
        raise wrong(place.rstrip("."), "an object")
    if one.get("content") is None:
        raise wrong(f"{place}content", "a content")
    check_content(f"{place}content", one["content"])
    for name, checker in _CHECKS.items():
        if one.get(name) is not None:
            checker(f"{place}{name}", one[name])


_STRING: Final = of_type(str, "a string")
_CHECKS: Final[Mapping[str, Check]] = {
    "taskType": _STRING,
    "title": _STRING,
    "outputDimensionality": within(1, DIMENSIONS_MAX, int),
}
