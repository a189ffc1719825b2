"""`bursar operator`: who may use the control plane."""

from typing import Annotated

import typer

from bursar.entrypoints.commands.asking import AsJson, Cursor, Limit

app = typer.Typer(help="Operator tokens: what opens the control plane.", no_args_is_help=True)


@app.command()
def token(
    name: Annotated[str, typer.Argument(help="Whose token it is.")] = "operator",
    *,
    expires_at: Annotated[str | None, typer.Option(help="Absent: never.")] = None,
    role: Annotated[str, typer.Option(help="superadmin, finance or support.")] = "superadmin",
    as_json: AsJson = False,
) -> None:
    """Make an operator token. It is printed this once: alone on standard output, for scripts."""
    from bursar.entrypoints.commands.session import asked, transact
    from bursar.entrypoints.commands.telling import tell
    from bursar.features.operators import schemas, service

    wanted = asked(schemas.NewToken, name=name, expires_at=expires_at, role=role)
    made = transact(lambda control, tx: service.create_token(tx, wanted, edge=control.edge))
    if as_json:
        tell(made, as_json=True)
    else:
        typer.echo(made.secret)
        typer.echo("keep it: only its hash is stored", err=True)


@app.command()
def tokens(*, limit: Limit = 50, cursor: Cursor = None, as_json: AsJson = False) -> None:
    """List operator tokens, newest first, without their secrets."""
    from bursar.entrypoints.commands.session import look, page
    from bursar.entrypoints.commands.telling import tell_page
    from bursar.features.operators import service

    found = look(lambda _control, read: service.list_tokens(read, page(limit, cursor)))
    shown = ("id", "name", "role", "visible", "created_at", "expires_at", "revoked_at")
    tell_page(found, shown, as_json=as_json)


@app.command()
def revoke(
    token_id: Annotated[str, typer.Argument(help="The token's id, from `bursar operator tokens`.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Stop a token for good."""
    from bursar.entrypoints.commands.session import a_uuid, transact
    from bursar.entrypoints.commands.telling import tell
    from bursar.features.operators import service

    number = a_uuid(token_id, "TOKEN_ID")
    tell(transact(lambda control, tx: service.revoke_token(tx, number, edge=control.edge)), as_json=as_json)
