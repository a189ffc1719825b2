"""`bursar org`: organisations."""

from typing import Annotated

import typer

from bursar.entrypoints.commands.asking import AsJson, Cursor, IdempotencyKey, Limit, Organisation

app = typer.Typer(help="Organisations: who buys.", no_args_is_help=True)

Email = Annotated[str | None, typer.Option(help="Where invoices go.")]
BillingType = Annotated[str, typer.Argument(help="prepaid or postpaid.")]
CreditLimit = Annotated[str | None, typer.Option(help="Postpaid: the most it may owe. Default 500.")]


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Its name.")],
    *,
    email: Email = None,
    billing_type: Annotated[str, typer.Option(help="prepaid or postpaid.")] = "prepaid",
    currency: Annotated[str, typer.Option(help="USD, EUR, CNY, KRW or JPY.")] = "USD",
    credit_limit: CreditLimit = None,
    as_json: AsJson = False,
) -> None:
    """Create an organisation and its empty wallet."""
    from bursar.entrypoints.commands.session import asked, transact
    from bursar.entrypoints.commands.telling import tell
    from bursar.features.organisations import schemas, service

    wanted = asked(
        schemas.NewOrganisation,
        name=name,
        billing_email=email,
        billing_type=billing_type,
        currency=currency,
        credit_limit=credit_limit,
    )
    made = transact(lambda control, tx: service.create_organisation(tx, wanted, edge=control.edge))
    tell(made, as_json=as_json)


@app.command("list")
def list_all(
    *,
    name: Annotated[str | None, typer.Option(help="Only names that contain this.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    as_json: AsJson = False,
) -> None:
    """List organisations, newest first."""
    from bursar.entrypoints.commands.session import look, page
    from bursar.entrypoints.commands.telling import tell_page
    from bursar.features.organisations import service

    found = look(
        lambda _control, read: service.list_organisations(read, page(limit, cursor), name_contains=name)
    )
    columns = ("id", "name", "billing_type", "currency", "status", "created_at")
    tell_page(found, columns, as_json=as_json)


@app.command()
def show(organisation: Organisation, *, as_json: AsJson = False) -> None:
    """Show one organisation."""
    from bursar.db.engine import ReadSession
    from bursar.entrypoints.commands.finding import organisation_id
    from bursar.entrypoints.commands.session import look
    from bursar.entrypoints.commands.telling import tell
    from bursar.features.organisations import schemas, service
    from bursar.rest.control import Control

    async def work(_control: Control, read: ReadSession) -> schemas.Organisation:
        return await service.get_organisation(read, await organisation_id(read, organisation))

    tell(look(work), as_json=as_json)


@app.command()
def change(
    organisation: Organisation,
    *,
    name: Annotated[str | None, typer.Option(help="A new name.")] = None,
    email: Email = None,
    status: Annotated[str | None, typer.Option(help="active, suspended or closed.")] = None,
    store_responses: Annotated[
        bool | None, typer.Option(help="Keep answers of the Responses API for 30 days.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Rename, suspend, close or reopen an organisation; say whether its answers are kept."""
    from bursar.db.engine import Transaction
    from bursar.entrypoints.commands.finding import organisation_id
    from bursar.entrypoints.commands.session import asked, transact
    from bursar.entrypoints.commands.telling import tell
    from bursar.features.organisations import schemas, service
    from bursar.rest.control import Control

    wanted = asked(
        schemas.OrganisationChange,
        name=name,
        billing_email=email,
        status=status,
        store_responses=store_responses,
    )

    async def work(control: Control, tx: Transaction) -> schemas.Organisation:
        return await service.change_organisation(
            tx, await organisation_id(tx, organisation), wanted, now=control.edge.now()
        )

    tell(transact(work), as_json=as_json)


@app.command()
def billing(
    organisation: Organisation,
    billing_type: BillingType,
    *,
    credit_limit: CreditLimit = None,
    idempotency_key: IdempotencyKey = None,
    as_json: AsJson = False,
) -> None:
    """Make an organisation prepaid or postpaid, and say what it may owe."""
    from bursar.db.engine import Transaction
    from bursar.entrypoints.commands.finding import organisation_id
    from bursar.entrypoints.commands.session import asked, occasion, transact
    from bursar.entrypoints.commands.telling import tell
    from bursar.features.organisations import schemas, service
    from bursar.rest.control import Control

    wanted = asked(schemas.Billing, billing_type=billing_type, credit_limit=credit_limit)

    async def work(control: Control, tx: Transaction) -> schemas.Organisation:
        named = await organisation_id(tx, organisation)
        return await service.set_billing(tx, named, wanted, occasion(control, idempotency_key))

    tell(transact(work), as_json=as_json)
