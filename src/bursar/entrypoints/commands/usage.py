"""`bursar usage`: what was used, what it cost, and why."""

from typing import Annotated

import typer

from bursar.entrypoints.commands.asking import AsJson, Cursor, Limit, Organisation

app = typer.Typer(help="Usage: requests, sums, explanations.", no_args_is_help=True)

Since = Annotated[str | None, typer.Option(help="Such as 2026-11-01T00:00:00Z. Absent: 31 days.")]
Until = Annotated[str | None, typer.Option(help="Absent: now.")]
Model = Annotated[str | None, typer.Option(help="Only this model.")]


@app.command("list")
def list_all(
    organisation: Organisation,
    *,
    since: Since = None,
    until: Until = None,
    model: Model = None,
    status: Annotated[int | None, typer.Option(help="Only this HTTP status.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    as_json: AsJson = False,
) -> None:
    """List requests, newest first."""
    from bursar.db.engine import ReadSession
    from bursar.entrypoints.commands.finding import organisation_id
    from bursar.entrypoints.commands.session import look, moment, page
    from bursar.entrypoints.commands.telling import tell_page
    from bursar.features.usage import schemas, service
    from bursar.rest.control import Control
    from bursar.rest.paging import Page

    narrowed = service.Filters(since=moment(since), until=moment(until), model=model, status=status)

    async def work(control: Control, read: ReadSession) -> Page[schemas.UsageRow]:
        wanted = narrowed.wanted(await organisation_id(read, organisation), control.edge.now())
        return await service.list_usage(read, wanted, page(limit, cursor), with_cost=True)

    columns = (
        "started_at",
        "request_id",
        "model",
        "status",
        "streamed",
        "input_tokens",
        "output_tokens",
        "cost",
        "sale",
        "latency_ms",
    )
    tell_page(look(work), columns, as_json=as_json)


@app.command()
def summary(
    organisation: Organisation,
    *,
    by: Annotated[str, typer.Option(help="day, model, key, project, team or provider.")] = "day",
    since: Since = None,
    until: Until = None,
    model: Model = None,
    as_json: AsJson = False,
) -> None:
    """Add up requests by day, model, key, project, team or provider."""
    from typing import get_args

    from bursar.db.engine import ReadSession
    from bursar.entrypoints.commands.finding import organisation_id
    from bursar.entrypoints.commands.session import look, moment, one_of
    from bursar.entrypoints.commands.telling import tell, tell_rows
    from bursar.features.usage import schemas, service
    from bursar.rest.control import Control

    way = one_of(by, get_args(schemas.SummaryBy), "--by")
    narrowed = service.Filters(since=moment(since), until=moment(until), model=model)

    async def work(control: Control, read: ReadSession) -> schemas.Summary:
        wanted = narrowed.wanted(await organisation_id(read, organisation), control.edge.now())
        return await service.summarise(read, wanted, by=way, with_cost=True)

    told = look(work)
    if as_json:
        tell(told, as_json=True)
        return
    columns = (
        "bucket",
        "label",
        "requests",
        "failed",
        "input_tokens",
        "output_tokens",
        "cost",
        "sale",
        "margin",
    )
    tell_rows([item.model_dump(mode="json") for item in told.items], columns)


@app.command()
def explain(
    organisation: Organisation,
    request: Annotated[str, typer.Argument(help="The request's id.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Say why a request cost what it cost: each token class, its price, the exact amount."""
    from bursar.db.engine import ReadSession
    from bursar.entrypoints.commands.finding import organisation_id
    from bursar.entrypoints.commands.session import a_uuid, look
    from bursar.entrypoints.commands.telling import tell, tell_rows
    from bursar.features.usage import schemas, service
    from bursar.rest.control import Control

    request_id = a_uuid(request, "REQUEST")

    async def work(_control: Control, read: ReadSession) -> schemas.ExplainedRequest:
        named = await organisation_id(read, organisation)
        return await service.explain_usage(read, named, request_id, with_cost=True)

    told = look(work)
    if as_json:
        tell(told, as_json=True)
        return
    typer.echo(f"{told.sale} {told.currency} charged, {told.cost} {told.currency} cost")
    sold = ("meter", "quantity", "price_id", "priced_as", "unit_price", "amount", "cost_amount")
    listed = ("meter", "quantity", "price_id", "priced_as", "unit_list_cost", "list_cost")
    for attempt in told.attempts:
        typer.echo(f"attempt {attempt.usage.attempt}: {attempt.usage.model}, {attempt.usage.outcome}")
        fee = attempt.explanation.get("fee")
        tell_rows(attempt.explanation["lines"], listed if fee else sold)
        if fee:
            typer.echo(
                f"  platform fee {fee['id']}: {fee['percent_of_list_cost']} % of"
                f" {attempt.explanation['list_cost']}, and {fee['per_request']} {told.currency}"
            )
        for note in attempt.explanation["notes"]:
            typer.echo(f"  {note}")
