"""`bursar user`: people's accounts, the operators' among them."""

from typing import TYPE_CHECKING, Annotated

import typer

from bursar.entrypoints.commands.asking import AsJson, Cursor, Limit

if TYPE_CHECKING:
    from bursar.features.accounts.administration import PasswordLink

app = typer.Typer(help="People: accounts, operators, second factors.", no_args_is_help=True)

Email = Annotated[str, typer.Argument(help="The person's e-mail address.")]
ROLES = ("superadmin", "finance", "support")


@app.command()
def add(
    email: Email,
    *,
    name: Annotated[str | None, typer.Option(help="What he is called.")] = None,
    operator_role: Annotated[
        str | None, typer.Option(help="superadmin, finance or support. Absent: no operator.")
    ] = None,
    locale: Annotated[str, typer.Option(help="Of his mails: en, ko or zh.")] = "en",
    as_json: AsJson = False,
) -> None:
    """Make an account. Prints a link by which its owner sets the password; it opens once."""
    from bursar.entrypoints.commands.session import asked, keep_accounts, one_of
    from bursar.features.accounts import administration

    one_of(operator_role, ROLES, "--operator-role")
    one_of(locale, ("en", "ko", "zh"), "--locale")
    wanted = asked(
        administration.NewPerson, email=email, name=name, operator_role=operator_role, locale=locale
    )
    show_link(
        keep_accounts(lambda control, tx: administration.add_person(tx, control, wanted)), as_json=as_json
    )


@app.command("password-link")
def password_link(email: Email, *, as_json: AsJson = False) -> None:
    """Make a link to set a password, for who cannot be mailed one."""
    from bursar.entrypoints.commands.session import keep_accounts
    from bursar.features.accounts import administration

    show_link(
        keep_accounts(lambda control, tx: administration.password_link(tx, control, email)), as_json=as_json
    )


@app.command("list")
def list_people(
    *,
    operators: Annotated[bool, typer.Option("--operators", help="Only those.")] = False,
    limit: Limit = 50,
    cursor: Cursor = None,
    as_json: AsJson = False,
) -> None:
    """List people, newest first."""
    from bursar.entrypoints.commands.session import look, page
    from bursar.entrypoints.commands.telling import tell_page
    from bursar.features.accounts import administration

    found = look(
        lambda _control, read: administration.list_people(read, page(limit, cursor), operators_only=operators)
    )
    columns = ("id", "email", "name", "status", "operator_role", "two_factor", "created_at")
    tell_page(found, columns, as_json=as_json)


@app.command("reset-2fa")
def reset_2fa(email: Email, *, as_json: AsJson = False) -> None:
    """Forget somebody's second factor and end his sign-ins, when he lost both phone and recovery codes."""
    from bursar.entrypoints.commands.session import keep_accounts
    from bursar.entrypoints.commands.telling import tell
    from bursar.features.accounts import administration

    person = keep_accounts(lambda control, tx: administration.reset_second_factor(tx, control, email))
    tell(person, as_json=as_json)


@app.command()
def disable(email: Email, *, as_json: AsJson = False) -> None:
    """Let somebody in no longer; his sign-ins end at once."""
    set_active(email, active=False, as_json=as_json)


@app.command()
def enable(email: Email, *, as_json: AsJson = False) -> None:
    """Let somebody in again."""
    set_active(email, active=True, as_json=as_json)


@app.command("change-signing-key")
def change_signing_key(
    *,
    at_once: Annotated[
        bool, typer.Option("--at-once", help="Also believe no older one: it may have been copied.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Sign access tokens with a new key; happens by itself every 30 days."""
    from bursar.entrypoints.commands.session import keep_accounts
    from bursar.entrypoints.commands.telling import tell
    from bursar.features.accounts import administration

    made = keep_accounts(lambda control, tx: administration.change_signing_key(tx, control, at_once=at_once))
    tell(made, as_json=as_json)


def set_active(email: str, *, active: bool, as_json: bool) -> None:
    from bursar.entrypoints.commands.session import keep_accounts
    from bursar.entrypoints.commands.telling import tell
    from bursar.features.accounts import administration

    person = keep_accounts(lambda control, tx: administration.set_active(tx, control, email, active=active))
    tell(person, as_json=as_json)


def show_link(made: "PasswordLink", *, as_json: bool) -> None:
    """The link alone on standard output, for scripts."""
    from bursar.entrypoints.commands.telling import tell

    if as_json:
        tell(made, as_json=True)
    else:
        typer.echo(made.link)
        typer.echo(f"it sets the password of {made.email}, once, until {made.expires_at:%F %R} UTC", err=True)
