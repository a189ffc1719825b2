"""The canonical form of an embedding request: what dialects are read into when it is translated.

As `core.chat` is for chats: a caller's dialect is read into `EmbeddingRequest`, a provider adapter builds
its own request from that; the provider's answer is read into `EmbeddingAnswer`, which the caller's dialect
writes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bursar.core.usage import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingRequest:
    """Texts to turn into vectors, one vector each, in order. `None` means the caller said nothing.

    An input is a text, or the tokens of one (OpenAI's token arrays: a provider with another tokenizer must
    refuse them). `task` is what the vectors are for, in Gemini's words (`RETRIEVAL_QUERY`), `title` the
    document's; `names` says what the caller called a field where that differs from its name here.
    """

    inputs: tuple[str | tuple[int, ...], ...]
    dimensions: int | None = None
    task: str | None = None
    title: str | None = None
    end_user: str | None = None
    names: Mapping[str, str] = field(default_factory=dict)

    def named(self, name: str) -> str:
        """What the caller called the field `name`: a refusal must speak his language."""
        return self.names.get(name, name)


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingAnswer:
    """One vector per input, in order; its numbers are as the provider wrote them.

    `model` as the provider names it, empty when it does not; `usage` None when it reported none.
    """

    vectors: Sequence[Sequence[Any]]
    usage: Usage | None
    model: str = ""
    id: str | None = None
