"""Endpoints in memory."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bursar.adapters.webhooks import Answer, NotSent
from bursar.core.webhooks import UrlRefused, check_url


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A message as it arrived."""

    url: str
    body: bytes
    headers: Mapping[str, str]


@dataclass(slots=True)
class FakeSender:
    """`answers`: what each address says; one that is not there cannot be reached."""

    answers: dict[str, Answer] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)

    async def send(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Raises `NotSent`."""
        try:
            check_url(url)
        except UrlRefused as error:
            raise NotSent(f"the address {error}") from error
        if url not in self.answers:
            raise NotSent("no connection: nobody is there")
        self.received.append(Received(url=url, body=body, headers=headers))
        return self.answers[url]
