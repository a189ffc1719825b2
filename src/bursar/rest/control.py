"""What every route is given: database, edge, knobs, keys."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated

from fastapi import Depends, Request

from bursar.adapters.ratecounters import RateCounters
from bursar.core.addresses import Networks
from bursar.db.engine import Database
from bursar.rest.access_tokens import KeyRing
from bursar.rest.edge import Edge
from bursar.rest.secret_text import Seal


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Knobs of the control plane, told by the entry point from its settings.

    `public_url`: where people reach it, without a slash at its end; links in mails begin with it.
    """

    key_prefix: str = "llm_sk_"
    requests_per_minute_default: int = 60
    margin_percent_default: Decimal = Decimal(20)
    public_url: str = "http://localhost:8080"
    trusted_proxies: Networks = field(default_factory=lambda: Networks(()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """The control plane's means.

    `database` connects as the api role. `counters`: the rate counters that gateways share, if they share any.
    `keys`: what access tokens are verified with.
    """

    database: Database
    edge: Edge
    seal: Seal
    policy: Policy
    counters: RateCounters | None = None
    keys: KeyRing = field(default_factory=KeyRing)

    async def close(self) -> None:
        """Let go of every connection."""
        await self.database.close()
        if self.counters is not None:
            await self.counters.close()


def control_of(request: Request) -> Control:
    control = request.app.state.control
    assert isinstance(control, Control)  # noqa: S101 - create_api put it there
    return control


Means = Annotated[Control, Depends(control_of)]
