"""OpenAI's Responses API as a surface that callers' requests pass through; others speak it too."""

from collections.abc import Mapping
from typing import Any, Final

from bursar.adapters.providers import Attempt, Rule, UpstreamRequest
from bursar.adapters.providers.openai_responses.dispositions import DISPOSITION
from bursar.adapters.providers.openai_responses.rules import is_foreign, refuse_unsupported
from bursar.adapters.providers.openai_responses.usage import read_usage
from bursar.adapters.providers.openai_sending import Send, send
from bursar.core.usage import Usage

DIALECT: Final = "openai_responses"
COUNTS: Final = "openai_response_counts"
PATH: Final = "/responses"
COUNTED: Final = (
    "input", "instructions", "parallel_tool_calls", "personality", "reasoning", "text", "tool_choice",
    "tools", "truncation",
)  # fmt: skip
"""What of a request makes up its prompt, so far as OpenAI's own count takes it (schema `TokenCountsBody`)."""


class ResponsesSurface:
    """`POST /responses` of a provider that speaks it as OpenAI does; `rules`: what it refuses."""

    def __init__(self, send: Send = send, rules: Mapping[str, Rule] = DISPOSITION) -> None:
        self._send = send
        self._rules = rules

    def edit(
        self,
        raw: Mapping[str, Any],
        attempt: Attempt,
        *,
        stream: bool,  # noqa: ARG002 - usage comes unasked
        headers: Mapping[str, str],  # noqa: ARG002 - this dialect has none
    ) -> UpstreamRequest:
        """The caller's request with our model name and the output bound, nothing kept at the provider.

        Reasoning that another provider signed is left out.

        What came before (`previous_response_id`) is in `raw["input"]` already. Raises `BadRequest` for what
        costs more than the usage tells.
        """
        refuse_unsupported(raw, self._rules, unknown_passes=True)
        body = {name: value for name, value in raw.items() if name != "previous_response_id"}
        body |= {"model": attempt.deployment.provider_model, "store": False, "input": _readable(raw["input"])}
        self._bound(body, attempt)
        return self._send(PATH, body, attempt)

    def usage(self, raw: Mapping[str, Any], *, service_tier: str | None) -> Usage | None:
        return read_usage(raw, service_tier=service_tier)

    def _bound(self, body: dict[str, Any], attempt: Attempt) -> None:
        bounds = [] if attempt.max_tokens is None else [attempt.max_tokens]
        given = body.get("max_output_tokens")
        if given is not None:
            bounds += [given, attempt.deployment.output_tokens_max]
        if bounds:
            body["max_output_tokens"] = min(bounds)


class ResponseCounts(ResponsesSurface):
    """`POST /responses/input_tokens`: the tokens of a prompt that is not asked."""

    def edit(
        self,
        raw: Mapping[str, Any],
        attempt: Attempt,
        *,
        stream: bool,  # noqa: ARG002 - a count is told whole
        headers: Mapping[str, str],  # noqa: ARG002 - this dialect has none
    ) -> UpstreamRequest:
        refuse_unsupported(raw, self._rules, unknown_passes=True)
        prompt = {name: raw[name] for name in COUNTED if raw.get(name) is not None}
        prompt |= {"model": attempt.deployment.provider_model, "input": _readable(raw["input"])}
        return self._send(f"{PATH}/input_tokens", prompt, attempt)


def _readable(given: Any) -> Any:
    """The input without what the provider's models cannot read back."""
    if isinstance(given, str) or not any(is_foreign(item) for item in given):
        return given
    return [item for item in given if not is_foreign(item)]
