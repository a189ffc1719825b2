"""An organisation's own single sign-on: its issuers, and what they may say of roles."""

from typing import Final
from uuid import UUID

import sqlalchemy as sa

from bursar.db.engine import ReadSession, Transaction
from bursar.features.sign_in import sso_queries as queries
from bursar.features.sign_in.schemas import Connection, ConnectionChange, NewConnection
from bursar.features.sign_in.sources import BACK_AT_CONNECTION, START_OF_CONNECTION
from bursar.rest.control import Control
from bursar.rest.problems import Conflict, NotFound

CONNECTIONS_MAX: Final = 10
"""Two while one replaces the other; companies that merged have some more."""


class ConnectionNotFound(NotFound):
    code = "sso_connection_not_found"

    def __init__(self) -> None:
        super().__init__("This organisation has no single sign-on with this id.")


class ConnectionsFull(Conflict):
    code = "too_many_sso_connections"

    def __init__(self) -> None:
        super().__init__(f"An organisation has at most {CONNECTIONS_MAX} single sign-ons.")


async def add_connection(
    tx: Transaction, organisation_id: UUID, wanted: NewConnection, control: Control
) -> Connection:
    """Raises `ConnectionsFull`."""
    if len(await queries.connections_of(tx, organisation_id)) >= CONNECTIONS_MAX:
        raise ConnectionsFull
    connection_id = control.edge.new_id()
    row = {
        **wanted.model_dump(mode="json", exclude={"client_secret"}),
        "id": connection_id,
        "organisation_id": organisation_id,
        "sealed": control.seal.seal(wanted.client_secret.get_secret_value().encode()),
        "created_at": control.edge.now(),
    }
    await queries.insert_connection(tx, row)
    return await get_connection(tx, organisation_id, connection_id, control)


async def list_connections(read: ReadSession, organisation_id: UUID, control: Control) -> list[Connection]:
    return [show(row, control) for row in await queries.connections_of(read, organisation_id)]


async def get_connection(
    read: ReadSession | Transaction, organisation_id: UUID, connection_id: UUID, control: Control
) -> Connection:
    """Raises `ConnectionNotFound`."""
    row = await queries.connection_by_id(read, organisation_id, connection_id)
    if row is None:
        raise ConnectionNotFound
    return show(row, control)


async def change_connection(
    tx: Transaction, organisation_id: UUID, connection_id: UUID, change: ConnectionChange, control: Control
) -> Connection:
    """Raises `ConnectionNotFound`."""
    await get_connection(tx, organisation_id, connection_id, control)
    said = change.model_dump(mode="json", exclude_unset=True, exclude={"client_secret"})
    # Null means something for one of them: who has no role does not get in.
    changes = {name: value for name, value in said.items() if value is not None or name == "default_role"}
    if change.client_secret is not None:
        changes["sealed"] = control.seal.seal(change.client_secret.get_secret_value().encode())
    if changes:
        await queries.update_connection(tx, organisation_id, connection_id, changes)
    return await get_connection(tx, organisation_id, connection_id, control)


async def delete_connection(
    tx: Transaction, organisation_id: UUID, connection_id: UUID, control: Control
) -> Connection:
    """Forget it, its secret, its domains and who is linked to it. Raises `ConnectionNotFound`."""
    found = await get_connection(tx, organisation_id, connection_id, control)
    await queries.delete_connection(tx, organisation_id, connection_id)
    return found


def show(row: sa.RowMapping, control: Control) -> Connection:
    url = control.policy.public_url
    return Connection.model_validate(
        {
            **row,
            "redirect_uri": url + BACK_AT_CONNECTION.format(row["id"]),
            "start": START_OF_CONNECTION.format(row["id"]),
        }
    )
