"""`bursar own-key`: organisations' own provider credentials, where they may go, and the platform fee."""

from typing import Annotated

import typer

from bursar.entrypoints.commands.asking import AsJson, Cursor, Limit, Organisation, Provider

app = typer.Typer(help="Organisations' own provider credentials: sealed, never shown.", no_args_is_help=True)
fee = typer.Typer(help="What requests on own credentials are sold for.", no_args_is_help=True)
app.add_typer(fee, name="fee")

CredentialId = Annotated[str, typer.Argument(help="The credential's id.")]
FromEnv = Annotated[
    str | None,
    typer.Option(help="Environment variable that holds it. Absent: asked for, or read from a pipe."),
]


@app.command()
def add(
    organisation: Organisation,
    provider: Provider,
    *,
    from_env: FromEnv = None,
    name: Annotated[str | None, typer.Option(help="To tell several apart.")] = None,
    priority: Annotated[int, typer.Option(help="Lower is tried first.")] = 100,
    as_json: AsJson = False,
) -> None:
    """Add a credential. It never appears on the command line, where others could see it."""
    from bursar.db.engine import Transaction
    from bursar.entrypoints.commands.finding import organisation_id, provider_id
    from bursar.entrypoints.commands.provider import secret_given
    from bursar.entrypoints.commands.session import asked, transact
    from bursar.entrypoints.commands.telling import tell
    from bursar.features.own_keys import schemas, service
    from bursar.rest.control import Control

    secret = secret_given(from_env)

    async def work(control: Control, tx: Transaction) -> schemas.OwnCredential:
        number = await provider_id(tx, provider)
        wanted = asked(
            schemas.NewOwnCredential, provider_id=number, name=name, secret=secret, priority=priority
        )
        return await service.add_credential(
            tx, await organisation_id(tx, organisation), wanted, control=control
        )

    tell(transact(work), as_json=as_json)


@app.command("list")
def list_all(organisation: Organisation, *, as_json: AsJson = False) -> None:
    """List an organisation's credentials in the order they are tried: hints only."""
    from bursar.db.engine import ReadSession
    from bursar.entrypoints.commands.finding import organisation_id
    from bursar.entrypoints.commands.session import look
    from bursar.entrypoints.commands.telling import tell_page
    from bursar.features.own_keys import schemas, service
    from bursar.rest.control import Control
    from bursar.rest.paging import Page

    async def work(_control: Control, read: ReadSession) -> Page[schemas.OwnCredential]:
        return Page(items=await service.list_credentials(read, await organisation_id(read, organisation)))

    columns = ("id", "provider", "name", "hint", "active", "priority", "rotated_at")
    tell_page(look(work), columns, as_json=as_json)


@app.command()
def change(
    organisation: Organisation,
    credential_id: CredentialId,
    *,
    active: Annotated[bool | None, typer.Option("--active/--inactive", help="Switch it on or off.")] = None,
    name: Annotated[str | None, typer.Option(help="A new name.")] = None,
    priority: Annotated[int | None, typer.Option(help="Lower is tried first.")] = None,
    as_json: AsJson = False,
) -> None:
    """Rename a credential, switch it off or on, or change its place."""
    from bursar.db.engine import Transaction
    from bursar.entrypoints.commands.finding import organisation_id
    from bursar.entrypoints.commands.session import a_uuid, asked, transact
    from bursar.entrypoints.commands.telling import tell
    from bursar.features.own_keys import schemas, service
    from bursar.rest.control import Control

    wanted = asked(schemas.OwnCredentialChange, active=active, name=name, priority=priority)
    number = a_uuid(credential_id, "CREDENTIAL_ID")

    async def work(_control: Control, tx: Transaction) -> schemas.OwnCredential:
        return await service.change_credential(tx, await organisation_id(tx, organisation), number, wanted)

    tell(transact(work), as_json=as_json)


