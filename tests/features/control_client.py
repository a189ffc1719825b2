"""What tests of the control plane talk with."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx2

from bursar.core.booking import UsageRow
from bursar.rest.edge import SystemClock

Use = Callable[..., Awaitable[UsageRow]]


class SettableClock:
    """The machine's clock, moved by `ahead_ms`."""

    def __init__(self) -> None:
        self.ahead_ms = 0

    def now_ms(self) -> int:
        return SystemClock().now_ms() + self.ahead_ms

    def monotonic_ms(self) -> int:
        return SystemClock().monotonic_ms() + self.ahead_ms


@dataclass(frozen=True, slots=True)
class Client:
    """Speaks to the API as one operator, and tells what it got."""

    http: httpx2.AsyncClient

    async def call(
        self, method: str, path: str, body: Any = None, *, status: int = 200, key: str | None = None
    ) -> Any:
        headers = {"idempotency-key": key} if key else {}
        answer = await self.http.request(method, "/api/v1" + path, json=body, headers=headers)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def get(self, path: str, status: int = 200) -> Any:
        return await self.call("GET", path, status=status)

    async def post(self, path: str, body: Any = None, status: int = 201, key: str | None = None) -> Any:
        return await self.call("POST", path, {} if body is None else body, status=status, key=key)

    async def refused(self, method: str, path: str, body: Any = None, key: str | None = None) -> str:
        """The status and code of a refusal, such as `404 key_not_found`."""
        headers = {"idempotency-key": key} if key else {}
        answer = await self.http.request(method, "/api/v1" + path, json=body, headers=headers)
        assert answer.headers["content-type"] == "application/problem+json", answer.text
        return f"{answer.status_code} {answer.json()['code']}"
