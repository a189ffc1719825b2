"""`bursar mail`: what was sent, dead letters, and whether the mail servers work."""

from typing import Annotated

import typer

from bursar.entrypoints.commands.asking import AsJson, Cursor, Limit

app = typer.Typer(help="Mails: the delivery log, dead letters, a test.", no_args_is_help=True)

MailId = Annotated[str, typer.Argument(help="The mail's id, from `bursar mail list`.")]


@app.command("list")
def list_(
    *,
    state: Annotated[str | None, typer.Option(help="waiting, sent, dead or skipped.")] = None,
    template: Annotated[str | None, typer.Option(help="Mails of this kind only.")] = None,
    recipient: Annotated[str | None, typer.Option(help="Mails to this address only.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    as_json: AsJson = False,
) -> None:
    """List mails, newest first. What they said is not kept."""
    from bursar.entrypoints.commands.session import look, page
    from bursar.entrypoints.commands.telling import tell_page
    from bursar.features.mail import service

    wanted = {"state": state, "template": template, "recipient": recipient}
    found = look(lambda _control, read: service.list_mails(read, page(limit, cursor), wanted))
    shown = ("id", "created_at", "template", "recipient", "state", "attempts", "server", "said")
    tell_page(found, shown, as_json=as_json)


@app.command()
def retry(mail_id: MailId, *, as_json: AsJson = False) -> None:
    """Have a dead letter tried again, under the same Message-ID."""
    from bursar.entrypoints.commands.session import a_uuid, transact
    from bursar.entrypoints.commands.telling import tell
    from bursar.features.mail import service

    number = a_uuid(mail_id, "MAIL_ID")
    tell(transact(lambda control, tx: service.retry(tx, number, edge=control.edge)), as_json=as_json)


@app.command()
def test(
    address: Annotated[str, typer.Argument(help="Where the mail goes; best one of your own.")],
) -> None:
    """Send a sample at once through each mail server of the settings, and print what each one said."""
    import asyncio

    from bursar.entrypoints.mailing import try_servers
    from bursar.settings import Settings, SettingsInvalid

    try:
        outcomes = asyncio.run(try_servers(Settings.load(), address))
    except SettingsInvalid as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    for outcome in outcomes:
        typer.echo(f"{outcome.server}: {outcome.said}", err=not outcome.is_taken)
    if not outcomes:
        typer.echo("no mail server is set: BURSAR_SMTP_HOST", err=True)
    if not outcomes or not all(outcome.is_taken for outcome in outcomes):
        raise typer.Exit(1)
