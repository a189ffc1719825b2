"""Requests in the Gemini API's own dialect on their way to it: only the output bound is changed.

What would cost more than the price book knows of, or reach into the account that all callers share, is
refused by name: tools billed per call, pages read without bound, dearer tiers, caches and files kept at the
provider.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

import orjson

from bursar.adapters.providers import Attempt, UpstreamRequest
from bursar.adapters.providers.gemini.paths import headers_for, path_of
from bursar.adapters.providers.gemini.usage import read_usage
from bursar.core.chat import unsupported
from bursar.core.usage import Usage

_PER_CALL: Final = "it is billed per call, and has no price here"
_BRINGS_IN: Final = "what it brings in is billed as input, without bound"
REFUSED_TOOLS: Final[Mapping[str, str]] = {
    "googleSearch": _PER_CALL,
    "googleSearchRetrieval": _PER_CALL,
    "googleMaps": _PER_CALL,
    "enterpriseWebSearch": _PER_CALL,
    "fileSearch": _PER_CALL,
    "urlContext": _BRINGS_IN,
    "mcpServers": _BRINGS_IN,
}
"""Tools of the provider's whose price no hold covers: calls that the usage does not tell, and whole pages."""
TIERS: Final = frozenset({"unspecified", "standard", "flex"})
KEPT_FILES: Final = re.compile(
    r".*generativelanguage\.googleapis\.com|gs:|/?(?:v1[a-z0-9]*/)?files/", re.IGNORECASE | re.DOTALL
)
"""Addresses of files kept with the provider: in our account, where every caller's would lie."""


class Generate:
    """`:generateContent` and `:streamGenerateContent`; `raw` is in camelCase, see the dialect."""

    def edit(
        self,
        raw: Mapping[str, Any],
        attempt: Attempt,
        *,
        stream: bool,
        headers: Mapping[str, str],  # noqa: ARG002 - this dialect has none
    ) -> UpstreamRequest:
        """The caller's request with the output bound; the model and the way to answer are in the path."""
        _check(raw)
        action = "streamGenerateContent" if stream else "generateContent"
        body = {name: value for name, value in raw.items() if name != "model"}
        _bound(body, attempt)
        return UpstreamRequest(
            path=path_of(attempt, action, sse=stream), headers=headers_for(attempt), body=orjson.dumps(body)
        )

    def usage(self, raw: Mapping[str, Any], *, service_tier: str | None) -> Usage | None:
        return read_usage(raw, service_tier=service_tier)


class Counts:
    """`:countTokens`, which costs nothing: contents, or a whole request whose model is ours."""

    def edit(
        self,
        raw: Mapping[str, Any],
        attempt: Attempt,
        *,
        stream: bool,  # noqa: ARG002 - a count comes whole
        headers: Mapping[str, str],  # noqa: ARG002 - this dialect has none
    ) -> UpstreamRequest:
        """The caller's own, under our model's name."""
        body = {name: value for name, value in raw.items() if name != "model"}
        whole = raw.get("generateContentRequest")
        _check(whole if isinstance(whole, Mapping) else raw)
        if isinstance(whole, Mapping):
            model = attempt.deployment.provider_model.removeprefix("models/")
            body["generateContentRequest"] = {**whole, "model": f"models/{model}"}
        return UpstreamRequest(
            path=path_of(attempt, "countTokens"), headers=headers_for(attempt), body=orjson.dumps(body)
        )

    def usage(self, raw: Mapping[str, Any], *, service_tier: str | None) -> Usage | None:  # noqa: ARG002 - free
        return None


GENERATE: Final = Generate()
COUNTS: Final = Counts()


def _bound(body: dict[str, Any], attempt: Attempt) -> None:
    """Let nothing be produced beyond what is held."""
    config = body.get("generationConfig") or {}
    given = config.get("maxOutputTokens")
    bounds = [bound for bound in (given, attempt.max_tokens) if bound is not None]
    if given is not None:
        bounds.append(attempt.deployment.output_tokens_max)
    if bounds:
        body["generationConfig"] = {**config, "maxOutputTokens": min(bounds)}


def _check(raw: Mapping[str, Any]) -> None:
    """Raise `BadRequest` naming what is not passed on."""
    if raw.get("cachedContent"):
        raise unsupported("cachedContent", "caches kept at the provider are not offered")
    if raw.get("store"):
        raise unsupported("store", "answers are not kept")
    tier = raw.get("serviceTier")
    if tier is not None and (not isinstance(tier, str) or tier.lower() not in TIERS):
        raise unsupported("serviceTier", "no price for this tier is kept")
    for position, tool in enumerate(raw.get("tools") or ()):
        for name, why in REFUSED_TOOLS.items():
            if tool.get(name) is not None:
                raise unsupported(f"tools[{position}].{name}", why)
    contents = [(f"contents[{at}]", content) for at, content in enumerate(raw.get("contents") or ())]
    system = raw.get("systemInstruction")
    for place, content in [*contents, *([("systemInstruction", system)] if system else ())]:
        refuse_kept_files(content.get("parts"), f"{place}.parts")


def refuse_kept_files(parts: Any, place: str) -> None:
    """Raise `BadRequest` naming the first part that refers to a file in the account all callers share."""
    for number, part in enumerate(parts if isinstance(parts, list) else ()):
        where = f"{place}[{number}]"
        if not isinstance(part, Mapping):
            continue
        file, answered = part.get("fileData"), part.get("functionResponse")
        uri = file.get("fileUri") if isinstance(file, Mapping) else None
        if isinstance(uri, str) and KEPT_FILES.match(uri.strip()) is not None:
            raise unsupported(
                f"{where}.fileData.fileUri",
                "files kept with the provider are not offered; send their content",
            )
        if isinstance(answered, Mapping):
            refuse_kept_files(answered.get("parts"), f"{where}.functionResponse.parts")
