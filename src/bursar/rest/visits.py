"""From where somebody who is not signed in yet asks."""

from dataclasses import dataclass
from typing import Annotated

import orjson
import sqlalchemy as sa
from fastapi import Depends, Request

from bursar.core.addresses import network_of
from bursar.core.messages import Language
from bursar.rest.callers import address_of
from bursar.rest.control import Means
from bursar.rest.problems import language_for


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """`address`: "" when it cannot be known."""

    address: str
    user_agent: str
    language: Language

    @property
    def network(self) -> str:
        return network_of(self.address)

    def as_actor(self, person: sa.RowMapping | None = None) -> str:
        """What the audit log keeps of who asks, as JSON; `person`: who he turned out to be."""
        said = {"kind": "visitor", "address": self.address or None}
        if person is not None:
            kind = "member" if person["operator_role"] is None else "operator"
            said |= {"kind": kind, "id": str(person["id"]), "name": person["email"]}
        return orjson.dumps(said).decode()


async def visit(request: Request, control: Means) -> Visit:
    address = address_of(request, control)
    return Visit(
        address="" if address is None else str(address),
        user_agent=request.headers.get("user-agent", ""),
        language=language_for(request),
    )


Visiting = Annotated[Visit, Depends(visit)]
