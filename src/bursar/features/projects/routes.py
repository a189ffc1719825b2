"""HTTP of teams and projects. Everything runs as the organisation: row-level security sees no other's."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from bursar.core.permissions import Permission
from bursar.features.projects import service
from bursar.features.projects.schemas import NewProject, NewTeam, Project, ProjectChange, Team, TeamChange
from bursar.rest.callers import may
from bursar.rest.control import Means
from bursar.rest.idempotency import Once
from bursar.rest.paging import Page, Paging
from bursar.rest.problems import responses
from bursar.rest.transactions import OrganisationRead, OrganisationTx

router = APIRouter(prefix="/organisations/{organisation_id}", tags=["projects"])

ListArchived = Annotated[bool, Query(description="Those archived, instead of those in use.")]


@router.post(
    "/teams", status_code=201, responses=responses(404, 409), dependencies=may(Permission.PROJECTS_MANAGE)
)
async def create_team(organisation_id: UUID, body: NewTeam, tx: OrganisationTx, once: Once) -> Team:
    """Make a team."""
    edge = once.control.edge
    return await once.answer(tx, Team, lambda: service.create_team(tx, organisation_id, body, edge=edge))


@router.get("/teams", responses=responses(404), dependencies=may(Permission.PROJECTS_READ))
async def list_teams(
    organisation_id: UUID,
    read: OrganisationRead,
    paging: Paging,
    *,
    archived: ListArchived = False,
) -> Page[Team]:
    """List teams, newest first."""
    return await service.list_teams(read, organisation_id, paging, archived=archived)


@router.get("/teams/{team_id}", responses=responses(404), dependencies=may(Permission.PROJECTS_READ))
async def get_team(organisation_id: UUID, team_id: UUID, read: OrganisationRead) -> Team:
    """Show one team."""
    return await service.get_team(read, organisation_id, team_id)


@router.patch("/teams/{team_id}", responses=responses(404, 409), dependencies=may(Permission.PROJECTS_MANAGE))
async def change_team(
    organisation_id: UUID, team_id: UUID, body: TeamChange, tx: OrganisationTx, control: Means
) -> Team:
    """Rename or tag a team; archive it once it has no projects, or take it back."""
    return await service.change_team(tx, organisation_id, team_id, body, edge=control.edge)


@router.post(
    "/projects", status_code=201, responses=responses(404, 409), dependencies=may(Permission.PROJECTS_MANAGE)
)
async def create_project(organisation_id: UUID, body: NewProject, tx: OrganisationTx, once: Once) -> Project:
    """Make a project in a team."""
    edge = once.control.edge
    return await once.answer(
        tx, Project, lambda: service.create_project(tx, organisation_id, body, edge=edge)
    )


@router.get("/projects", responses=responses(404), dependencies=may(Permission.PROJECTS_READ))
async def list_projects(
    organisation_id: UUID,
    read: OrganisationRead,
    paging: Paging,
    *,
    archived: ListArchived = False,
    team_id: Annotated[UUID | None, Query(description="Only of this team.")] = None,
) -> Page[Project]:
    """List projects, newest first."""
    return await service.list_projects(read, organisation_id, paging, archived=archived, team_id=team_id)


@router.get("/projects/{project_id}", responses=responses(404), dependencies=may(Permission.PROJECTS_READ))
async def get_project(organisation_id: UUID, project_id: UUID, read: OrganisationRead) -> Project:
    """Show one project."""
    return await service.get_project(read, organisation_id, project_id)


@router.patch(
    "/projects/{project_id}", responses=responses(404, 409), dependencies=may(Permission.PROJECTS_MANAGE)
)
async def change_project(
    organisation_id: UUID, project_id: UUID, body: ProjectChange, tx: OrganisationTx, control: Means
) -> Project:
    """Rename, tag or move a project; archive it once no key works in it, or take it back."""
    return await service.change_project(tx, organisation_id, project_id, body, edge=control.edge)
