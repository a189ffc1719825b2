"""Every dialect there is, by the name a call carries."""

from collections.abc import Mapping
from typing import Final

from bursar.gateway.dialects import ChatDialect, Dialect, EmbeddingDialect
from bursar.gateway.dialects.anthropic_messages import AnthropicMessages
from bursar.gateway.dialects.gemini import Gemini
from bursar.gateway.dialects.gemini_embeddings import GeminiEmbeddings
from bursar.gateway.dialects.openai_chat import OpenAIChat
from bursar.gateway.dialects.openai_embeddings import OpenAIEmbeddings
from bursar.gateway.dialects.openai_images import OpenAIImages
from bursar.gateway.dialects.openai_responses import OpenAIResponses

OPENAI_CHAT: Final[ChatDialect] = OpenAIChat()
ANTHROPIC_MESSAGES: Final[ChatDialect] = AnthropicMessages()
OPENAI_RESPONSES: Final[ChatDialect] = OpenAIResponses()
GEMINI: Final[ChatDialect] = Gemini()
GEMINI_EMBEDDINGS: Final[EmbeddingDialect] = GeminiEmbeddings()
OPENAI_EMBEDDINGS: Final[EmbeddingDialect] = OpenAIEmbeddings()
OPENAI_IMAGES: Final[Dialect] = OpenAIImages()

CHAT_DIALECTS: Final[Mapping[str, ChatDialect]] = {
    dialect.name: dialect for dialect in (OPENAI_CHAT, ANTHROPIC_MESSAGES, GEMINI, OPENAI_RESPONSES)
}
EMBEDDING_DIALECTS: Final[Mapping[str, EmbeddingDialect]] = {
    dialect.name: dialect for dialect in (OPENAI_EMBEDDINGS, GEMINI_EMBEDDINGS)
}
DIALECTS: Final[Mapping[str, Dialect]] = {
    **CHAT_DIALECTS,
    **EMBEDDING_DIALECTS,
    OPENAI_IMAGES.name: OPENAI_IMAGES,
}
