"""Upstreams that speak OpenAI's chat dialect: OpenAI itself and the servers that copied it."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import orjson

from bursar.adapters.providers import (
    Attempt,
    Disposition,
    Embedder,
    PassThrough,
    ProviderFailure,
    Rule,
    Translator,
    UpstreamRequest,
)
from bursar.adapters.providers.failures import FOUND_IN_STREAM, classify, read_error
from bursar.adapters.providers.openai_chat.answer import answer_of, read_completion
from bursar.adapters.providers.openai_chat.request import chat_body
from bursar.adapters.providers.openai_chat.stream import ChatStream
from bursar.adapters.providers.openai_chat.style import Style
from bursar.adapters.providers.openai_embeddings import Embeddings
from bursar.adapters.providers.openai_images import Images
from bursar.adapters.providers.openai_responses import ResponsesSurface
from bursar.adapters.providers.openai_usage import read_usage
from bursar.core.chat import ChatAnswer, ChatRequest, unsupported
from bursar.core.usage import Usage

PATH = "/chat/completions"
EMBEDDINGS = Embeddings()
IMAGES = Images()


class ChatServer:
    """A provider of this dialect: `PassThrough` for callers who speak it, `Translator` for all others."""

    kind: str
    style: Style
    dispositions: Mapping[str, Rule]
    refused: frozenset[str] = frozenset()
    """Properties that `dispositions` refuse; see `refusals`."""
    tool_types: frozenset[str] | None = None
    """The tools that cost nothing apart; `None`: all are."""
    embeddings: Embeddings | None = EMBEDDINGS
    images: Images | None = IMAGES
    responses: ResponsesSurface | None = None

    @cached_property
    def passes(self) -> Mapping[str, PassThrough]:
        beside = {
            "openai_embeddings": self.embeddings,
            "openai_images": self.images,
            "openai_responses": self.responses,
        }
        return {"openai_chat": self, **{name: there for name, there in beside.items() if there is not None}}

    @property
    def embedder(self) -> Embedder | None:
        return self.embeddings

    @property
    def translator(self) -> Translator | None:
        return self

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
        return self._request(body, attempt)

    def usage(self, raw: Mapping[str, Any], *, service_tier: str | None) -> Usage | None:
        return read_usage(raw, service_tier=service_tier)

    def failure(
        self, status: int, headers: Mapping[str, str], body: bytes, attempt: Attempt
    ) -> ProviderFailure:
        return classify(read_error(body), status, headers, attempt)

    def build(self, request: ChatRequest, attempt: Attempt, *, stream: bool) -> UpstreamRequest:
        return self._request(chat_body(request, attempt, self.style, stream=stream), attempt)

    def read_answer(self, body: bytes, request: ChatRequest) -> ChatAnswer:  # noqa: ARG002 - the protocol's
        completion, choice = read_completion(body)
        return replace(answer_of(completion, choice), usage=self._usage_of(completion))

    def read_stream(self, request: ChatRequest, attempt: Attempt) -> ChatStream:  # noqa: ARG002 - as above
        def failure(body: bytes) -> ProviderFailure:
            return self.failure(FOUND_IN_STREAM, {}, body, attempt)

        return ChatStream(read_usage=self._usage_of, failure=failure)

    def _request(self, body: Mapping[str, Any], attempt: Attempt) -> UpstreamRequest:
        return UpstreamRequest(path=PATH, headers=bearer(attempt.secret), body=orjson.dumps(body))

    def _usage_of(self, completion: Mapping[str, Any]) -> Usage | None:
        """The usage in a completion or a chunk, rated by the tier that served it."""
        usage, tier = completion.get("usage"), completion.get("service_tier")
        if not isinstance(usage, dict):
            return None
        return self.usage(usage, service_tier=tier if isinstance(tier, str) else None)

    def _check_prices(self, raw: Mapping[str, Any]) -> None:
        """What costs more than the price book knows of is refused: dearer tiers, searches, foreign tools."""
        tier = raw.get("service_tier")
        if tier is not None:
            self._check("service_tier", f"service_tier={tier}", tier)
        for name in self.refused.intersection(raw):
            if raw[name] is not None:
                self._check(name, name, raw[name])
        if self.tool_types is not None:
            self._check_tools(raw.get("tools") or (), self.tool_types)

    def _check(self, param: str, path: str, value: Any) -> None:
        rule = self.dispositions.get(path)
        refused = rule is not None and rule.disposition is Disposition.REFUSED and value not in rule.neutral
        if rule is not None and refused:
            raise unsupported(param, rule.why)

    def _check_tools(self, tools: Iterable[Any], allowed: frozenset[str]) -> None:
        for position, tool in enumerate(tools):
            if isinstance(tool, dict) and tool.get("type", "function") not in allowed:
                raise unsupported(f"tools[{position}].type", "the provider bills for its own tools apart")

    def _bound(self, body: dict[str, Any], attempt: Attempt) -> None:
        """Let nothing be produced beyond what is held: a bound by two names could mean the larger one."""
        given = [name for name in ("max_completion_tokens", "max_tokens") if body.get(name) is not None]
        bounds = [body[name] for name in given]
        if given:
            bounds.append(attempt.deployment.output_tokens_max)
        if attempt.max_tokens is not None:
            bounds.append(attempt.max_tokens)
        if bounds:
            body.update(dict.fromkeys(given or [self.style.output_bound], min(bounds)))


def refusals(dispositions: Mapping[str, Rule]) -> frozenset[str]:
    """The properties of a request that a table refuses as a whole."""
    return frozenset(
        path
        for path, rule in dispositions.items()
        if rule.disposition is Disposition.REFUSED and path.isidentifier()
    )


def bearer(secret: str) -> dict[str, str]:
    """The headers of a request in JSON with a bearer's key."""
    return {"authorization": f"Bearer {secret}", "content-type": "application/json"}
