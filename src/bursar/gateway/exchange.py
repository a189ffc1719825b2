"""One attempt at one provider, for one caller: the dialects of both sides brought together."""

from bursar.adapters.providers import Deployment, PassThrough, Provider
from bursar.gateway.dialects import ChatCall, Exchange, Measured
from bursar.gateway.dialects.openai_stream import PassThroughExchange

__all__ = ["Exchange", "Measured", "open_exchange"]


def open_exchange(
    call: ChatCall, provider: Provider, deployment: Deployment, secret: str, max_tokens: int | None
) -> Exchange:
    """Build the upstream request of `call`.

    `max_tokens` is a bound to put on the output, `None` to leave the caller's own (or none) in place. Raises
    `BadRequest` when the caller asked for something this provider cannot do.
    """
    if provider.dialect == call.dialect and isinstance(provider, PassThrough):
        return PassThroughExchange(call, provider, deployment, secret=secret, max_tokens=max_tokens)
    raise NotImplementedError
