"""The operator's further OpenID Connect issuers, for everybody."""

from typing import Final
from uuid import UUID

import sqlalchemy as sa

from bursar.adapters.identity import Identities, IdentityUnavailable, Kind, Source
from bursar.db.engine import ReadSession, Transaction
from bursar.features.sign_in import queries
from bursar.features.sign_in.schemas import IdentityProvider, IdentityProviderChange, NewIdentityProvider
from bursar.rest.control import Control
from bursar.rest.problems import Conflict, Invalid, NotFound

RESERVED: Final = frozenset(("google", "github", "discord"))
"""Of the settings, also while they are not set."""

PROVIDERS_MAX: Final = 50
"""Each is a button."""


class IdentityProviderNotFound(NotFound):
    code = "identity_provider_not_found"

    def __init__(self) -> None:
        super().__init__("There is no identity provider with this id.")


class IdentityProviderExists(Conflict):
    code = "identity_provider_exists"

    def __init__(self) -> None:
        super().__init__("An identity provider has this slug already.")


class IdentityProvidersFull(Conflict):
    code = "too_many_identity_providers"

    def __init__(self) -> None:
        super().__init__(f"There are at most {PROVIDERS_MAX} identity providers.")


class IssuerUnusable(Invalid):
    code = "issuer_unusable"

    def __init__(self) -> None:
        super().__init__(
            "body.issuer: does not answer as an OpenID Connect issuer of exactly this name over https."
        )


async def check_issuer(control: Control, issuer: str, *, is_guarded: bool) -> None:
    """Before anything is stored, and outside every transaction. Raises `IssuerUnusable`."""
    source = Source(
        key="new",
        kind=Kind.OIDC,
        name="",
        client_id="",
        client_secret="",
        issuer=issuer,
        is_guarded=is_guarded,
    )
    identities: Identities | None = control.identities
    try:
        if identities is not None:
            await identities.check(source, control.edge.now())
    except IdentityUnavailable as error:
        raise IssuerUnusable from error


async def add_provider(tx: Transaction, wanted: NewIdentityProvider, control: Control) -> IdentityProvider:
    """Raises `IdentityProviderExists`, `IdentityProvidersFull`."""
    if wanted.slug in RESERVED:
        raise IdentityProviderExists
    if len(await queries.providers(tx)) >= PROVIDERS_MAX:
        raise IdentityProvidersFull
    row = {
        **wanted.model_dump(exclude={"client_secret"}),
        "id": control.edge.new_id(),
        "sealed": control.seal.seal(wanted.client_secret.get_secret_value().encode()),
        "created_at": control.edge.now(),
    }
    if not await queries.insert_provider(tx, row):
        raise IdentityProviderExists
    return await _shown(tx, row["id"])


async def list_providers(read: ReadSession) -> list[IdentityProvider]:
    return [show(row) for row in await queries.providers(read)]


async def change_provider(
    tx: Transaction, provider_id: UUID, change: IdentityProviderChange, control: Control
) -> IdentityProvider:
    """Raises `IdentityProviderNotFound`."""
    await _shown(tx, provider_id)
    changes = change.model_dump(exclude_none=True, exclude={"client_secret"})
    if change.client_secret is not None:
        changes["sealed"] = control.seal.seal(change.client_secret.get_secret_value().encode())
    if changes:
        await queries.update_provider(tx, provider_id, changes)
    return await _shown(tx, provider_id)


async def delete_provider(tx: Transaction, provider_id: UUID) -> IdentityProvider:
    """Forget it, its secret and who is linked to it. Raises `IdentityProviderNotFound`."""
    found = await _shown(tx, provider_id)
    await queries.delete_provider(tx, provider_id)
    return found


async def _shown(read: ReadSession | Transaction, provider_id: UUID) -> IdentityProvider:
    row = await queries.provider_by_id(read, provider_id)
    if row is None:
        raise IdentityProviderNotFound
    return show(row)


def show(row: sa.RowMapping) -> IdentityProvider:
    return IdentityProvider.model_validate(dict(row))
