"""What every route is given: database, edge, knobs, keys."""

from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Annotated

from fastapi import Depends, Request

from bursar.adapters.captcha import Captcha
from bursar.adapters.dns import TxtRecords
from bursar.adapters.identity import Identities, Source
from bursar.adapters.ratecounters import RateCounters
from bursar.adapters.ratecounters.memory import MemoryCounters
from bursar.core.addresses import Networks
from bursar.core.brand import Brand
from bursar.db.engine import Database
from bursar.rest.access_tokens import KeyRing
from bursar.rest.edge import Edge
from bursar.rest.passwords import Passwords
from bursar.rest.secret_text import Seal


@dataclass(frozen=True, slots=True, kw_only=True)
class SignUpPolicy:
    """Who may open an account by himself, and with what.

    Attributes:
        trial_credit: in major units of `currency`; given once the mail address is verified.
        per_hour_per_network, per_hour_per_domain: sign-ups. Domains where everybody has his mail count for
            nobody.
        refused_domains: of mail addresses, with all below them, besides the disposable ones known.
        captcha_site_key: what the page shows its puzzle with; not a secret.
    """

    is_open: bool = True
    terms_version: str = "1"
    privacy_version: str = "1"
    currency: str = "USD"
    trial_credit: Decimal = Decimal(0)
    per_hour_per_network: int = 20
    per_hour_per_domain: int = 60
    refused_domains: frozenset[str] = frozenset()
    captcha_site_key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Knobs of the control plane, told by the entry point from its settings.

    `public_url`: where people reach it, without a slash at its end; links in mails begin with it.
    `brand`: as whom mails are sent.
    `operator_addresses`: where operators may work from; empty: anywhere.
    `erasure_grace`: how long a deletion can be taken back.
    `origins`: whose pages besides our own may call with a browser's cookies.
    `webhooks_to_loopback`: for development: webhooks may go to this machine, and by http.
    """

    key_prefix: str = "llm_sk_"
    requests_per_minute_default: int = 60
    margin_percent_default: Decimal = Decimal(20)
    public_url: str = "http://localhost:8080"
    brand: Brand = field(default_factory=Brand)
    organisations_per_person_max: int = 5
    trusted_proxies: Networks = field(default_factory=lambda: Networks(()))
    operator_addresses: Networks = field(default_factory=lambda: Networks(()))
    origins: tuple[str, ...] = ()
    webhooks_to_loopback: bool = False
    sign_up: SignUpPolicy = field(default_factory=SignUpPolicy)
    erasure_grace: timedelta = timedelta(days=14)


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """The control plane's means.

    `database` connects as the api role. `counters`: the rate counters that gateways share, if they share any.
    `keys`: what access tokens are verified with. `tries`: counts strangers' tries when nothing is shared.
    `captcha`: asked at sign-up; None: nobody is. `identities`: asks elsewhere who somebody is. `sources`:
    where everybody may sign in, by the settings. `txt_records`: proves whose a domain is.
    """

    database: Database
    edge: Edge
    seal: Seal
    policy: Policy
    counters: RateCounters | None = None
    keys: KeyRing = field(default_factory=KeyRing)
    passwords: Passwords = field(default_factory=Passwords)
    tries: RateCounters = field(default_factory=MemoryCounters)
    captcha: Captcha | None = None
    identities: Identities | None = None
    sources: tuple[Source, ...] = ()
    txt_records: TxtRecords | None = None

    async def close(self) -> None:
        """Let go of every connection."""
        await self.database.close()
        if self.counters is not None:
            await self.counters.close()
        if self.captcha is not None:
            await self.captcha.close()
        if self.identities is not None:
            await self.identities.close()


def control_of(request: Request) -> Control:
    control = request.app.state.control
    assert isinstance(control, Control)  # noqa: S101 - create_api put it there
    return control


Means = Annotated[Control, Depends(control_of)]
