"""Organisations' own provider credentials, and the rules of where their requests may go.

A credential goes in and never comes out. Gateways hear of every change through the tables' triggers.
"""

from typing import Final
from uuid import UUID

import sqlalchemy as sa

from bursar.db.engine import ReadSession, Transaction
from bursar.features.own_keys import queries
from bursar.features.own_keys.schemas import (
    NewOwnCredential,
    OwnCredential,
    OwnCredentialChange,
    RoutingRules,
    RoutingRulesChange,
    SecretRotation,
)
from bursar.features.own_keys.secret_shape import checked_secret
from bursar.rest.control import Control
from bursar.rest.problems import Conflict, Invalid, NotFound

HINT_LENGTH: Final = 4
# A secret so short would be mostly given away by its own hint.
HINT_FROM_LENGTH: Final = 12
# Every gateway opens and keeps all of them.
CREDENTIALS_MAX: Final = 50


class OrganisationNotFound(NotFound):
    code = "organisation_not_found"

    def __init__(self) -> None:
        super().__init__("There is no organisation with this id.")


class OrganisationClosed(Conflict):
    code = "organisation_closed"

    def __init__(self) -> None:
        super().__init__("A closed organisation gets no new credentials.")


class OwnCredentialNotFound(NotFound):
    code = "credential_not_found"

    def __init__(self) -> None:
        super().__init__("This organisation has no credential with this id.")


class OwnCredentialsFull(Conflict):
    code = "too_many_credentials"


class OwnKeysNotTaken(Conflict):
    """Whoever runs this provider does not bill the owner of a key; see `provider.takes_own_keys`."""

    code = "own_keys_not_taken"


class ProviderUnknown(Invalid):
    code = "provider_unknown"


class RegionUnknown(Invalid):
    code = "region_unknown"


async def add_credential(
    tx: Transaction, organisation_id: UUID, wanted: NewOwnCredential, *, control: Control
) -> OwnCredential:
    """Seal and keep a credential; from now on requests for this provider's models run on it.

    Raises:
        OrganisationNotFound, OrganisationClosed, ProviderUnknown, OwnKeysNotTaken, OwnCredentialInvalid,
        OwnCredentialsFull
    """
    organisation = await _organisation(tx, organisation_id)
    if organisation["status"] == "closed":
        raise OrganisationClosed
    provider = await queries.provider_by_id(tx, wanted.provider_id)
    if provider is None:
        raise ProviderUnknown("body.provider_id: there is no such provider.")
    if not provider["takes_own_keys"]:
        raise OwnKeysNotTaken(f"The provider {provider['name']!r} takes no credentials of organisations.")
    sealed = _sealed(wanted.secret.get_secret_value(), provider["base_url"], control)
    await queries.lock_credentials(tx, organisation_id)
    if len(await queries.credentials_of(tx, organisation_id)) >= CREDENTIALS_MAX:
        raise OwnCredentialsFull(f"An organisation has at most {CREDENTIALS_MAX} credentials.")
    credential_id = control.edge.new_id()
    row = {
        **sealed,
        "id": credential_id,
        "organisation_id": organisation_id,
        "provider_id": wanted.provider_id,
        "name": wanted.name or provider["name"],
        "priority": wanted.priority,
        "created_at": control.edge.now(),
    }
    await queries.insert_credential(tx, row)
    return await get_credential(tx, organisation_id, credential_id)


async def get_credential(
    read: ReadSession | Transaction, organisation_id: UUID, credential_id: UUID
) -> OwnCredential:
    """Raises `OwnCredentialNotFound`."""
    row = await queries.credential_by_id(read, organisation_id, credential_id)
    if row is None:
        raise OwnCredentialNotFound
    return show(row)


async def list_credentials(read: ReadSession, organisation_id: UUID) -> list[OwnCredential]:
    """By provider, in the order they are tried. Raises `OrganisationNotFound`."""
    await _organisation(read, organisation_id)
    return [show(row) for row in await queries.credentials_of(read, organisation_id)]


