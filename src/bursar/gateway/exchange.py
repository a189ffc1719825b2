"""One attempt at one provider, for one caller: the dialects of both sides brought together."""

from bursar.adapters.providers import Attempt, Deployment, Provider
from bursar.core.chat import BadRequest
from bursar.core.service import Service
from bursar.gateway.dialects import Call, Exchange, Measured
from bursar.gateway.dialects.embedded import TranslatedEmbedding
from bursar.gateway.dialects.registry import CHAT_DIALECTS, DIALECTS, EMBEDDING_DIALECTS
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
    surface = provider.passes.get(call.dialect)
    if surface is not None:
        return DIALECTS[call.dialect].passing(call, provider, surface, attempt)
    if call.service is Service.CHAT and provider.translator is not None:
        chat = CHAT_DIALECTS[call.dialect]
        return TranslatedExchange(chat, call, provider, provider.translator, attempt, created_s=created_s)
    if call.service is Service.EMBEDDINGS and provider.embedder is not None:
        embedding = EMBEDDING_DIALECTS[call.dialect]
        return TranslatedEmbedding(embedding, call, provider, provider.embedder, attempt)
    raise BadRequest(
        f"The model {call.model!r} cannot be asked at {call.endpoint}.",
        code=BadRequest.UNSUPPORTED,
        param="model",
    )
