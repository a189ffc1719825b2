"""One attempt at Google's embeddings for a caller who speaks its dialect: the same bytes out."""

from typing import Final

import orjson

from bursar.adapters.providers import Attempt, PassThrough, Provider, broken_answer
from bursar.gateway.dialects import Call
from bursar.gateway.dialects.exchanges import WholeExchange

_VECTORS: Final = ("embedding", "embeddings")


class PassThroughEmbedding(WholeExchange):
    """Exchange whose both sides speak the Gemini API's embeddings. A batch is a hundred vectors at most."""

    def __init__(self, call: Call, provider: Provider, surface: PassThrough, attempt: Attempt) -> None:
        request = surface.edit(call.raw, attempt, stream=False, headers=call.headers)
        super().__init__(call, provider, attempt, request)
        self._read_usage_of = surface.usage

    def answer(self, status: int, body: bytes) -> bytes:
        """The body itself, once it is known to be an answer."""
        try:
            parsed = orjson.loads(body)
        except orjson.JSONDecodeError:
            raise broken_answer("The provider's answer is not JSON.") from None
        if not isinstance(parsed, dict):
            raise broken_answer("The provider's answer is not an object.")
        if parsed.get("error"):
            raise self.error(status, {}, body)
        if not any(isinstance(parsed.get(name), dict | list) for name in _VECTORS):
            raise broken_answer("The provider's answer has no embeddings.")
        usage = parsed.get("usageMetadata")
        if isinstance(usage, dict):
            self.measured.report(self._read_usage_of(usage, service_tier=None), final=True)
        self.measured.output_started = self.measured.terminal = True
        return body
