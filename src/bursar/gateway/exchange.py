"""One attempt at one provider, for one caller: the dialects of both sides brought together."""

from bursar.adapters.providers import Attempt, Deployment, Provider
from bursar.core.chat import BadRequest
from bursar.gateway.dialects import Call, Exchange, Measured
from bursar.gateway.dialects.registry import DIALECTS
from bursar.gateway.dialects.translated import TranslatedExchange

__all__ = ["Exchange", "Measured", "open_exchange"]


def open_exchange(  # noqa: PLR0913 - one call per attempt, each argument from another owner
    call: Call,
    provider: Provider,
    deployment: Deployment,
    secret: str,
    max_tokens: int | None,
    *,
    created_s: int = 0,
) -> Exchange:
    """Build the upstream request of `call`.

    `max_tokens` is a bound to put on the output, `None` to leave the caller's own (or none) in place;
    `created_s` the unix time written into translated answers. Raises `BadRequest` when the caller asked for
    something this provider cannot do.
    """
    attempt = Attempt(deployment=deployment, secret=secret, max_tokens=max_tokens)
    dialect = DIALECTS[call.dialect]
    surface = provider.passes.get(call.dialect)
    if surface is not None:
        return dialect.passing(call, provider, surface, attempt)
    if provider.translator is None:
        raise BadRequest(
            f"The model {call.model!r} cannot be asked at {call.endpoint}.",
            code=BadRequest.UNSUPPORTED,
            param="model",
        )
    return TranslatedExchange(dialect, call, provider, provider.translator, attempt, created_s=created_s)
