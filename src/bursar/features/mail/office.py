"""What the worker sends mails with: the servers, the brand, the seal of what waits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID

import orjson
import structlog

from bursar.adapters.mail import Mailer
from bursar.core.brand import Brand
from bursar.rest.edge import Edge
from bursar.rest.secret_text import Seal

State = Literal["waiting", "sent", "dead", "skipped"]

SHUNNED_FOR: Final = timedelta(seconds=60)
"""A server that could not be used is asked last for so long: no other mail waits for its silence."""

FIRST_SERVER_TRIES: Final = 3
"""So many tries go to the first server that can be used; then the servers take turns."""

log = structlog.get_logger()


class Servers:
    """The mail servers, in the order in which they are to be asked. The first one is the primary."""

    def __init__(self, mailers: Sequence[Mailer]) -> None:
        self._mailers = tuple(mailers)
        self._shunned_until: dict[str, datetime] = {}

    def __len__(self) -> int:
        return len(self._mailers)

    def in_order(self, attempt: int, now: datetime) -> Sequence[Mailer]:
        """`attempt`: 1 the first time. Sorting is stable: those that can be used keep their order."""
        turn = attempt - FIRST_SERVER_TRIES
        turned = self._mailers[::-1] if turn > 0 and turn % 2 else self._mailers
        return sorted(turned, key=lambda one: self._shunned_until.get(one.name, now) > now)

    def shun(self, mailer: Mailer, now: datetime) -> None:
        self._shunned_until[mailer.name] = now + SHUNNED_FOR

    async def close(self) -> None:
        for mailer in self._mailers:
            await mailer.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class PostOffice:
    """Attributes: `seal` keeps values of templates unreadable in the database until they are sent."""

    edge: Edge
    seal: Seal
    brand: Brand
    servers: Servers = field(default_factory=lambda: Servers(()))

    def sealed(self, values: Mapping[str, Any]) -> bytes:
        return self.seal.seal(orjson.dumps(values))

    def opened(self, sealed: bytes) -> Mapping[str, Any]:
        """Raises `db.secrets.SealBroken`: sealed with another secret key."""
        values: Mapping[str, Any] = orjson.loads(self.seal.open(sealed))
        return values

    def message_id(self, mail_id: UUID) -> str:
        """The name a mail has in the world, the same at every try."""
        return f"<{mail_id.hex}@{self.brand.domain}>"