@app.command()
def rotate(
    organisation: Organisation,
    credential_id: CredentialId,
    *,
    from_env: FromEnv = None,
    as_json: AsJson = False,
) -> None:
    """Put a new secret in the place of the old one."""
    from bursar.db.engine import Transaction
    from bursar.entrypoints.commands.finding import organisation_id
    from bursar.entrypoints.commands.provider import secret_given
    from bursar.entrypoints.commands.session import a_uuid, asked, transact
    from bursar.entrypoints.commands.telling import tell
    from bursar.features.own_keys import schemas, service
    from bursar.rest.control import Control

    wanted = asked(schemas.SecretRotation, secret=secret_given(from_env))
    number = a_uuid(credential_id, "CREDENTIAL_ID")

    async def work(control: Control, tx: Transaction) -> schemas.OwnCredential:
        named = await organisation_id(tx, organisation)
        return await service.rotate_credential(tx, named, number, wanted, control=control)

    tell(transact(work), as_json=as_json)


@app.command()
def remove(organisation: Organisation, credential_id: CredentialId, *, as_json: AsJson = False) -> None:
    """Forget a credential and its secret."""
    from bursar.db.engine import Transaction
    from bursar.entrypoints.commands.finding import organisation_id
    from bursar.entrypoints.commands.session import a_uuid, transact
    from bursar.entrypoints.commands.telling import tell
    from bursar.features.own_keys import schemas, service
    from bursar.rest.control import Control

    number = a_uuid(credential_id, "CREDENTIAL_ID")

    async def work(_control: Control, tx: Transaction) -> schemas.OwnCredential:
        return await service.delete_credential(tx, await organisation_id(tx, organisation), number)

    tell(transact(work), as_json=as_json)


@fee.command("set")
def set_fee(
    percent: Annotated[str, typer.Argument(help="Of the provider's list cost of each request.")],
    *,
    per_request: Annotated[str, typer.Option(help="Fixed, per request, in major units.")] = "0",
    currency: Annotated[str, typer.Option(help="USD, EUR, CNY, KRW or JPY.")] = "USD",
    organisation: Annotated[str | None, typer.Option(help="Only of this organisation.")] = None,
    effective_from: Annotated[str | None, typer.Option(help="With its zone. Absent: now.")] = None,
    as_json: AsJson = False,
) -> None:
    """Add a dated fee; what is booked keeps its own."""
    from bursar.db.engine import Transaction
    from bursar.entrypoints.commands.finding import organisation_id
    from bursar.entrypoints.commands.session import asked, moment, transact
    from bursar.entrypoints.commands.telling import tell
    from bursar.features.own_keys import fees, schemas
    from bursar.rest.control import Control

    begins = moment(effective_from)

    async def work(control: Control, tx: Transaction) -> schemas.PlatformFee:
        wanted = asked(
            schemas.NewPlatformFee,
            organisation_id=await organisation_id(tx, organisation) if organisation else None,
            currency=currency,
            percent=percent,
            per_request=per_request,
            effective_from=begins,
        )
        return await fees.set_fee(tx, wanted, edge=control.edge)

    tell(transact(work), as_json=as_json)


@fee.command("list")
def list_fees(
    *,
    organisation: Annotated[str | None, typer.Option(help="Only of this organisation.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    as_json: AsJson = False,
) -> None:
    """List fees with their history, newest first."""
    from bursar.db.engine import ReadSession
    from bursar.entrypoints.commands.finding import organisation_id
    from bursar.entrypoints.commands.session import look, page
    from bursar.entrypoints.commands.telling import tell_page
    from bursar.features.own_keys import fees, schemas
    from bursar.rest.control import Control
    from bursar.rest.paging import Page

    async def work(_control: Control, read: ReadSession) -> Page[schemas.PlatformFee]:
        owner = await organisation_id(read, organisation) if organisation else None
        return await fees.list_fees(read, page(limit, cursor), organisation_id=owner)

    columns = ("id", "organisation_id", "currency", "percent", "per_request", "effective_from")
    tell_page(look(work), columns, as_json=as_json)


@fee.command("show")
def show_fee(organisation: Organisation, *, as_json: AsJson = False) -> None:
    """Show the fee in force for an organisation."""
    from bursar.db.engine import ReadSession
    from bursar.entrypoints.commands.finding import organisation_id
    from bursar.entrypoints.commands.session import look
    from bursar.entrypoints.commands.telling import tell
    from bursar.features.own_keys import fees, schemas
    from bursar.rest.control import Control

    async def work(control: Control, read: ReadSession) -> schemas.PlatformFee:
        return await fees.fee_of(read, await organisation_id(read, organisation), edge=control.edge)

    tell(look(work), as_json=as_json)
