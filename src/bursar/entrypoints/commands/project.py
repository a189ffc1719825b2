"""`bursar project`: projects: what keys belong to."""

from typing import Annotated

import typer

from bursar.entrypoints.commands.asking import AsJson, Cursor, Limit, Organisation

app = typer.Typer(
    help="Projects: what keys belong to, with limits, budgets and tags of their own.", no_args_is_help=True
)

Project = Annotated[str, typer.Argument(help="Its name or id.")]
TeamOption = Annotated[str | None, typer.Option("--team", help="A team: its name or id.")]
Tags = Annotated[list[str] | None, typer.Option("--tag", help="Such as cost-center=42; may be repeated.")]


@app.command()
def create(
    organisation: Organisation,
    name: Annotated[str, typer.Argument(help="What it is called.")],
    *,
    team: TeamOption = None,
    tag: Tags = None,
    as_json: AsJson = False,
) -> None:
    """Make a project, in the team `Default` unless another is named."""
    from bursar.db.engine import Transaction
    from bursar.entrypoints.commands.finding import organisation_id, team_id
    from bursar.entrypoints.commands.session import asked, tags_in, transact
    from bursar.entrypoints.commands.telling import tell
    from bursar.features.projects import schemas, service
    from bursar.rest.control import Control

    wanted = asked(schemas.NewProject, name=name, tags=tags_in(tag))

    async def work(control: Control, tx: Transaction) -> schemas.Project:
        named = await organisation_id(tx, organisation)
        if team is not None:
            wanted.team_id = await team_id(tx, named, team)
        return await service.create_project(tx, named, wanted, edge=control.edge)

    tell(transact(work), as_json=as_json)


@app.command("list")
def list_all(
    organisation: Organisation,
    *,
    team: TeamOption = None,
    archived: Annotated[bool, typer.Option("--archived", help="Those archived instead.")] = False,
    limit: Limit = 50,
    cursor: Cursor = None,
    as_json: AsJson = False,
) -> None:
    """List projects, newest first."""
    from bursar.db.engine import ReadSession
    from bursar.entrypoints.commands.finding import organisation_id, team_id
    from bursar.entrypoints.commands.session import look, page
    from bursar.entrypoints.commands.telling import tell_page
    from bursar.features.projects import schemas, service
    from bursar.rest.control import Control
    from bursar.rest.paging import Page

    async def work(_control: Control, read: ReadSession) -> Page[schemas.Project]:
        named, asked_for = await organisation_id(read, organisation), page(limit, cursor)
        only = None if team is None else await team_id(read, named, team)
        return await service.list_projects(read, named, asked_for, archived=archived, team_id=only)

    tell_page(look(work), ("id", "name", "team_id", "tags", "created_at", "archived_at"), as_json=as_json)


@app.command()
def change(
    organisation: Organisation,
    project: Project,
    *,
    name: Annotated[str | None, typer.Option(help="A new name.")] = None,
    team: TeamOption = None,
    tag: Tags = None,
    archived: Annotated[
        bool | None, typer.Option("--archive/--restore", help="Take it out of use, or back.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Rename, tag, move or archive a project."""
    from bursar.db.engine import Transaction
    from bursar.entrypoints.commands.finding import organisation_id, project_id, team_id
    from bursar.entrypoints.commands.session import asked, tags_in, transact
    from bursar.entrypoints.commands.telling import tell
    from bursar.features.projects import schemas, service
    from bursar.rest.control import Control

    wanted = asked(schemas.ProjectChange, name=name, tags=tags_in(tag), archived=archived)

    async def work(control: Control, tx: Transaction) -> schemas.Project:
        named = await organisation_id(tx, organisation)
        if team is not None:
            wanted.team_id = await team_id(tx, named, team)
        which = await project_id(tx, named, project)
        return await service.change_project(tx, named, which, wanted, edge=control.edge)

    tell(transact(work), as_json=as_json)
