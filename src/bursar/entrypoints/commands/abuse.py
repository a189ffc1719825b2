"""`bursar abuse`: who is suspected of abuse, and what is decided."""

from typing import Annotated

import typer

from bursar.entrypoints.commands.asking import AsJson, Cursor, Limit

app = typer.Typer(help="Suspects of abuse: see docs/abuse-rules.md.", no_args_is_help=True)


@app.command("list")
def list_(
    *,
    status: Annotated[
        str | None, typer.Option(help="Only those that are open, suspended, cleared or closed.")
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    as_json: AsJson = False,
) -> None:
    """List suspects, newest first. `--status open` is the queue."""
    from bursar.entrypoints.commands.session import asked, look, page
    from bursar.entrypoints.commands.telling import tell_page
    from bursar.features.abuse import schemas, service

    wanted = asked(schemas.SuspectsAsked, status=status)
    found = look(
        lambda _control, read: service.list_suspects(read, page(limit, cursor), status=wanted.status)
    )
    shown = ("id", "organisation", "organisation_status", "status", "score", "last_seen_at")
    tell_page(found, shown, as_json=as_json)


@app.command()
def show(
    suspect_id: Annotated[str, typer.Argument(help="The suspect's id, from `bursar abuse list`.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Show what was found."""
    from bursar.entrypoints.commands.session import a_uuid, look
    from bursar.entrypoints.commands.telling import tell
    from bursar.features.abuse import service

    number = a_uuid(suspect_id, "SUSPECT_ID")
    tell(look(lambda _control, read: service.get_suspect(read, number)), as_json=as_json)


@app.command()
def decide(
    suspect_id: Annotated[str, typer.Argument(help="The suspect's id, from `bursar abuse list`.")],
    decision: Annotated[str, typer.Argument(help="clear, suspend or close.")],
    reason: Annotated[str, typer.Argument(help="Kept; with `suspend` the customer is told.")],
    *,
    note: Annotated[str, typer.Option(help="Kept beside it, and told to nobody.")] = "",
    as_json: AsJson = False,
) -> None:
    """Clear a suspect and lift its suspension, suspend its organisation, or close it for good."""
    from bursar.entrypoints.commands.session import a_uuid, asked, transact
    from bursar.entrypoints.commands.telling import tell
    from bursar.features.abuse import schemas, service

    number = a_uuid(suspect_id, "SUSPECT_ID")
    wanted = asked(schemas.NewDecision, decision=decision, reason=reason, note=note)
    made = transact(
        lambda control, tx: service.decide(tx, number, wanted, decided_by=None, edge=control.edge)
    )
    tell(made, as_json=as_json)
