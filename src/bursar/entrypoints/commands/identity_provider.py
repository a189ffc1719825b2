"""`bursar identity-provider`: further OpenID Connect issuers that everybody may sign in at."""

from typing import Annotated

import typer

from bursar.entrypoints.commands.asking import AsJson

app = typer.Typer(help="Further OpenID Connect issuers to sign in at.", no_args_is_help=True)

ProviderId = Annotated[str, typer.Argument(help="The identity provider's id.")]
FromEnv = Annotated[
    str | None,
    typer.Option(help="Environment variable that holds the client's secret. Absent: asked for, or piped."),
]


@app.command()
def add(
    slug: Annotated[str, typer.Argument(help="Short name, part of the redirect URI; never changed.")],
    issuer: Annotated[str, typer.Argument(help="URL, exactly as the issuer says it.")],
    client_id: Annotated[str, typer.Argument(help="What it knows Bursar by.")],
    *,
    name: Annotated[str | None, typer.Option(help="On the button. Absent: the slug.")] = None,
    from_env: FromEnv = None,
    as_json: AsJson = False,
) -> None:
    """Add an issuer. It must answer; the secret never appears on the command line."""
    from bursar.entrypoints.commands.provider import secret_given
    from bursar.entrypoints.commands.session import asked, run
    from bursar.entrypoints.commands.telling import tell
    from bursar.features.sign_in import providers, schemas
    from bursar.rest.control import Control

    wanted = asked(
        schemas.NewIdentityProvider,
        slug=slug,
        name=name or slug,
        issuer=issuer,
        client_id=client_id,
        client_secret=secret_given(from_env),
    )

    async def work(control: Control) -> schemas.IdentityProvider:
        await providers.check_issuer(control, wanted.issuer, is_guarded=False)
        async with control.database.transaction(operator=True) as tx:
            return await providers.add_provider(tx, wanted, control)

    tell(run(work), as_json=as_json)


@app.command("list")
def list_all(*, as_json: AsJson = False) -> None:
    """List the issuers: at most 50."""
    from bursar.db.engine import ReadSession
    from bursar.entrypoints.commands.session import look
    from bursar.entrypoints.commands.telling import tell_page
    from bursar.features.sign_in import providers, schemas
    from bursar.rest.control import Control
    from bursar.rest.paging import Page

    async def work(_control: Control, read: ReadSession) -> Page[schemas.IdentityProvider]:
        return Page(items=await providers.list_providers(read))

    tell_page(look(work), ("id", "slug", "name", "issuer", "client_id", "active"), as_json=as_json)


@app.command()
def change(
    provider_id: ProviderId,
    *,
    active: Annotated[bool | None, typer.Option("--active/--inactive", help="Switch it on or off.")] = None,
    name: Annotated[str | None, typer.Option(help="On the button.")] = None,
    client_id: Annotated[str | None, typer.Option(help="What it knows Bursar by.")] = None,
    from_env: Annotated[
        str | None, typer.Option(help="Environment variable that holds a new secret. Absent: it stays.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Change all but the issuer and the slug."""
    from bursar.db.engine import Transaction
    from bursar.entrypoints.commands.provider import secret_given
    from bursar.entrypoints.commands.session import a_uuid, asked, transact
    from bursar.entrypoints.commands.telling import tell
    from bursar.features.sign_in import providers, schemas
    from bursar.rest.control import Control

    secret = None if from_env is None else secret_given(from_env)
    wanted = asked(
        schemas.IdentityProviderChange, active=active, name=name, client_id=client_id, client_secret=secret
    )
    number = a_uuid(provider_id, "PROVIDER_ID")

    async def work(control: Control, tx: Transaction) -> schemas.IdentityProvider:
        return await providers.change_provider(tx, number, wanted, control)

    tell(transact(work), as_json=as_json)


@app.command()
def remove(provider_id: ProviderId, *, as_json: AsJson = False) -> None:
    """Forget an issuer, its secret and who is linked to it."""
    from bursar.db.engine import Transaction
    from bursar.entrypoints.commands.session import a_uuid, transact
    from bursar.entrypoints.commands.telling import tell
    from bursar.features.sign_in import providers, schemas
    from bursar.rest.control import Control

    number = a_uuid(provider_id, "PROVIDER_ID")

    async def work(_control: Control, tx: Transaction) -> schemas.IdentityProvider:
        return await providers.delete_provider(tx, number)

    tell(transact(work), as_json=as_json)
