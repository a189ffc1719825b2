"""One attempt at a provider of another dialect than the caller's, for embeddings."""

from bursar.adapters.providers import Attempt, Embedder, Provider
from bursar.gateway.dialects import Call, EmbeddingDialect
from bursar.gateway.dialects.exchanges import WholeExchange


class TranslatedEmbedding(WholeExchange):
    """Exchange that reads the provider's vectors and writes the caller's answer."""

    def __init__(
        self, dialect: EmbeddingDialect, call: Call, provider: Provider, embedder: Embedder, attempt: Attempt
    ) -> None:
        asked = dialect.canonical_embedding(call, provider)
        super().__init__(call, provider, attempt, embedder.build(asked, attempt))
        self._asked = asked
        self._embedder = embedder
        self._dialect = dialect

    def answer(self, status: int, body: bytes) -> bytes:  # noqa: ARG002 - the protocol's signature
        """The provider's vectors in the caller's dialect."""
        read = self._embedder.read_answer(body, self._asked)
        measured = self.measured
        measured.report(read.usage, final=True)
        measured.provider_request_id = measured.provider_request_id or read.id
        measured.output_started = measured.terminal = True
        return self._dialect.embedding_body(self._call, read)
