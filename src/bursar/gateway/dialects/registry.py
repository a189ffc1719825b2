"""Every dialect there is, by the name a call carries."""

from collections.abc import Mapping
from typing import Final

from bursar.gateway.dialects import Dialect
from bursar.gateway.dialects.openai_chat import OpenAIChat

OPENAI_CHAT: Final[Dialect] = OpenAIChat()

DIALECTS: Final[Mapping[str, Dialect]] = {dialect.name: dialect for dialect in (OPENAI_CHAT,)}
