"""Anthropic's Messages API for callers who speak it: their requests pass through, and so do counts of tokens.

Source: Anthropic's API reference and Python SDK 2.10, `MessageCreateParams` with its betas. Everything goes
on as it came, but for the model, the output bound, and what cannot be sold: what costs more than the price
book knows of, and what would reach things kept in the provider account that all our customers share.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from bursar.adapters.providers import Attempt, UpstreamRequest
from bursar.adapters.providers.anthropic.usage import counted_usage
from bursar.core.chat import unsupported
from bursar.core.usage import Usage

API_VERSION: Final = "2023-06-01"
MESSAGES_PATH: Final = "/messages"
COUNT_PATH: Final = "/messages/count_tokens"

_SHARED: Final = "what is kept at the provider is not kept apart for each customer"
_DEARER: Final = "no price for it is kept"
_OTHER_MODEL: Final = "it is billed at another model's prices"
_BRINGS_IN: Final = "what it brings in is billed as input, without bound"
_REFUSED: Final[Mapping[str, str]] = {
    "container": _SHARED,
    "thread": _SHARED,
    "fallbacks": _OTHER_MODEL,
    "fallback_credit_token": _SHARED,
    "mcp_servers": _BRINGS_IN,
    "billing_policy": "billing is agreed on with us",
}
_ONLY: Final[Mapping[str, tuple[str, ...]]] = {"speed": ("standard",), "inference_geo": ("global",)}
"""Properties whose other values cost more than the model's listed price."""
_REFUSED_TOOLS: Final[Mapping[str, str]] = {
    "code_execution_": "it is billed by the hour, which the answer's usage does not tell",
    "advisor_": _OTHER_MODEL,
    "web_fetch_": _BRINGS_IN,
    "mcp_toolset": _BRINGS_IN,
}


def request_headers(secret: str, asked: Mapping[str, str]) -> dict[str, str]:
    """Our key, the version this adapter speaks, and what the caller asked for beside it."""
    return {
        "x-api-key": secret,
        "anthropic-version": API_VERSION,
        "content-type": "application/json",
        **asked,
    }


class Messages:
    """The surface `POST /v1/messages`."""

    def edit(
        self,
        raw: Mapping[str, Any],
        attempt: Attempt,
        *,
        stream: bool,  # noqa: ARG002 - usage always comes
        headers: Mapping[str, str],
    ) -> UpstreamRequest:
        """The caller's request with our model name and no more output than is held for."""
        refuse_unsold(raw)
        bounds = (raw["max_tokens"], attempt.deployment.output_tokens_max, attempt.max_tokens)
        body = {
            **raw,
            "model": attempt.deployment.provider_model,
            "max_tokens": min(bound for bound in bounds if bound is not None),
            "messages": without_unsigned(raw["messages"]),
        }
        return UpstreamRequest(
            path=MESSAGES_PATH, headers=request_headers(attempt.secret, headers), body=orjson.dumps(body)
        )

    def usage(self, raw: Mapping[str, Any], *, service_tier: str | None) -> Usage | None:  # noqa: ARG002 - it is in `raw`
        return counted_usage(raw)


class TokenCounts:
    """The surface `POST /v1/messages/count_tokens`: free, so nothing is measured."""

    def edit(
        self,
        raw: Mapping[str, Any],
        attempt: Attempt,
        *,
        stream: bool,  # noqa: ARG002 - counts do not stream
        headers: Mapping[str, str],
    ) -> UpstreamRequest:
        """The caller's request with our model name."""
        refuse_unsold(raw)
        messages = without_unsigned(raw["messages"])
        body = {**raw, "model": attempt.deployment.provider_model, "messages": messages}
        return UpstreamRequest(
            path=COUNT_PATH, headers=request_headers(attempt.secret, headers), body=orjson.dumps(body)
        )

    def usage(self, raw: Mapping[str, Any], *, service_tier: str | None) -> Usage | None:  # noqa: ARG002 - nothing is used
        return None


def without_unsigned(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages without thoughts that nobody signed: other providers' models had them.

    A conversation may go on here that was begun there. Anthropic signs its own and refuses all others.
    """
    if not any(_is_unsigned(block) for message in messages for block in _own_blocks(message)):
        return messages
    kept = []
    for message in messages:
        blocks = _own_blocks(message)
        signed = [block for block in blocks if not _is_unsigned(block)]
        if len(signed) == len(blocks):
            kept.append(message)
        elif signed:
            kept.append({**message, "content": signed})
    return kept


def _own_blocks(message: Mapping[str, Any]) -> list[Any]:
    content = message.get("content")
    return content if isinstance(content, list) and message.get("role") == "assistant" else []


def _is_unsigned(block: Mapping[str, Any]) -> bool:
    return block.get("type") == "thinking" and block.get("signature") == ""


def refuse_unsold(raw: Mapping[str, Any]) -> None:
    """Raise `BadRequest` naming the first thing asked for that is not sold here."""
    for name, why in _REFUSED.items():
        if raw.get(name):
            raise unsupported(name, why)
    for name, sold in _ONLY.items():
        if raw.get(name) is not None and raw[name] not in sold:
            raise unsupported(name, _DEARER)
    for position, tool in enumerate(raw.get("tools") or ()):
        kind = tool.get("type")
        for start, why in _REFUSED_TOOLS.items():
            if isinstance(kind, str) and kind.startswith(start):
                raise unsupported(f"tools.{position}.type", why)
    _refuse_files(raw["messages"])


def _refuse_files(messages: Any) -> None:
    for position, message in enumerate(messages):
        for place, block in _blocks(message.get("content"), f"messages.{position}.content"):
            source = block.get("source")
            if isinstance(source, Mapping) and source.get("type") == "file":
                raise unsupported(f"{place}.source.file_id", _SHARED)
            if block.get("type") == "container_upload":
                raise unsupported(f"{place}.file_id", _SHARED)


def _blocks(content: Any, place: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every block of some content, those inside other blocks too, with where it is."""
    if not isinstance(content, list):
        return
    for position, block in enumerate(content):
        if not isinstance(block, Mapping):
            continue
        here = f"{place}.{position}"
        yield here, block
        yield from _blocks(block.get("content"), f"{here}.content")
        source = block.get("source")
        if isinstance(source, Mapping):
            yield from _blocks(source.get("content"), f"{here}.source.content")
