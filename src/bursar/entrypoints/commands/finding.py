"""Find what a person names: an id, or a name that means one thing."""

from uuid import UUID

from bursar.db.engine import ReadSession, Transaction
from bursar.entrypoints.commands.session import id_in
from bursar.features.organisations import service as organisations
from bursar.features.providers import service as providers


async def organisation_id(read: ReadSession | Transaction, named: str) -> UUID:
    """Raises `OrganisationNotFound` or `OrganisationAmbiguous`."""
    return id_in(named) or await organisations.find_organisation(read, named)


async def provider_id(read: ReadSession | Transaction, named: str) -> UUID:
    """Raises `ProviderNotFound`."""
    return id_in(named) or (await providers.find_provider(read, named)).id
