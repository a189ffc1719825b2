"""The HTTP clients under test, with what every call needs filled in."""

from collections.abc import Callable, Mapping
from typing import Any

from raw_server import RawServer

from bursar.adapters.upstream import Answer, Timeouts, Upstream

PATIENT = Timeouts(connect_ms=5_000, first_byte_ms=20_000, idle_ms=20_000)


class Client:
    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self._answers: list[Answer] = []

    async def open(
        self,
        server: RawServer | str,
        body: bytes = b"{}",
        *,
        headers: Mapping[str, str] | None = None,
        timeouts: Timeouts = PATIENT,
    ) -> Answer:
        url = server if isinstance(server, str) else server.url
        answer = await self.upstream.open(url, headers or {}, body, timeouts)
        self._answers.append(answer)
        return answer

    async def close(self) -> None:
        """Close what a test left open, and the client."""
        for answer in self._answers:
            answer.close()
        await self.upstream.close()

    async def ask(self, server: RawServer | str, body: bytes = b"{}", **more: Any) -> bytes:
        """The whole body of the answer."""
        answer = await self.open(server, body, **more)
        return await answer.read(2**20)


Making = Callable[..., Client]
