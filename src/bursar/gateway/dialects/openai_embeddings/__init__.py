"""OpenAI's embeddings."""

from bursar.adapters.providers import Attempt, PassThrough, Provider
from bursar.core.embedding import EmbeddingAnswer, EmbeddingRequest
from bursar.gateway.dialects import Call, Exchange
from bursar.gateway.dialects.openai_chat.errors import error_body
from bursar.gateway.dialects.openai_embeddings.canonical import answer_body, canonical
from bursar.gateway.dialects.openai_embeddings.passing import PassThroughEmbedding
from bursar.gateway.dialects.openai_embeddings.reading import DIALECT, read


class OpenAIEmbeddings:
    """`POST /v1/embeddings`."""

    name = DIALECT
    read = staticmethod(read)
    error_body = staticmethod(error_body)

    def canonical_embedding(self, call: Call, provider: Provider) -> EmbeddingRequest:  # noqa: ARG002 - the protocol's signature
        return canonical(call)

    def embedding_body(self, call: Call, answer: EmbeddingAnswer) -> bytes:
        return answer_body(call, answer)

    def passing(self, call: Call, provider: Provider, surface: PassThrough, attempt: Attempt) -> Exchange:
        return PassThroughEmbedding(call, provider, surface, attempt)
