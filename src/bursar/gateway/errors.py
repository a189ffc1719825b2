"""What the gateway refuses, and how it says so. The edge maps these once, in the caller's own dialect."""

from collections.abc import Mapping, Sequence
from typing import Any


class GatewayError(Exception):
    """A refusal or failure the caller is told about.

    Attributes:
        status: HTTP status.
        code: stable machine-readable code, part of the public contract.
        message: one sentence for a person; never a credential or an internal address.
        param: the request property at fault, when there is one.
        headers: extra response headers, such as `retry-after`.
        extra: extra members of the error object, such as `spendable`.
    """

    def __init__(  # noqa: PLR0913 - the parts of one error object
        self,
        status: int,
        code: str,
        message: str,
        *,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.param = param
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})


def invalid_api_key() -> GatewayError:
    return GatewayError(401, "invalid_api_key", "The API key is missing, unknown, revoked or expired.")


def insufficient_balance(*, spendable: str, estimate: str, currency: str) -> GatewayError:
    return GatewayError(
        402,
        "insufficient_balance",
        f"This request may cost up to {estimate} {currency}; {spendable} {currency} can be spent.",
        extra={"spendable": spendable, "estimate": estimate, "currency": currency},
    )


def model_not_found(name: str, successor: str | None = None) -> GatewayError:
    hint = f" It was retired; use {successor!r} instead." if successor else ""
    extra = {"successor": successor} if successor else {}
    return GatewayError(
        404, "model_not_found", f"The model {name!r} does not exist.{hint}", param="model", extra=extra
    )


def wrong_endpoint(name: str, asked: str, endpoints: Sequence[str]) -> GatewayError:
    """The model is not for this; the endpoints it can be asked at are named."""
    places = " or ".join(endpoints) or "none"
    message = f"The model {name!r} cannot be asked at {asked}, but at: {places}."
    return GatewayError(400, "wrong_endpoint", message, param="model", extra={"endpoints": list(endpoints)})


def model_not_allowed(name: str) -> GatewayError:
    return GatewayError(403, "model_not_allowed", f"This key may not use the model {name!r}.", param="model")


def model_not_priced(name: str) -> GatewayError:
    return GatewayError(
        503, "model_not_priced", f"The model {name!r} has no price in this currency yet.", param="model"
    )


def searches_not_priced(name: str) -> GatewayError:
    return GatewayError(
        422, "unsupported_parameter", f"Searches by the model {name!r} have no price here.", param="tools"
    )


def no_such_route(name: str) -> GatewayError:
    return GatewayError(
        422,
        "no_such_route",
        f"The model {name!r} is not served by the providers or in the regions that this request names.",
        param="x-bursar-providers",
    )


def none_in_rotation() -> GatewayError:
    """Every credential was refused: ours to mend, and told without asking a provider again."""
    return GatewayError(
        503,
        "provider_error",
        "The provider of this model cannot serve the request at the moment.",
        headers={"retry-after": "30"},
    )


def rate_limited(retry_after_ms: int) -> GatewayError:
    seconds = max(1, -(-retry_after_ms // 1000))
    return GatewayError(
        429,
        "rate_limit_exceeded",
        f"Too many requests with this key; retry in {seconds} s.",
        headers={"retry-after": str(seconds)},
    )


def books_unavailable(retry_after_s: int = 5) -> GatewayError:
    return GatewayError(
        503,
        "books_unavailable",
        "New requests cannot be funded at the moment; nothing was charged. Retry shortly.",
        headers={"retry-after": str(retry_after_s)},
    )


def overloaded() -> GatewayError:
    return GatewayError(
        503, "overloaded", "The gateway is at its limit; retry shortly.", headers={"retry-after": "1"}
    )


def body_too_large(limit_bytes: int) -> GatewayError:
    return GatewayError(413, "request_too_large", f"The request body is larger than {limit_bytes} bytes.")


def body_too_slow() -> GatewayError:
    return GatewayError(
        408, "request_timeout", "The request body did not arrive in time.", headers={"connection": "close"}
    )


def internal_error() -> GatewayError:
    return GatewayError(500, "internal_error", "Something went wrong here; it was logged.")
