"""`bursar price`: the dated price book."""

from typing import TYPE_CHECKING, Annotated

import typer

from bursar.entrypoints.commands.asking import AsJson, Cursor, Limit, Provider

if TYPE_CHECKING:
    from bursar.features.prices.schemas import Imported

app = typer.Typer(help="Prices: imported or set, dated, never changed.", no_args_is_help=True)

SOME = 3


@app.command("list")
def list_all(
    *,
    provider: Annotated[str | None, typer.Option(help="Only this provider's.")] = None,
    model: Annotated[str | None, typer.Option(help="Only this model's, by its name there.")] = None,
    meter: Annotated[str | None, typer.Option(help="Only this meter's, such as in_fresh.")] = None,
    history: Annotated[bool, typer.Option("--history", help="Also past and future prices.")] = False,
    limit: Limit = 50,
    cursor: Cursor = None,
    as_json: AsJson = False,
) -> None:
    """List the prices in force, or the whole history."""
    from bursar.db.engine import ReadSession
    from bursar.entrypoints.commands.finding import provider_id
    from bursar.entrypoints.commands.session import look, page
    from bursar.entrypoints.commands.telling import tell_page
    from bursar.features.prices import schemas, service
    from bursar.rest.control import Control
    from bursar.rest.paging import Page

    async def work(control: Control, read: ReadSession) -> Page[schemas.Price]:
        return await service.list_prices(
            read,
            page(limit, cursor),
            edge=control.edge,
            provider_id=await provider_id(read, provider) if provider else None,
            model_name=model,
            meter=meter,
            in_force=not history,
        )

    columns = (
        "id",
        "model",
        "meter",
        "tier_from",
        "currency",
        "cost_per_million",
        "sale_per_million",
        "effective_from",
        "source",
    )
    tell_page(look(work), columns, as_json=as_json)


@app.command("set")
def set_one(
    provider: Provider,
    model: Annotated[str, typer.Argument(help="The model's name at the provider.")],
    meter: Annotated[str, typer.Argument(help="Such as in_fresh, out_text, cache_read.")],
    sale: Annotated[str, typer.Argument(help="What the customer pays, per million units.")],
    *,
    cost: Annotated[str | None, typer.Option(help="What the provider charges. Absent: as now.")] = None,
    per: Annotated[str, typer.Option(help="unit, thousand or million.")] = "million",
    currency: Annotated[str, typer.Option(help="USD, EUR, CNY, KRW or JPY.")] = "USD",
    tier_from: Annotated[int, typer.Option(help="For requests of more input tokens than this.")] = 0,
    effective_from: Annotated[str | None, typer.Option(help="Absent: now.")] = None,
    as_json: AsJson = False,
) -> None:
    """Add a dated price by hand; imports leave its meter alone from then on."""
    from bursar.db.engine import Transaction
    from bursar.entrypoints.commands.finding import provider_id
    from bursar.entrypoints.commands.session import asked, transact
    from bursar.entrypoints.commands.telling import tell
    from bursar.features.prices import schemas, service
    from bursar.rest.control import Control

    async def work(control: Control, tx: Transaction) -> schemas.PriceSet:
        wanted = asked(
            schemas.NewPrice,
            provider_id=await provider_id(tx, provider),
            model=model,
            meter=meter,
            sale=sale,
            cost=cost,
            per=per,
            currency=currency,
            tier_from=tier_from,
            effective_from=effective_from,
        )
        return await service.set_price(tx, wanted, edge=control.edge)

    told = transact(work)
    tell(told if as_json else told.price, as_json=as_json)
    for warning in told.warnings:
        typer.echo(f"warning: {warning}", err=True)


@app.command("import")
def import_all(
    *,
    provider: Annotated[list[str] | None, typer.Option(help="Only this provider; may be repeated.")] = None,
    source: Annotated[str | None, typer.Option(help="Whose list, by its id at genai-prices.")] = None,
    margin_percent: Annotated[str | None, typer.Option(help="Absent: the setting.")] = None,
    overrule_operator: Annotated[
        bool, typer.Option("--overrule", help="Also where the newest price was set by hand.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be added.")] = False,
    as_json: AsJson = False,
) -> None:
    """Import the price lists of all routed models. Keeps history; a second import adds nothing."""
    from bursar.db.engine import Transaction
    from bursar.entrypoints.commands.finding import provider_id
    from bursar.entrypoints.commands.session import asked, transact
    from bursar.entrypoints.commands.telling import progress, tell
    from bursar.features.prices import importing, schemas
    from bursar.rest.control import Control

    with progress("importing prices") as step:

        async def work(control: Control, tx: Transaction) -> schemas.Imported:
            wanted = asked(
                schemas.ImportAsked,
                provider_ids=[await provider_id(tx, name) for name in provider] if provider else None,
                source=source,
                margin_percent=margin_percent,
                overrule_operator=overrule_operator,
                dry_run=dry_run,
            )
            return await importing.import_prices(tx, wanted, control=control, step=step)

        told = transact(work)
    if as_json:
        tell(told, as_json=True)
    else:
        tell_import(told, dry_run=dry_run)


def tell_import(told: "Imported", *, dry_run: bool) -> None:
    """What an import did, for people."""
    verb = "would be added" if dry_run else "added"
    typer.echo(f"{told.added} prices {verb}; {told.models} models compared with {told.source}")
    for title, names in (
        ("not in the list", told.not_listed),
        ("no list known for", told.no_list),
        ("set by hand and left alone", told.pinned),
    ):
        if names:
            typer.echo(f"{title}: {', '.join(names)}")
    for entry in told.unsupported:
        some = ", ".join(entry.models[:SOME]) + (", …" if len(entry.models) > SOME else "")
        typer.echo(f"not expressible: {entry.what} ({len(entry.models)}: {some})")


@app.command()
def margin(
    percent: Annotated[str | None, typer.Argument(help="A new margin. Absent: show it.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Show or set the margin that imports add; a model's own margin comes first."""
    from bursar.entrypoints.commands.session import asked, look, transact
    from bursar.entrypoints.commands.telling import tell
    from bursar.features.prices import schemas, service

    if percent is None:
        tell(look(lambda control, read: service.get_margin(read, policy=control.policy)), as_json=as_json)
        return
    wanted = asked(schemas.Margin, margin_percent=percent)
    tell(transact(lambda _control, tx: service.set_margin(tx, wanted)), as_json=as_json)
