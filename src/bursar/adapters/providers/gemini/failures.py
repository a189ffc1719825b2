"""Errors of the Gemini API (`google.rpc.Status` as JSON), told in the words that all adapters share.

Its codes need a second look: an invalid key is a 400, an empty prepaid account a 429 like any rate limit,
and a rate limit speaks of billing details. Source: https://ai.google.dev/gemini-api/docs/troubleshooting
and the error model of Google's APIs (`google.rpc.Code`, `ErrorInfo`, `RetryInfo`, `BadRequest`).
"""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from bursar.adapters.providers import Attempt, ProviderFailure
from bursar.adapters.providers.failures import FOUND_IN_STREAM, UpstreamError, classify

_EMPTY_ACCOUNT = re.compile(
    r"prepay(?:ment)? (?:credits|account)|credits? (?:are|is|has been) (?:depleted|exhausted)"
    r"|payment_required|enable billing|billing (?:account|has not been|is (?:not|disabled))"
    r"|spend(?:ing)?[- ](?:cap|limit)",
    re.IGNORECASE,
)
_NOT_FOR_US = re.compile(r"location is not supported|API key|has not been used in project", re.IGNORECASE)
_FORBIDDEN_CONTENT = re.compile(
    r"responsible ai|safety (?:policy|settings|filter)|sensitive words", re.IGNORECASE
)
_RETRY_DELAY = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,9})?)s")
_KEY_REASONS: Final = frozenset({"API_KEY_INVALID", "API_KEY_SERVICE_BLOCKED", "SERVICE_DISABLED"})
_REFUSED: Final = frozenset({400, 403, 429})
_HTTP_OF: Final[Mapping[str, int]] = {
    "INVALID_ARGUMENT": 400, "FAILED_PRECONDITION": 400, "OUT_OF_RANGE": 400, "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403, "NOT_FOUND": 404, "ABORTED": 409, "RESOURCE_EXHAUSTED": 429, "CANCELLED": 500,
    "INTERNAL": 500, "UNKNOWN": 500, "UNAVAILABLE": 503, "DEADLINE_EXCEEDED": 504,
}  # fmt: skip


def failure_of(status: int, headers: Mapping[str, str], body: bytes, attempt: Attempt) -> ProviderFailure:
    """Who must act on this error, and what the caller may read of it."""
    error = _error(body)
    word = _text(error.get("status"))
    if status == FOUND_IN_STREAM:
        status = _told_status(error, word)
    message = _text(error.get("message"))
    details = list(_details(error))
    delay_s = _retry_delay_s(details)
    if delay_s is not None and "retry-after" not in headers:
        headers = {**headers, "retry-after": str(delay_s)}
    code = _code(status, word, message, details)
    if code == "rate_limit_exceeded":
        message = ""  # it may speak of billing, which is not what it is about
    told = UpstreamError(message, code=code, param=_field(details))
    return classify(told, status, headers, attempt)


def _error(body: bytes) -> Mapping[str, Any]:
    """The error object; a stream that is no event stream wraps it in an array."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    if isinstance(parsed, list) and parsed:
        parsed = parsed[0]
    error = parsed.get("error") if isinstance(parsed, Mapping) else None
    return error if isinstance(error, Mapping) else {}


def _code(status: int, word: str, message: str, details: list[Mapping[str, Any]]) -> str:
    """A code of the shared vocabulary, where Google's own does not say enough."""
    reasons = {detail.get("reason") for detail in details}
    if status in _REFUSED and (_EMPTY_ACCOUNT.search(message) or "BILLING_DISABLED" in reasons):
        return "billing_error"
    if status in {400, 403} and (reasons & _KEY_REASONS or _NOT_FOR_US.search(message)):
        return "invalid_api_key"
    if word == "RESOURCE_EXHAUSTED" and status == 429:  # noqa: PLR2004 - HTTP: too many requests
        return "rate_limit_exceeded"
    if word == "INVALID_ARGUMENT" and _FORBIDDEN_CONTENT.search(message):
        return "content_policy_violation"
    return word.lower()


def _told_status(error: Mapping[str, Any], word: str) -> int:
    """The status an error inside a stream would have had."""
    code = error.get("code")
    if isinstance(code, int) and 400 <= code <= 599:  # noqa: PLR2004 - HTTP's errors
        return code
    return _HTTP_OF.get(word, 500)


def _details(error: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    listed = error.get("details")
    for detail in listed if isinstance(listed, list) else ():
        if isinstance(detail, Mapping):
            yield detail


def _retry_delay_s(details: list[Mapping[str, Any]]) -> int | None:
    """Seconds of `RetryInfo`, rounded up."""
    for detail in details:
        match = _RETRY_DELAY.fullmatch(_text(detail.get("retryDelay")))
        if match is not None:
            return math.ceil(float(match[1]))
    return None


def _field(details: list[Mapping[str, Any]]) -> str | None:
    """The property at fault, where `BadRequest` names one."""
    for detail in details:
        violations = detail.get("fieldViolations")
        first = violations[0] if isinstance(violations, list) and violations else None
        if isinstance(first, Mapping) and isinstance(first.get("field"), str):
            return str(first["field"])
    return None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
