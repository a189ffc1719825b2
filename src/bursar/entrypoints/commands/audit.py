"""`bursar audit`: what was changed, by whom, and the proof that nobody changed the log."""

from pathlib import Path
from typing import Annotated

import typer

from bursar.entrypoints.commands.asking import AsJson, Cursor, Limit

app = typer.Typer(help="The audit log: search it, export it, verify its chain.", no_args_is_help=True)

OrganisationOption = Annotated[
    str | None, typer.Option("--organisation", help="Of one: its id or exact name.")
]
Since = Annotated[str | None, typer.Option(help="A time with its zone. Absent: 31 days before --until.")]
Until = Annotated[str | None, typer.Option(help="Absent: now.")]
Subject = Annotated[str | None, typer.Option(help="What kind of thing, such as api_key.")]
TextOption = Annotated[str | None, typer.Option("--text", help="What stands in the change, in any case.")]
ANCHOR_HELP = "NUMBER:HASH that the worker logged as audit.sealed, or an earlier verify told; repeat it."
COLUMNS = ("id", "at", "actor", "action", "subject", "subject_id", "before", "after")


@app.command()
def verify(
    *,
    anchor: Annotated[list[str] | None, typer.Option(help=ANCHOR_HELP)] = None,
    as_json: AsJson = False,
) -> None:
    """Walk the whole chain; exit 1 and name the first entry that was tampered with."""
    from bursar.entrypoints.audit_check import anchors_in, run_verify
    from bursar.entrypoints.commands.session import EXIT_USAGE, refuse
    from bursar.entrypoints.database import database
    from bursar.entrypoints.starting import loaded

    anchors = anchors_in(anchor or [])
    if anchors is None:
        refuse("invalid_request", "--anchor: NUMBER:HASH, the hash as 64 hex digits", EXIT_USAGE)
    settings = loaded(quiet=True)
    with database(settings, "worker") as dsn:
        raise typer.Exit(run_verify(settings, dsn, anchors, as_json=as_json))


@app.command()
def search(
    *,
    organisation: OrganisationOption = None,
    since: Since = None,
    until: Until = None,
    subject: Subject = None,
    text: TextOption = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    as_json: AsJson = False,
) -> None:
    """Show what was changed, newest first."""
    from bursar.db.engine import ReadSession
    from bursar.entrypoints.commands.finding import organisation_id
    from bursar.entrypoints.commands.session import look, moment, page
    from bursar.entrypoints.commands.telling import tell_page
    from bursar.features.audit import schemas, service
    from bursar.rest.control import Control
    from bursar.rest.paging import Page

    narrowed = service.Filters(since=moment(since), until=moment(until), subject=subject, text=text)

    async def found(control: Control, read: ReadSession) -> Page[schemas.AuditEntry]:
        named = None if organisation is None else await organisation_id(read, organisation)
        wanted = narrowed.wanted(named, service.Eyes.OPERATOR, control.edge.now())
        return await service.search(read, wanted, page(limit, cursor), eyes=service.Eyes.OPERATOR)

    tell_page(look(found), COLUMNS, as_json=as_json)


@app.command()
def export(
    output: Annotated[Path, typer.Argument(help="The file to write; .csv for CSV, else JSON.")],
    *,
    organisation: OrganisationOption = None,
    since: Since = None,
    until: Until = None,
    subject: Subject = None,
    text: TextOption = None,
) -> None:
    """Write what was changed to a file."""
    from bursar.entrypoints.commands.finding import organisation_id
    from bursar.entrypoints.commands.session import moment, run
    from bursar.features.audit import service
    from bursar.rest.control import Control

    narrowed = service.Filters(since=moment(since), until=moment(until), subject=subject, text=text)

    async def written(control: Control) -> None:
        named = None
        if organisation is not None:
            async with control.database.read(operator=True) as read:
                named = await organisation_id(read, organisation)
        wanted = narrowed.wanted(named, service.Eyes.OPERATOR, control.edge.now())
        chunks = service.export(
            lambda: control.database.read(operator=True),
            wanted,
            eyes=service.Eyes.OPERATOR,
            form="csv" if output.suffix == ".csv" else "json",
        )
        with output.open("wb") as file:
            async for chunk in chunks:
                file.write(chunk)

    run(written)
