"""OpenAI itself: callers speak its dialect, so requests and answers pass through."""

from collections.abc import Mapping
from typing import Any

import orjson

from bursar.adapters.providers import (
    Attempt,
    Disposition,
    PassThrough,
    ProviderFailure,
    Rule,
    Translator,
    UpstreamRequest,
)
from bursar.adapters.providers.dispositions import forwarded, refused, translated
from bursar.adapters.providers.failures import classify, read_error
from bursar.adapters.providers.openai_properties import PROPERTIES
from bursar.adapters.providers.openai_usage import read_usage
from bursar.core.chat import unsupported
from bursar.core.usage import Usage

_NO_PRICE = refused("no price for this tier is kept")
DISPOSITION: Mapping[str, Rule] = {
    **dict.fromkeys(PROPERTIES, forwarded()),
    "model": translated("the deployment's own model name"),
    "max_completion_tokens": translated("lowered when the wallet covers less"),
    "max_tokens": translated("lowered when the wallet covers less"),
    "stream_options": translated("see its parts"),
    "stream_options.include_usage": translated("always on upstream; the usage is passed on when asked for"),
    "service_tier=priority": _NO_PRICE,
    "service_tier=fast": _NO_PRICE,
    "service_tier=scale": _NO_PRICE,
    "web_search_options": refused("searches are billed per call, which the answer's usage does not tell"),
}


class OpenAI:
    """Provider type `openai`."""

    kind = "openai"
    translator: Translator | None = None
    dispositions: Mapping[str, Rule] = DISPOSITION
    output_bound = "max_completion_tokens"
    """The property that bounds the output when the caller set none."""

    @property
    def passes(self) -> Mapping[str, PassThrough]:
        return {"openai_chat": self}

    def edit(
        self,
        raw: Mapping[str, Any],
        attempt: Attempt,
        *,
        stream: bool,
        headers: Mapping[str, str],  # noqa: ARG002 - this dialect has none
    ) -> UpstreamRequest:
        """The caller's request with our model name, the output bound, and usage asked for in streams.

        It is written anew from what was parsed, so a property given twice cannot mean one thing to us and
        another to the provider.
        """
        self._check_prices(raw)
        body = {**raw, "model": attempt.deployment.provider_model}
        if stream:
            body["stream_options"] = {**(raw.get("stream_options") or {}), "include_usage": True}
        self._bound(body, attempt)
        return UpstreamRequest(
            path="/chat/completions", headers=_headers(attempt.secret), body=orjson.dumps(body)
        )

    def usage(self, raw: Mapping[str, Any], *, service_tier: str | None) -> Usage | None:
        return read_usage(raw, service_tier=service_tier)

    def failure(
        self, status: int, headers: Mapping[str, str], body: bytes, attempt: Attempt
    ) -> ProviderFailure:
        return classify(read_error(body), status, headers, attempt)

    def _check_prices(self, raw: Mapping[str, Any]) -> None:
        """What costs more than the price book knows of is refused: dearer tiers, searches."""
        if raw.get("service_tier") is not None:
            self._check("service_tier", f"service_tier={raw['service_tier']}")
        if raw.get("web_search_options") is not None:
            self._check("web_search_options", "web_search_options")

    def _check(self, param: str, path: str) -> None:
        rule = self.dispositions.get(path)
        if rule is not None and rule.disposition is Disposition.REFUSED:
            raise unsupported(param, rule.why)

    def _bound(self, body: dict[str, Any], attempt: Attempt) -> None:
        """Let nothing be produced beyond what is held: a bound by two names could mean the larger one."""
        given = [name for name in ("max_completion_tokens", "max_tokens") if body.get(name) is not None]
        bounds = [body[name] for name in given]
        if given:
            bounds.append(attempt.deployment.output_tokens_max)
        if attempt.max_tokens is not None:
            bounds.append(attempt.max_tokens)
        if bounds:
            body.update(dict.fromkeys(given or [self.output_bound], min(bounds)))


def _headers(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}", "content-type": "application/json"}
