"""Errors in OpenAI's shape (`{"error": {message, type, param, code}}`) and the rules all providers share."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import orjson

from bursar.adapters.providers import Attempt, FailureKind, ProviderFailure

MESSAGE_CHARACTERS_MAX = 500
"""Enough to say what is wrong with a request; an upstream's stack trace is not."""
RETRY_AFTER_S_MAX = 3600
OUR_TROUBLE = "The provider of this model cannot serve the request at the moment."

_BILLING_CODES = frozenset({
    "insufficient_quota", "billing_error", "billing_hard_limit_reached", "billing_not_active",
    "payment_required", "insufficient_balance", "insufficient_credits", "credit_balance_too_low",
    "enforced_spend_limit_reached", "contract_spend_limit_reached", "account_deactivated",
})  # fmt: skip
_BILLING_WORDS = re.compile(
    r"credit balance is too low|exceeded your current quota|billing"
    r"|insufficient (?:balance|credit|fund|quota)",
    re.IGNORECASE,
)
_CONTENT_CODES = frozenset({
    "content_policy_violation", "content_filter", "moderation_blocked", "responsibleaipolicyviolation",
    "content_policy",
})  # fmt: skip
_AUTH_CODES = frozenset({"invalid_api_key", "authentication_error", "permission_error"})
_SECRETS = re.compile(
    r"(?:sk|pk|rk|xai|gsk|org|proj|key|Bearer)[-_ ][A-Za-z0-9*._\-]{6,}"
    r"|eyJ[A-Za-z0-9_\-.]{10,}|AIza[A-Za-z0-9_\-]{10,}"
)
_PLACES = re.compile(
    r"[a-z][a-z0-9+.\-]*://[^\s\"'<>)\]]+"
    r"|\b(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?\b"
    r"|\[?\b(?:[0-9a-f]{0,4}:){3,7}[0-9a-f]{0,4}\]?(?::\d+)?"
    r"|\b(?:[a-z0-9\-]+\.)+(?:com|net|org|io|ai|dev|cloud|cn|local|internal|lan|svc|corp|example|test)\b(?::\d+)?"
    r"|\blocalhost(?::\d+)?|\b[a-z0-9][a-z0-9\-.]*:\d{2,5}\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class UpstreamError:
    """What an error body said, before anyone decided what it means."""

    message: str
    type: str = ""
    code: str = ""
    param: str | None = None


def read_error(body: bytes) -> UpstreamError:
    """The error an OpenAI-like body carries; servers also write it flat or as a bare string."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return UpstreamError("")
    return error_of(parsed)


def error_of(parsed: object) -> UpstreamError:
    """The same from a parsed body or a stream event."""
    if not isinstance(parsed, dict):
        return UpstreamError("")
    error = parsed.get("error", parsed)
    if isinstance(error, str):
        return UpstreamError(error)
    if not isinstance(error, dict):
        return UpstreamError("")
    return UpstreamError(
        message=_text(error.get("message") or error.get("detail")),
        type=_text(error.get("type")),
        code=_text(error.get("code")),
        param=error.get("param") if isinstance(error.get("param"), str) else None,
    )


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int) else ""


def classify(
    error: UpstreamError, status: int, headers: Mapping[str, str], attempt: Attempt
) -> ProviderFailure:
    """Who must act on this error, and what the caller may read of it."""
    if status == FOUND_IN_STREAM:
        status = _status_in_stream(error)
    kind = _kind(error, status)
    shown_status, code, retryable = _SHOWN[kind]
    keeps_message = kind in {"bad_request", "content"}
    if keeps_message and status in {400, 413, 422}:
        shown_status = status
    return ProviderFailure(
        kind=kind,
        status=shown_status,
        code=_plain_code(error.code) or code if keeps_message else code,
        message=sanitise(error.message, attempt) if keeps_message else _MESSAGE[kind],
        retry_after_s=retry_after_s(headers) if shown_status == _UNAVAILABLE else None,
        retryable=retryable,
        param=_plain_param(error.param, attempt) if keeps_message else None,
        upstream_status=status,
    )


FOUND_IN_STREAM = 200
"""Status of an error that came inside an answer which began well."""
_STATUS_OF_WORD = {
    "invalid_request_error": 400, "authentication_error": 401, "billing_error": 402, "permission_error": 403,
    "not_found_error": 404, "request_too_large": 413, "rate_limit_error": 429, "rate_limit_exceeded": 429,
    "api_error": 500, "server_error": 500, "timeout_error": 504, "overloaded_error": 529,
}  # fmt: skip
"""HTTP status that goes with an error's type or code: inside a stream only these are told."""
_FAILED = 500
_UNAVAILABLE = 503
_SHOWN: dict[FailureKind, tuple[int, str, bool]] = {
    "auth": (502, "provider_error", True),
    "billing": (502, "provider_error", True),
    "rate_limited": (503, "provider_rate_limited", True),
    "bad_request": (400, "invalid_request_error", False),
    "overloaded": (503, "provider_overloaded", True),
    "server": (502, "provider_error", True),
    "not_found": (502, "provider_error", True),
    "content": (400, "content_policy_violation", False),
}
"""Kind → status and code for the caller, and whether another credential or provider may do better."""
_MESSAGE: dict[FailureKind, str] = {
    "auth": OUR_TROUBLE,
    "billing": OUR_TROUBLE,
    "rate_limited": "The provider of this model is receiving too many requests; try again shortly.",
    "bad_request": "",
    "overloaded": "The provider of this model is overloaded; try again shortly.",
    "server": "The provider of this model failed to answer.",
    "not_found": "The provider of this model does not offer it at the moment.",
    "content": "",
}
_KIND_OF_STATUS: dict[int, FailureKind] = {
    401: "auth", 402: "billing", 403: "auth", 404: "not_found", 408: "server", 409: "server",
    410: "not_found", 425: "server", 429: "rate_limited", 503: "overloaded", 529: "overloaded",
}  # fmt: skip


def _status_in_stream(error: UpstreamError) -> int:
    if error.code.isascii() and error.code.isdigit():
        return int(error.code[:3])
    return _STATUS_OF_WORD.get(error.code) or _STATUS_OF_WORD.get(error.type) or _FAILED


def _kind(error: UpstreamError, status: int) -> FailureKind:
    words = {error.code.lower(), error.type.lower()}
    if words & _BILLING_CODES or (status in {400, 403, 429} and _BILLING_WORDS.search(error.message)):
        return "billing"
    if words & _CONTENT_CODES:
        return "content"
    if words & _AUTH_CODES:
        return "auth"
    if "overloaded_error" in words:
        return "overloaded"
    known = _KIND_OF_STATUS.get(status)
    if known is not None:
        return known
    return "bad_request" if 400 <= status < 500 else "server"  # noqa: PLR2004 - the HTTP class of client errors


def _plain_param(param: str | None, attempt: Attempt) -> str | None:
    """The property at fault, unless the provider wrote something private in its place."""
    return param if param is not None and sanitise(param, attempt) == param else None


def _plain_code(code: str) -> str:
    return code if re.fullmatch(r"[a-z][a-z0-9_.]{0,63}", code) else ""


def sanitise(message: str, attempt: Attempt) -> str:
    """`message` without credentials, addresses or host names, shortened; never empty."""
    base_url = attempt.deployment.base_url
    host = urlsplit(base_url).hostname or ""
    for private in filter(None, (attempt.secret, base_url, host)):
        message = message.replace(private, "…")
    message = _PLACES.sub("…", _SECRETS.sub("…", message))
    message = " ".join("".join(c if c.isprintable() else " " for c in message).split())
    if len(message) > MESSAGE_CHARACTERS_MAX:
        message = message[:MESSAGE_CHARACTERS_MAX] + "…"
    return message or "The provider of this model refused the request."


def retry_after_s(headers: Mapping[str, str]) -> int | None:
    """Seconds of a `Retry-After` header (whole seconds only), bounded; header names in lower case."""
    value = headers.get("retry-after", headers.get("Retry-After", "")).strip()
    if not (value.isascii() and value.isdigit()):
        return None
    return min(int(value[:9]), RETRY_AFTER_S_MAX)
