"""Refusals and health reach the books, also when PostgreSQL was away, and nobody waits for it."""

import asyncio
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest

from bursar.gateway import health
from bursar.gateway.health import Teller, tell_books
from bursar.gateway.routing import Refusal, Routing

ONE, PROVIDER, PROCESS = uuid4(), uuid4(), uuid4()
WAIT_S = 20


class Books:
    """Books that are away for the first so many questions."""

    unavailable = ConnectionError

    def __init__(self, away: int = 0) -> None:
        self.away = away
        self.heard: list[tuple[str, Any]] = []

    def _hear(self, what: str, told: Any) -> None:
        if self.away:
            self.away -= 1
            raise ConnectionError
        self.heard.append((what, told))

    async def credential_refused(
        self, credential_id: UUID, _provider_id: UUID, kind: str, upstream_status: int
    ) -> None:
        self._hear("refused", (credential_id, kind, upstream_status))

    async def credential_accepted(self, credential_id: UUID) -> None:
        self._hear("accepted", credential_id)

    async def report_health(self, process_id: UUID, rows: bytes) -> None:
        self._hear("health", (process_id, orjson.loads(rows)))


class Reports(Routing):
    """Routing whose lanes are said to be so."""

    def __init__(self, *reports: list[dict[str, Any]]) -> None:
        super().__init__()
        self.reports = list(reports)

    def report(self, now_ms: int) -> list[dict[str, Any]]:  # noqa: ARG002 - time plays no part here
        return self.reports.pop(0) if len(self.reports) > 1 else self.reports[0]


def gateway(books: Books, routing: Routing) -> Any:
    clock = SimpleNamespace(monotonic_ms=lambda: 1)
    return SimpleNamespace(
        books=books, routing=routing, clock=clock, process=SimpleNamespace(process_id=PROCESS)
    )


class TestATeller:
    async def test_tells_a_refusal_before_it_was_accepted_again(self) -> None:
        books, routing = Books(), Routing()
        routing.refused[ONE] = Refusal(PROVIDER, "billing", 402)
        routing.accepted.add(ONE)
        await Teller(gateway(books, routing)).tell_refusals()
        assert books.heard == [("refused", (ONE, "billing", 402)), ("accepted", ONE)]
        assert (routing.refused, routing.accepted) == ({}, set())

    async def test_keeps_what_the_books_did_not_hear(self) -> None:
        books, routing = Books(away=1), Routing()
        routing.refused[ONE] = Refusal(PROVIDER, "auth", 401)
        with pytest.raises(ConnectionError):
            await Teller(gateway(books, routing)).tell_refusals()
        assert ONE in routing.refused
        await Teller(gateway(books, routing)).tell_refusals()
        assert books.heard == [("refused", (ONE, "auth", 401))]

    async def test_says_once_that_there_is_nothing_to_say(self) -> None:
        books = Books()
        teller = Teller(gateway(books, Reports([], [{"calls": 1}], [], [])))
        for _ in range(4):
            await teller.report()
        assert [rows for _, (_, rows) in books.heard] == [[{"calls": 1}], []]


class TestTelling:
    async def test_goes_on_after_the_books_were_away(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(health, "TELL_INTERVAL_S", 0.001)
        books, routing = Books(away=3), Reports([{"calls": 1}])
        routing.refused[ONE] = Refusal(PROVIDER, "auth", 401)
        telling = asyncio.create_task(tell_books(gateway(books, routing)))
        async with asyncio.timeout(WAIT_S):
            while {what for what, _ in books.heard} != {"refused", "health"}:
                await asyncio.sleep(0.001)
        telling.cancel()
        assert books.heard[0] == ("refused", (ONE, "auth", 401))
