"""Where one may sign in: by the settings, at the operator's further issuers, at organisations' own."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

import sqlalchemy as sa
import structlog

from bursar.adapters.identity import Kind, Source
from bursar.db.secrets import SealBroken
from bursar.features.sign_in import queries
from bursar.features.sign_in.linking import EVERYBODY, Domains
from bursar.features.sign_in.schemas import SignInOption
from bursar.rest.captured_domains import START
from bursar.rest.control import Control
from bursar.rest.problems import NotFound, Refusal

log = structlog.get_logger(__name__)

PROVIDER_PREFIX: Final = "provider:"
CONNECTION_PREFIX: Final = "sso:"
START_OF_PROVIDER: Final = "/api/v1/auth/providers/{}/start"
BACK_AT_PROVIDER: Final = "/api/v1/auth/providers/{}/callback"
START_OF_CONNECTION: Final = START
BACK_AT_CONNECTION: Final = "/api/v1/auth/sso/{}/callback"


class SignInSourceNotFound(NotFound):
    code = "sign_in_source_not_found"

    def __init__(self) -> None:
        super().__init__("Nobody signs in by this here.")


class IdentitySourceAway(Refusal):
    """Its fault or its network's, not ours: no 5xx, and nothing to retry at once."""

    status = 424
    code = "identity_source_away"

    def __init__(self) -> None:
        super().__init__("Where you sign in cannot be reached, or is not set up right: try again later.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A source and what it may do. `connection`: of an organisation's single sign-on, its row."""

    source: Source
    redirect_uri: str
    domains: Domains = EVERYBODY
    connection: sa.RowMapping | None = None


async def options(control: Control) -> list[SignInOption]:
    """The buttons of the sign-in page."""
    async with control.database.read(accounts=True) as read:
        rows = await queries.providers(read)
    found = [(source.key, source.name) for source in control.sources]
    found += [(row["slug"], row["name"]) for row in rows if row["active"]]
    return [
        SignInOption(slug=slug, name=name, start=START_OF_PROVIDER.format(slug))
        for slug, name in found
        if control.identities is not None
    ]


async def chosen_provider(control: Control, slug: str) -> Chosen:
    """Raises `SignInSourceNotFound`."""
    redirect_uri = control.policy.public_url + BACK_AT_PROVIDER.format(slug)
    for source in control.sources:
        if source.key == slug:
            return Chosen(source=source, redirect_uri=redirect_uri)
    async with control.database.read(accounts=True) as read:
        row = await queries.open_provider(read, slug)
    if row is None:
        raise SignInSourceNotFound
    return Chosen(
        source=_source(control, row, f"{PROVIDER_PREFIX}{row['id']}", is_guarded=False),
        redirect_uri=redirect_uri,
    )


async def chosen_connection(control: Control, connection_id: UUID) -> Chosen:
    """Raises `SignInSourceNotFound`."""
    async with control.database.read(accounts=True) as read:
        row = await queries.open_connection(read, connection_id)
        domains = await queries.domains_of_connection(read, connection_id)
    if row is None:
        raise SignInSourceNotFound
    return Chosen(
        source=_source(control, row, f"{CONNECTION_PREFIX}{row['id']}", is_guarded=True),
        redirect_uri=control.policy.public_url + BACK_AT_CONNECTION.format(connection_id),
        domains=Domains(own=domains, vouches=row["vouches_for_email"]),
        connection=row,
    )


def _source(control: Control, row: sa.RowMapping, key: str, *, is_guarded: bool) -> Source:
    try:
        secret = control.seal.open(bytes(row["sealed"])).decode()
    except SealBroken as error:
        log.warning("sign_in.seal_broken", source=key)
        raise IdentitySourceAway from error
    return Source(
        key=key,
        kind=Kind.OIDC,
        name=row["name"],
        client_id=row["client_id"],
        client_secret=secret,
        issuer=row["issuer"],
        is_guarded=is_guarded,
    )
