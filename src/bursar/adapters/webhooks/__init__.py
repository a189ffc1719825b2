"""Webhooks: a message carried to an address that a stranger named.

The port. `pinned` carries it over HTTP; `fake` keeps it. Both pass the same contract tests
(`tests/adapters/webhooks`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


class NotSent(Exception):
    """No answer came; the message says why, in words that the endpoint's owner may read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the endpoint said. `excerpt`: how its body begins. `retry_after_s`: when it wants the next try."""

    status: int
    excerpt: str = ""
    retry_after_s: int | None = None


class Sender(Protocol):
    """Sends once; trying again is the caller's business."""

    async def send(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Post a message.

        Raises:
            NotSent: also when the address is none that a stranger may name.
        """
        ...
