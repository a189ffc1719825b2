"""`bursar wallet`: money in, money back, what moved."""

from typing import Annotated

import typer

from bursar.entrypoints.commands.asking import AsJson, Cursor, IdempotencyKey, Limit, Organisation

app = typer.Typer(help="Wallets: top-ups, refunds, transactions.", no_args_is_help=True)

Description = Annotated[str, typer.Option(help="Words for people.")]
Reference = Annotated[str | None, typer.Option(help="Of the payment, say.")]
Amount = Annotated[str | None, typer.Option(help="Absent: all of it that is left.")]


@app.command()
def show(organisation: Organisation, *, as_json: AsJson = False) -> None:
    """Show what an organisation has and may spend."""
    from bursar.db.engine import ReadSession
    from bursar.entrypoints.commands.finding import organisation_id
    from bursar.entrypoints.commands.session import look
    from bursar.entrypoints.commands.telling import tell
    from bursar.features.wallet import schemas, service
    from bursar.rest.control import Control

    async def work(control: Control, read: ReadSession) -> schemas.Wallet:
        named = await organisation_id(read, organisation)
        return await service.get_wallet(read, named, edge=control.edge)

    tell(look(work), as_json=as_json)


@app.command()
def transactions(
    organisation: Organisation,
    *,
    kind: Annotated[str | None, typer.Option("--type", help="Such as top_up or usage.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    as_json: AsJson = False,
) -> None:
    """List what moved a wallet, newest first, each with the balance after it."""
    from typing import get_args

    from bursar.db.engine import ReadSession
    from bursar.entrypoints.commands.finding import organisation_id
    from bursar.entrypoints.commands.session import look, one_of, page
    from bursar.entrypoints.commands.telling import tell_page
    from bursar.features.wallet import schemas, service
    from bursar.rest.control import Control
    from bursar.rest.paging import Page

    wanted = one_of(kind, get_args(schemas.MovementType), "--type")

    async def work(_control: Control, read: ReadSession) -> Page[schemas.Movement]:
        named = await organisation_id(read, organisation)
        return await service.list_movements(read, named, page(limit, cursor), kind=wanted)

    columns = ("id", "occurred_at", "type", "amount", "balance_after", "description", "reference")
    tell_page(look(work), columns, as_json=as_json)


@app.command("top-up")
def top_up(
    organisation: Organisation,
    amount: Annotated[str, typer.Argument(help="Such as 50.00, in the wallet's currency.")],
    *,
    kind: Annotated[str, typer.Option(help="manual, purchase (money received) or promo.")] = "manual",
    description: Description = "",
    reference: Reference = None,
    scope_class: Annotated[str | None, typer.Option(help="Absent: spends on anything.")] = None,
    expires_at: Annotated[str | None, typer.Option(help="Absent: never.")] = None,
    idempotency_key: IdempotencyKey = None,
    as_json: AsJson = False,
) -> None:
    """Put money or credit in; what is owed is repaid first."""
    from bursar.db.engine import Transaction
    from bursar.entrypoints.commands.finding import organisation_id
    from bursar.entrypoints.commands.session import asked, occasion, transact
    from bursar.entrypoints.commands.telling import tell
    from bursar.features.wallet import schemas, service
    from bursar.rest.control import Control

    wanted = asked(
        schemas.TopUp,
        amount=amount,
        kind=kind,
        description=description,
        reference=reference,
        scope_class=scope_class,
        expires_at=expires_at,
    )

    async def work(control: Control, tx: Transaction) -> schemas.Movement:
        named = await organisation_id(tx, organisation)
        return await service.top_up(tx, named, wanted, occasion(control, idempotency_key))

    tell(transact(work), as_json=as_json)


@app.command("refund-top-up")
def refund_top_up(
    organisation: Organisation,
    transaction: Annotated[int, typer.Argument(min=1, help="The top-up's number.")],
    *,
    amount: Amount = None,
    description: Description = "",
    reference: Reference = None,
    idempotency_key: IdempotencyKey = None,
    as_json: AsJson = False,
) -> None:
    """Pay back the unspent rest of a top-up, or a part of it."""
    from bursar.entrypoints.commands.finding import organisation_id
    from bursar.entrypoints.commands.session import asked, occasion, run
    from bursar.entrypoints.commands.telling import tell
    from bursar.features.wallet import schemas, service
    from bursar.rest.control import Control

    wanted = asked(schemas.TopUpRefund, amount=amount, description=description, reference=reference)

    async def work(control: Control) -> schemas.Movement:
        async with control.database.read(operator=True) as read:
            named = await organisation_id(read, organisation)
        await service.recall_leases(control, named)
        async with control.database.transaction(operator=True) as tx:
            once = occasion(control, idempotency_key)
            return await service.refund_top_up(tx, named, transaction, wanted, once)

    tell(run(work), as_json=as_json)


@app.command("refund-usage")
def refund_usage(
    organisation: Organisation,
    request: Annotated[str, typer.Argument(help="The request's id.")],
    *,
    amount: Amount = None,
    attempt: Annotated[int | None, typer.Option(help="Absent: the last one that was sold.")] = None,
    description: Description = "",
    reference: Reference = None,
    idempotency_key: IdempotencyKey = None,
    as_json: AsJson = False,
) -> None:
    """Give the sale of a request back, or a part of it."""
    from bursar.db.engine import Transaction
    from bursar.entrypoints.commands.finding import organisation_id
    from bursar.entrypoints.commands.session import a_uuid, asked, occasion, transact
    from bursar.entrypoints.commands.telling import tell
    from bursar.features.wallet import schemas, service
    from bursar.rest.control import Control

    request_id = a_uuid(request, "REQUEST")
    wanted = asked(
        schemas.UsageRefund, amount=amount, attempt=attempt, description=description, reference=reference
    )

    async def work(control: Control, tx: Transaction) -> schemas.Movement:
        named = await organisation_id(tx, organisation)
        once = occasion(control, idempotency_key)
        return await service.refund_usage(tx, named, request_id, wanted, once)

    tell(transact(work), as_json=as_json)
