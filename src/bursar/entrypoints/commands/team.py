"""`bursar team`: teams: what projects belong to."""

from typing import Annotated

import typer

from bursar.entrypoints.commands.asking import AsJson, Cursor, Limit, Organisation

app = typer.Typer(
    help="Teams: what projects belong to, with limits, budgets and tags of their own.", no_args_is_help=True
)

Team = Annotated[str, typer.Argument(help="Its name or id.")]

Tags = Annotated[list[str] | None, typer.Option("--tag", help="Such as cost-center=42; may be repeated.")]


@app.command()
def create(
    organisation: Organisation,
    name: Annotated[str, typer.Argument(help="What it is called.")],
    *,
    tag: Tags = None,
    as_json: AsJson = False,
) -> None:
    """Make a team."""
    from bursar.db.engine import Transaction
    from bursar.entrypoints.commands.finding import organisation_id
    from bursar.entrypoints.commands.session import asked, tags_in, transact
    from bursar.entrypoints.commands.telling import tell
    from bursar.features.projects import schemas, service
    from bursar.rest.control import Control

    wanted = asked(schemas.NewTeam, name=name, tags=tags_in(tag))

    async def work(control: Control, tx: Transaction) -> schemas.Team:
        named = await organisation_id(tx, organisation)
        return await service.create_team(tx, named, wanted, edge=control.edge)

    tell(transact(work), as_json=as_json)


@app.command("list")
def list_all(
    organisation: Organisation,
    *,
    archived: Annotated[bool, typer.Option("--archived", help="Those archived instead.")] = False,
    limit: Limit = 50,
    cursor: Cursor = None,
    as_json: AsJson = False,
) -> None:
    """List teams, newest first."""
    from bursar.db.engine import ReadSession
    from bursar.entrypoints.commands.finding import organisation_id
    from bursar.entrypoints.commands.session import look, page
    from bursar.entrypoints.commands.telling import tell_page
    from bursar.features.projects import schemas, service
    from bursar.rest.control import Control
    from bursar.rest.paging import Page

    async def work(_control: Control, read: ReadSession) -> Page[schemas.Team]:
        named, asked_for = await organisation_id(read, organisation), page(limit, cursor)
        return await service.list_teams(read, named, asked_for, archived=archived)

    tell_page(look(work), ("id", "name", "tags", "created_at", "archived_at"), as_json=as_json)


@app.command()
def change(
    organisation: Organisation,
    team: Team,
    *,
    name: Annotated[str | None, typer.Option(help="A new name.")] = None,
    tag: Tags = None,
    archived: Annotated[
        bool | None, typer.Option("--archive/--restore", help="Take it out of use, or back.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Rename, tag or archive a team."""
    from bursar.db.engine import Transaction
    from bursar.entrypoints.commands.finding import organisation_id, team_id
    from bursar.entrypoints.commands.session import asked, tags_in, transact
    from bursar.entrypoints.commands.telling import tell
    from bursar.features.projects import schemas, service
    from bursar.rest.control import Control

    wanted = asked(schemas.TeamChange, name=name, tags=tags_in(tag), archived=archived)

    async def work(control: Control, tx: Transaction) -> schemas.Team:
        named = await organisation_id(tx, organisation)
        which = await team_id(tx, named, team)
        return await service.change_team(tx, named, which, wanted, edge=control.edge)

    tell(transact(work), as_json=as_json)
