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

_GEMINI_ENDPOINTS: Final[Mapping[Service, str]] = MappingProxyType(
    {
        Service.CHAT: "/v1beta/models/{model}:generateContent",
        Service.EMBEDDINGS: "/v1beta/models/{model}:embedContent",
    }
)
_GEMINI_PATHS: Final = "/v1beta/"


def endpoint_for(service: Service, model: str, asked: str) -> str:
    """Where somebody who asked at `asked` asks `model` for this: in his own dialect if it has a place."""
    if asked.startswith(_GEMINI_PATHS) and service in _GEMINI_ENDPOINTS:
        return _GEMINI_ENDPOINTS[service].format(model=model)
    return ENDPOINTS[service]


UNSAID: Final = frozenset({Service.CHAT})
"""What a model does of which nobody said anything."""
