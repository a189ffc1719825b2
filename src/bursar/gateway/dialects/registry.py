"""Every dialect there is, by the name a call carries."""

from collections.abc import Mapping
from typing import Final

from bursar.gateway.dialects import ChatDialect, Dialect, EmbeddingDialect
from bursar.gateway.dialects.anthropic_messages import AnthropicMessages
from bursar.gateway.dialects.openai_chat import OpenAIChat

OPENAI_CHAT: Final[ChatDialect] = OpenAIChat()
ANTHROPIC_MESSAGES: Final[ChatDialect] = AnthropicMessages()

CHAT_DIALECTS: Final[Mapping[str, ChatDialect]] = {
    dialect.name: dialect for dialect in (OPENAI_CHAT, ANTHROPIC_MESSAGES)
}
EMBEDDING_DIALECTS: Final[Mapping[str, EmbeddingDialect]] = {}
DIALECTS: Final[Mapping[str, Dialect]] = {**CHAT_DIALECTS, **EMBEDDING_DIALECTS}
