"""Providers: where requests go, and with which credentials. A credential goes in and never comes out."""

from typing import Final
from uuid import UUID

import sqlalchemy as sa

from bursar.db.engine import ReadSession, Transaction
from bursar.features.providers import queries
from bursar.features.providers.base_url import checked_base_url
from bursar.features.providers.kinds import PLACES
from bursar.features.providers.schemas import (
    Credential,
    CredentialChange,
    NewCredential,
    NewProvider,
    Provider,
    ProviderChange,
)
from bursar.rest.control import Control
from bursar.rest.edge import Edge
from bursar.rest.paging import Page, PageAsked, cut_page
from bursar.rest.problems import Conflict, Invalid, NotFound

HINT_LENGTH: Final = 4
# A secret so short would be mostly given away by its own hint.
HINT_FROM_LENGTH: Final = 12
CREDENTIALS_MAX: Final = 100


class ProviderNotFound(NotFound):
    code = "provider_not_found"

    def __init__(self) -> None:
        super().__init__("There is no such provider.")


class CredentialNotFound(NotFound):
    code = "credential_not_found"

    def __init__(self) -> None:
        super().__init__("This provider has no credential with this id.")


class SlugTaken(Conflict):
    code = "provider_exists"


class CredentialsFull(Conflict):
    code = "too_many_credentials"


class CredentialInvalid(Invalid):
    code = "credential_invalid"


async def create_provider(tx: Transaction, wanted: NewProvider, *, edge: Edge) -> Provider:
    """Raises `BaseUrlInvalid`, `SlugTaken`."""
    provider_id = edge.new_id()
    aborts = wanted.aborts_stop_billing
    base_url = checked_base_url(wanted.base_url, wanted.kind)
    is_makers_own = base_url == PLACES[wanted.kind].base_url and base_url.startswith("https:")
    row = {
        **wanted.model_dump(),
        "id": provider_id,
        "name": wanted.name or wanted.slug,
        "base_url": base_url,
        "takes_own_keys": is_makers_own if wanted.takes_own_keys is None else wanted.takes_own_keys,
        "aborts_stop_billing": PLACES[wanted.kind].aborts_stop_billing if aborts is None else aborts,
        "timeouts": wanted.timeouts.model_dump(exclude_none=True),
        "breaker": wanted.breaker.model_dump(exclude_none=True),
        "created_at": edge.now(),
    }
    if not await queries.insert_provider(tx, row):
        raise SlugTaken(f"There is a provider {wanted.slug!r} already.")
    return await get_provider(tx, provider_id)


async def get_provider(read: ReadSession | Transaction, provider_id: UUID) -> Provider:
    """Raises `ProviderNotFound`."""
    row = await queries.provider_by_id(read, provider_id)
    if row is None:
        raise ProviderNotFound
    return show(row)


async def find_provider(read: ReadSession | Transaction, slug: str) -> Provider:
    """By its short name. Raises `ProviderNotFound`."""
    row = await queries.provider_by_slug(read, slug)
    if row is None:
        raise ProviderNotFound
    return show(row)


async def list_providers(read: ReadSession, asked: PageAsked) -> Page[Provider]:
    rows = await queries.providers_after(read, after=asked.after(str), limit=asked.limit + 1)
    return cut_page(rows, asked.limit, lambda row: row["slug"], show)


async def change_provider(tx: Transaction, provider_id: UUID, change: ProviderChange) -> Provider:
    """Raises `ProviderNotFound`, `BaseUrlInvalid`."""
    provider = await get_provider(tx, provider_id)
    changes = change.model_dump(exclude_none=True)
    if change.base_url is not None:
        changes["base_url"] = checked_base_url(change.base_url, provider.kind)
    if change.timeouts is not None:
        changes["timeouts"] = change.timeouts.model_dump(exclude_none=True)
    if change.breaker is not None:
        changes["breaker"] = change.breaker.model_dump(exclude_none=True)
    if "region" in change.model_fields_set:
        changes["region"] = change.region
    if changes:
        await queries.update_provider(tx, provider_id, changes)
    return await get_provider(tx, provider_id)


async def add_credential(
    tx: Transaction, provider_id: UUID, wanted: NewCredential, *, control: Control
) -> Credential:
    """Seal and keep a credential.

    Raises:
        ProviderNotFound, CredentialInvalid, CredentialsFull
    """
    await get_provider(tx, provider_id)
    secret = wanted.secret.get_secret_value().strip()
    if not secret or not secret.isascii() or not secret.isprintable():
        raise CredentialInvalid("body.secret: must be visible ASCII characters; it travels in a header.")
    if len(await queries.credentials_of(tx, provider_id)) >= CREDENTIALS_MAX:
        raise CredentialsFull(f"A provider has at most {CREDENTIALS_MAX} credentials.")
    credential_id = control.edge.new_id()
    await queries.insert_credential(
        tx,
        {
            "id": credential_id,
            "provider_id": provider_id,
            "sealed": control.seal.seal(secret.encode()),
            "hint": hint_of(secret),
            "priority": wanted.priority,
            "created_at": control.edge.now(),
        },
    )
    return await _credential(tx, provider_id, credential_id)


def hint_of(secret: str) -> str:
    """The last four characters of a long secret, nothing of a short one."""
    return "…" + secret[-HINT_LENGTH:] if len(secret) >= HINT_FROM_LENGTH else "…"


async def list_credentials(read: ReadSession, provider_id: UUID) -> list[Credential]:
    """In the order they are tried. Raises `ProviderNotFound`."""
    await get_provider(read, provider_id)
    return [_shown(row) for row in await queries.credentials_of(read, provider_id)]


async def change_credential(
    tx: Transaction, provider_id: UUID, credential_id: UUID, change: CredentialChange
) -> Credential:
    """Raises `CredentialNotFound`."""
    await _credential(tx, provider_id, credential_id)
    changes = change.model_dump(exclude_none=True)
    if changes:
        await queries.update_credential(tx, credential_id, changes)
    return await _credential(tx, provider_id, credential_id)


async def _credential(tx: Transaction, provider_id: UUID, credential_id: UUID) -> Credential:
    row = await queries.credential_by_id(tx, provider_id, credential_id)
    if row is None:
        raise CredentialNotFound
    return _shown(row)


def _shown(row: sa.RowMapping) -> Credential:
    return Credential.model_validate(dict(row))


def show(row: sa.RowMapping) -> Provider:
    return Provider.model_validate(dict(row))
