"""Where else somebody may sign in as himself."""

from collections.abc import Mapping
from uuid import UUID

import sqlalchemy as sa

from bursar.features.sign_in import queries
from bursar.features.sign_in.schemas import LinkedIdentity
from bursar.features.sign_in.sources import CONNECTION_PREFIX, PROVIDER_PREFIX
from bursar.rest.callers import Caller
from bursar.rest.control import Control
from bursar.rest.problems import NotFound


class IdentityNotFound(NotFound):
    code = "identity_not_found"

    def __init__(self) -> None:
        super().__init__("You have no linked identity with this id.")


async def list_identities(control: Control, calling: Caller) -> list[LinkedIdentity]:
    """Oldest first."""
    async with control.database.read(accounts=True) as read:
        slugs = await queries.provider_slugs(read)
        return [_shown(row, slugs) for row in await queries.identities_of(read, calling.id)]


async def unlink(control: Control, calling: Caller, identity_id: UUID) -> LinkedIdentity:
    """Raises `IdentityNotFound`."""
    async with control.database.transaction(accounts=True, actor=calling.as_actor()) as tx:
        slugs = await queries.provider_slugs(tx)
        row = await queries.unlink(tx, calling.id, identity_id)
    if row is None:
        raise IdentityNotFound
    return _shown(row, slugs)


def _shown(row: sa.RowMapping, slugs: Mapping[UUID, str]) -> LinkedIdentity:
    source = str(row["source"])
    if source.startswith(CONNECTION_PREFIX):
        provider = "sso"
    elif source.startswith(PROVIDER_PREFIX):
        provider = slugs.get(UUID(source.removeprefix(PROVIDER_PREFIX)), "?")
    else:
        provider = source
    return LinkedIdentity.model_validate({**row, "provider": provider})
