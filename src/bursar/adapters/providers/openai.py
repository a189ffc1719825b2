"""OpenAI itself: callers speak its dialect, so requests and answers pass through."""

from collections.abc import Mapping
from typing import Any

import orjson

from bursar.adapters.providers import Deployment, Disposition, ProviderFailure, Rule, UpstreamRequest
from bursar.adapters.providers.openai_failures import classify, read_error
from bursar.adapters.providers.openai_usage import read_usage
from bursar.core.usage import Usage

_FORWARDED = Rule(Disposition.FORWARDED)
DISPOSITION: Mapping[str, Rule] = {}


class OpenAI:
    """Provider type `openai`."""

    kind = "openai"
    dialect = "openai_chat"
    dispositions = DISPOSITION
    output_bound = "max_completion_tokens"
    """The property that bounds the output when the caller set none."""

    def edit(
        self,
        raw: Mapping[str, Any],
        deployment: Deployment,
        *,
        secret: str,
        stream: bool,
        max_tokens: int | None,
    ) -> UpstreamRequest:
        """The caller's request with our model name, the output bound, and usage asked for in streams.

        It is written anew from what was parsed, so a property given twice cannot mean one thing to us and another
        to the provider.
        """
        body = {**raw, "model": deployment.provider_model}
        if stream:
            body["stream_options"] = {**(raw.get("stream_options") or {}), "include_usage": True}
        if max_tokens is not None:
            self._bound(body, max_tokens)
        return UpstreamRequest(path="/chat/completions", headers=_headers(secret), body=orjson.dumps(body))

    def usage(self, raw: Mapping[str, Any], *, service_tier: str | None) -> Usage:
        return read_usage(raw, service_tier=service_tier)

    def failure(
        self, status: int, headers: Mapping[str, str], body: bytes, *, deployment: Deployment, secret: str
    ) -> ProviderFailure:
        return classify(read_error(body), status, headers, deployment=deployment, secret=secret)

    def _bound(self, body: dict[str, Any], max_tokens: int) -> None:
        given = [name for name in ("max_completion_tokens", "max_tokens") if body.get(name) is not None]
        for name in given or [self.output_bound]:
            body[name] = min(body.get(name) or max_tokens, max_tokens)


def _headers(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}", "content-type": "application/json"}
