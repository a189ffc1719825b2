"""What a model can be asked to do. It decides which endpoint serves it and what of it must have a price."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Service(StrEnum):
    """One kind of work; the value is its name in JSON and in the database."""

    CHAT = "chat"
    EMBEDDINGS = "embeddings"
    IMAGES = "images"


ENDPOINTS: Final[Mapping[Service, str]] = MappingProxyType(
    {
        Service.CHAT: "/v1/chat/completions",
        Service.EMBEDDINGS: "/v1/embeddings",
        Service.IMAGES: "/v1/images/generations",
    }
)
"""Where callers of OpenAI's dialects ask for each."""

UNSAID: Final = frozenset({Service.CHAT})
"""What a model does of which nobody said anything."""
