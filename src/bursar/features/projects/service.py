"""Teams and projects: made, renamed, tagged, moved, archived."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from bursar.db.engine import ReadSession, Transaction
from bursar.db.projects import default_team, is_open
from bursar.db.tables import project, team
from bursar.features.projects import queries
from bursar.features.projects.schemas import NewProject, NewTeam, Project, ProjectChange, Team, TeamChange
from bursar.rest.edge import Edge
from bursar.rest.paging import Page, PageAsked, cut_page, uuid_key
from bursar.rest.problems import Conflict, Invalid, NotFound

Read = ReadSession | Transaction

OPEN_MAX: Final = 1_000
"""Teams, and projects, in use: gateways hold in memory what limits them, lists of names are read whole."""


class OrganisationNotFound(NotFound):
    code = "organisation_not_found"

    def __init__(self) -> None:
        super().__init__("There is no organisation with this id.")


class TeamNotFound(NotFound):
    code = "team_not_found"

    def __init__(self) -> None:
        super().__init__("This organisation has no such team.")


class ProjectNotFound(NotFound):
    code = "project_not_found"

    def __init__(self) -> None:
        super().__init__("This organisation has no such project.")


class TeamUnknown(Invalid):
    """Also one that is archived."""

    code = "team_unknown"

    def __init__(self) -> None:
        super().__init__("body.team_id: this organisation has no such team in use")


class NameTaken(Conflict):
    code = "name_taken"

    def __init__(self) -> None:
        super().__init__("Another one in use has this name.")


class StillInUse(Conflict):
    """Keys work in the project, or projects are in the team."""

    code = "still_in_use"


class TooManyOpen(Conflict):
    code = "too_many_projects"

    def __init__(self) -> None:
        super().__init__(f"At most {OPEN_MAX} may be in use; archive one.")


async def create_team(tx: Transaction, organisation_id: UUID, wanted: NewTeam, *, edge: Edge) -> Team:
    """Raises `OrganisationNotFound`, `NameTaken`, `TooManyOpen`."""
    await _check_organisation(tx, organisation_id)
    row = {"name": wanted.name, "tags": wanted.tags}
    return await get_team(tx, organisation_id, await _insert(tx, team, organisation_id, row, edge))


async def create_project(
    tx: Transaction, organisation_id: UUID, wanted: NewProject, *, edge: Edge
) -> Project:
    """Raises `OrganisationNotFound`, `TeamUnknown`, `NameTaken`, `TooManyOpen`."""
    await _check_organisation(tx, organisation_id)
    if wanted.team_id is None:
        team_id = await default_team(tx, organisation_id, now=edge.now(), new_id=edge.new_id)
    else:
        team_id = wanted.team_id
        await _check_team(tx, organisation_id, team_id)
    row = {"name": wanted.name, "tags": wanted.tags, "team_id": team_id}
    return await get_project(tx, organisation_id, await _insert(tx, project, organisation_id, row, edge))


async def get_team(read: Read, organisation_id: UUID, team_id: UUID) -> Team:
    """Raises `TeamNotFound`."""
    row = await queries.row_by_id(read, team, organisation_id, team_id)
    if row is None:
        raise TeamNotFound
    return Team.model_validate(dict(row))


async def get_project(read: Read, organisation_id: UUID, project_id: UUID) -> Project:
    """Raises `ProjectNotFound`."""
    row = await queries.row_by_id(read, project, organisation_id, project_id)
    if row is None:
        raise ProjectNotFound
    return Project.model_validate(dict(row))


async def find_team(read: Read, organisation_id: UUID, name: str) -> UUID:
    """Raises `TeamNotFound`."""
    found = await queries.id_by_name(read, team, organisation_id, name)
    if found is None:
        raise TeamNotFound
    return found


async def find_project(read: Read, organisation_id: UUID, name: str) -> UUID:
    """Raises `ProjectNotFound`."""
    found = await queries.id_by_name(read, project, organisation_id, name)
    if found is None:
        raise ProjectNotFound
    return found


async def list_teams(read: Read, organisation_id: UUID, asked: PageAsked, *, archived: bool) -> Page[Team]:
    """Newest first. Raises `OrganisationNotFound`."""
    await _check_organisation(read, organisation_id)
    rows = await queries.rows_before(
        read,
        team,
        organisation_id,
        archived=archived,
        team_id=None,
        before=asked.after(uuid_key),
        limit=asked.limit + 1,
    )
    return cut_page(rows, asked.limit, lambda row: row["id"], lambda row: Team.model_validate(dict(row)))


async def list_projects(
    read: Read, organisation_id: UUID, asked: PageAsked, *, archived: bool, team_id: UUID | None = None
) -> Page[Project]:
    """Newest first. Raises `OrganisationNotFound`."""
    await _check_organisation(read, organisation_id)
    rows = await queries.rows_before(
        read,
        project,
        organisation_id,
        archived=archived,
        team_id=team_id,
        before=asked.after(uuid_key),
        limit=asked.limit + 1,
    )
    return cut_page(rows, asked.limit, lambda row: row["id"], lambda row: Project.model_validate(dict(row)))


async def change_team(
    tx: Transaction, organisation_id: UUID, team_id: UUID, change: TeamChange, *, edge: Edge
) -> Team:
    """Raises `TeamNotFound`, `NameTaken`, `TooManyOpen`, `StillInUse`: projects are in it."""
    row = await queries.locked_row(tx, team, organisation_id, team_id)
    if row is None:
        raise TeamNotFound
    changes = await _changes(tx, team, row, change, edge)
    if changes.get("archived_at") and await queries.has_projects(tx, organisation_id, team_id):
        raise StillInUse("Projects are in this team; archive or move them first.")
    if changes:
        await queries.update_row(tx, team, organisation_id, team_id, changes)
    return await get_team(tx, organisation_id, team_id)


async def change_project(
    tx: Transaction, organisation_id: UUID, project_id: UUID, change: ProjectChange, *, edge: Edge
) -> Project:
    """Raises `ProjectNotFound`, `TeamUnknown`, `NameTaken`, `TooManyOpen`, `StillInUse`: keys work in it."""
    row = await queries.locked_row(tx, project, organisation_id, project_id)
    if row is None:
        raise ProjectNotFound
    changes = await _changes(tx, project, row, change, edge)
    if change.team_id is not None:
        changes["team_id"] = change.team_id
    if "team_id" in changes or _reopens(row, change):
        await _check_team(tx, organisation_id, changes.get("team_id", row["team_id"]))
    is_ending = changes.get("archived_at") is not None
    if is_ending and await queries.has_usable_keys(tx, organisation_id, project_id, edge.now()):
        raise StillInUse("Keys work in this project; revoke or move them first.")
    if changes:
        await queries.update_row(tx, project, organisation_id, project_id, changes)
    return await get_project(tx, organisation_id, project_id)


async def _changes(
    tx: Transaction, table: sa.Table, row: sa.RowMapping, change: TeamChange, edge: Edge
) -> dict[str, Any]:
    """What changes of its name, tags and being archived. Raises `NameTaken`, `TooManyOpen`."""
    given = {"name": change.name, "tags": change.tags}
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    was_open = row["archived_at"] is None
    if change.archived is not None and change.archived == was_open:
        changes["archived_at"] = edge.now() if change.archived else None
    reopens = _reopens(row, change)
    if reopens:
        await _check_room(tx, table, row["organisation_id"])
    if reopens or (was_open and changes.get("name", row["name"]) != row["name"]):
        await _check_name(tx, table, row["organisation_id"], changes.get("name", row["name"]))
    return changes


def _reopens(row: sa.RowMapping, change: TeamChange) -> bool:
    return change.archived is False and row["archived_at"] is not None


async def _insert(
    tx: Transaction, table: sa.Table, organisation_id: UUID, row: Mapping[str, Any], edge: Edge
) -> UUID:
    await _check_room(tx, table, organisation_id)
    await _check_name(tx, table, organisation_id, row["name"])
    row_id = edge.new_id()
    told = {"id": row_id, "organisation_id": organisation_id, "created_at": edge.now(), **row}
    await queries.insert_row(tx, table, told)
    return row_id


async def _check_organisation(read: Read, organisation_id: UUID) -> None:
    if not await queries.organisation_exists(read, organisation_id):
        raise OrganisationNotFound


async def _check_team(tx: Transaction, organisation_id: UUID, team_id: UUID) -> None:
    if not await is_open(tx, team, organisation_id, team_id):
        raise TeamUnknown


async def _check_name(tx: Transaction, table: sa.Table, organisation_id: UUID, name: str) -> None:
    if await queries.id_by_name(tx, table, organisation_id, name) is not None:
        raise NameTaken


async def _check_room(tx: Transaction, table: sa.Table, organisation_id: UUID) -> None:
    if await queries.count_open(tx, table, organisation_id) >= OPEN_MAX:
        raise TooManyOpen