async def change_credential(
    tx: Transaction, organisation_id: UUID, credential_id: UUID, change: OwnCredentialChange
) -> OwnCredential:
    """Raises `OwnCredentialNotFound`."""
    await get_credential(tx, organisation_id, credential_id)
    changes = change.model_dump(exclude_none=True)
    if changes:
        await queries.update_credential(tx, organisation_id, credential_id, changes)
    return await get_credential(tx, organisation_id, credential_id)


async def rotate_credential(
    tx: Transaction, organisation_id: UUID, credential_id: UUID, rotation: SecretRotation, *, control: Control
) -> OwnCredential:
    """Put another secret in the place of the one that is sealed there; what runs keeps the old one.

    Raises:
        OwnCredentialNotFound, OwnCredentialInvalid
    """
    found = await get_credential(tx, organisation_id, credential_id)
    provider = await queries.provider_by_id(tx, found.provider_id)
    if provider is None:
        raise OwnCredentialNotFound
    changes = _sealed(rotation.secret.get_secret_value(), provider["base_url"], control)
    changes["rotated_at"] = control.edge.now()
    await queries.update_credential(tx, organisation_id, credential_id, changes)
    return await get_credential(tx, organisation_id, credential_id)


async def delete_credential(tx: Transaction, organisation_id: UUID, credential_id: UUID) -> OwnCredential:
    """Forget a credential, and what was sealed. Usage rows keep its id. Raises `OwnCredentialNotFound`."""
    found = await get_credential(tx, organisation_id, credential_id)
    await queries.delete_credential(tx, organisation_id, credential_id)
    return found


async def get_rules(read: ReadSession | Transaction, organisation_id: UUID) -> RoutingRules:
    """Raises `OrganisationNotFound`."""
    return RoutingRules.model_validate(dict(await _organisation(read, organisation_id)))


async def change_rules(tx: Transaction, organisation_id: UUID, change: RoutingRulesChange) -> RoutingRules:
    """Raises `OrganisationNotFound`, `ProviderUnknown`, `RegionUnknown`."""
    await _organisation(tx, organisation_id)
    changes = change.model_dump(exclude_unset=True)
    if "own_keys_fall_back" in changes and changes["own_keys_fall_back"] is None:
        raise Invalid("body.own_keys_fall_back: must not be null")
    await _check_known(tx, change)
    if changes:
        await queries.update_organisation(tx, organisation_id, changes)
    return await get_rules(tx, organisation_id)


async def _check_known(tx: Transaction, change: RoutingRulesChange) -> None:
    """A misspelt name would lock the organisation out silently."""
    providers = change.allowed_providers or []
    if providers and set(providers) - await queries.known_providers(tx, providers):
        raise ProviderUnknown("body.allowed_providers: there is no such provider.")
    regions = change.allowed_regions or []
    unknown = sorted(set(regions) - await queries.known_regions(tx, regions)) if regions else []
    if unknown:
        raise RegionUnknown(f"body.allowed_regions: nothing is in: {', '.join(unknown)}", unknown=unknown)


async def _organisation(read: ReadSession | Transaction, organisation_id: UUID) -> sa.RowMapping:
    row = await queries.organisation_by_id(read, organisation_id)
    if row is None:
        raise OrganisationNotFound
    return row


def _sealed(given: str, base_url: str, control: Control) -> dict[str, object]:
    secret = checked_secret(given, base_url, control.policy.key_prefix)
    return {"sealed": control.seal.seal(secret.encode()), "hint": hint_of(secret)}


def hint_of(secret: str) -> str:
    """The last four characters of a long secret, nothing of a short one."""
    return "…" + secret[-HINT_LENGTH:] if len(secret) >= HINT_FROM_LENGTH else "…"


def show(row: sa.RowMapping) -> OwnCredential:
    return OwnCredential.model_validate(dict(row))
