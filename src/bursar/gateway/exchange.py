"""One attempt at one provider, for one caller: the dialects of both sides brought together."""

from typing import cast

from bursar.adapters.providers import Attempt, Deployment, PassThrough, Provider, Translator
from bursar.gateway.dialects import ChatCall, Exchange, Measured
from bursar.gateway.dialects.openai_stream import PassThroughExchange
from bursar.gateway.dialects.openai_translated import TranslatedExchange

__all__ = ["Exchange", "Measured", "open_exchange"]


def open_exchange(  # noqa: PLR0913 - one call per attempt, each argument from another owner
    call: ChatCall,
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
    if provider.dialect == call.dialect:
        return PassThroughExchange(call, cast("PassThrough", provider), attempt)
    return TranslatedExchange(call, cast("Translator", provider), attempt, created_s=created_s)
