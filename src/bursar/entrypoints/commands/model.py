"""`bursar model`: the names callers use, and where each is served."""

from typing import Annotated

import typer

from bursar.entrypoints.commands.asking import AsJson, Cursor, Limit, Provider

app = typer.Typer(help="Models, their aliases and routes.", no_args_is_help=True)

ModelId = Annotated[str, typer.Argument(help="The model's name.")]
Aliases = Annotated[list[str] | None, typer.Option("--alias", help="Another name; may be repeated.")]
Margin = Annotated[str | None, typer.Option(help="Percent over cost for imported prices.")]
OutputMax = Annotated[int | None, typer.Option(help="Most tokens of one answer.")]
Does = Annotated[
    list[str] | None, typer.Option("--does", help="chat, embeddings or images; may be repeated.")
]
Floor = Annotated[
    str | None, typer.Option(help="Route nothing that sells for less than this percent over cost.")
]
Order = Annotated[str | None, typer.Option(help="priority, weighted, least_latency or cheapest.")]
Fallback = Annotated[
    list[str] | None,
    typer.Option(help="A model asked instead when this one's providers fail; may be repeated, in order."),
]
Lacks = Annotated[
    list[str] | None, typer.Option(help="tools, stream or vision: what it cannot do; may be repeated.")
]
Window = Annotated[int | None, typer.Option(help="Tokens in and out together.")]


@app.command()
def add(
    model: ModelId,
    *,
    alias: Aliases = None,
    margin_percent: Margin = None,
    output_tokens_max: OutputMax = None,
    context_window: Window = None,
    does: Does = None,
    strategy: Order = None,
    fallback: Fallback = None,
    lacks: Lacks = None,
    min_margin_percent: Floor = None,
    as_json: AsJson = False,
) -> None:
    """Add a model. It is served once it has a route and a price."""
    from bursar.entrypoints.commands.session import asked, transact
    from bursar.entrypoints.commands.telling import tell
    from bursar.features.models import schemas, service

    wanted = asked(
        schemas.NewModel,
        id=model,
        aliases=alias or [],
        margin_percent=margin_percent,
        output_tokens_max=output_tokens_max,
        context_window=context_window,
        services=does or None,
        strategy=strategy,
        fallbacks=fallback or None,
        lacks=lacks or None,
        min_margin_percent=min_margin_percent,
    )
    tell(transact(lambda control, tx: service.create_model(tx, wanted, edge=control.edge)), as_json=as_json)


@app.command("list")
def list_all(
    *,
    status: Annotated[str | None, typer.Option(help="active or retired.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    as_json: AsJson = False,
) -> None:
    """List models by name."""
    from typing import get_args

    from bursar.entrypoints.commands.session import look, one_of, page
    from bursar.entrypoints.commands.telling import tell_page
    from bursar.features.models import schemas, service

    wanted = one_of(status, get_args(schemas.Status), "--status")
    found = look(lambda _control, read: service.list_models(read, page(limit, cursor), status=wanted))
    columns = (
        "id",
        "status",
        "services",
        "successor",
        "context_window",
        "output_tokens_max",
        "margin_percent",
        "aliases",
    )
    tell_page(found, columns, as_json=as_json)


@app.command()
def show(model: ModelId, *, as_json: AsJson = False) -> None:
    """Show one model with its aliases and routes."""
    from bursar.entrypoints.commands.session import look
    from bursar.entrypoints.commands.telling import tell
    from bursar.features.models import service

    tell(look(lambda _control, read: service.get_model(read, model)), as_json=as_json)


@app.command()
def change(
    model: ModelId,
    *,
    alias: Aliases = None,
    margin_percent: Margin = None,
    output_tokens_max: OutputMax = None,
    context_window: Window = None,
    does: Does = None,
    strategy: Order = None,
    fallback: Fallback = None,
    lacks: Lacks = None,
    min_margin_percent: Floor = None,
    as_json: AsJson = False,
) -> None:
    """Change a model. `--alias`, `--fallback`, `--lacks` name all of them: others are removed."""
    from bursar.entrypoints.commands.session import asked, transact
    from bursar.entrypoints.commands.telling import tell
    from bursar.features.models import schemas, service

    wanted = asked(
        schemas.ModelChange,
        aliases=alias or None,
        margin_percent=margin_percent,
        output_tokens_max=output_tokens_max,
        context_window=context_window,
        services=does or None,
        strategy=strategy,
        fallbacks=fallback or None,
        lacks=lacks or None,
        min_margin_percent=min_margin_percent,
    )
    tell(transact(lambda _control, tx: service.change_model(tx, model, wanted)), as_json=as_json)


@app.command()
def retire(
    model: ModelId,
    *,
    successor: Annotated[str | None, typer.Option(help="Named to callers of the retired model.")] = None,
    as_json: AsJson = False,
) -> None:
    """Retire a model: callers get 404 and are told its successor."""
    from bursar.entrypoints.commands.session import asked, transact
    from bursar.entrypoints.commands.telling import tell
    from bursar.features.models import schemas, service

    wanted = asked(schemas.ModelChange, status="retired", successor=successor)
    tell(transact(lambda _control, tx: service.change_model(tx, model, wanted)), as_json=as_json)


@app.command()
def route(
    model: ModelId,
    provider: Provider,
    *,
    provider_model: Annotated[
        str | None, typer.Option("--as", help="Its name there. Absent: the same.")
    ] = None,
    priority: Annotated[int, typer.Option(help="Lower is tried first.")] = 100,
    weight: Annotated[int, typer.Option(help="Share among equal priorities.")] = 1,
    credential: Annotated[
        str | None, typer.Option(help="The only credential to use, by its id. Absent: any.")
    ] = None,
    region: Annotated[str | None, typer.Option(help="Where it answers. Absent: the provider's.")] = None,
    min_margin_percent: Floor = None,
    as_json: AsJson = False,
) -> None:
    """Serve a model at a provider."""
    from bursar.db.engine import Transaction
    from bursar.entrypoints.commands.finding import provider_id
    from bursar.entrypoints.commands.session import a_uuid, asked, transact
    from bursar.entrypoints.commands.telling import tell
    from bursar.features.models import schemas, service
    from bursar.rest.control import Control

    only = None if credential is None else a_uuid(credential, "--credential")

    async def work(control: Control, tx: Transaction) -> schemas.Route:
        wanted = asked(
            schemas.NewRoute,
            model_id=model,
            provider_id=await provider_id(tx, provider),
            provider_model=provider_model,
            priority=priority,
            weight=weight,
            credential_id=only,
            region=region,
            min_margin_percent=min_margin_percent,
        )
        return await service.create_route(tx, wanted, edge=control.edge)

    tell(transact(work), as_json=as_json)


@app.command()
def unroute(
    route_id: Annotated[str, typer.Argument(help="The route's id, from `bursar model show`.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Remove a route."""
    from bursar.entrypoints.commands.session import a_uuid, transact
    from bursar.entrypoints.commands.telling import tell
    from bursar.features.models import service

    number = a_uuid(route_id, "ROUTE_ID")
    tell(transact(lambda _control, tx: service.delete_route(tx, number)), as_json=as_json)


@app.command("change-route")
def change_route(
    route_id: Annotated[str, typer.Argument(help="The route's id, from `bursar model show`.")],
    *,
    priority: Annotated[int | None, typer.Option(help="Lower is tried first.")] = None,
    weight: Annotated[int | None, typer.Option(help="Share among equal priorities.")] = None,
    active: Annotated[bool | None, typer.Option("--active/--inactive", help="Switch it on or off.")] = None,
    min_margin_percent: Floor = None,
    as_json: AsJson = False,
) -> None:
    """Change a route's place or margin floor, or switch it off."""
    from bursar.entrypoints.commands.session import a_uuid, asked, transact
    from bursar.entrypoints.commands.telling import tell
    from bursar.features.models import schemas, service

    number = a_uuid(route_id, "ROUTE_ID")
    wanted = asked(
        schemas.RouteChange,
        priority=priority,
        weight=weight,
        active=active,
        min_margin_percent=min_margin_percent,
    )
    tell(transact(lambda _control, tx: service.change_route(tx, number, wanted)), as_json=as_json)


@app.command("margin-floor")
def margin_floor(
    percent: Annotated[
        str | None, typer.Argument(help="Percent over cost, or `none`. Absent: show what is set.")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Show or set the least margin of every model and route that sets none."""
    from bursar.entrypoints.commands.session import asked, look, transact
    from bursar.entrypoints.commands.telling import tell
    from bursar.features.models import schemas, service

    if percent is None:
        tell(look(lambda _control, read: service.routing_rules(read)), as_json=as_json)
        return
    wanted = asked(schemas.RoutingRules, min_margin_percent=None if percent == "none" else percent)
    tell(transact(lambda _control, tx: service.change_routing_rules(tx, wanted)), as_json=as_json)


@app.command()
def load(
    *,
    at: Annotated[
        list[str] | None,
        typer.Option(help="openai=slug: route the catalogue's OpenAI models to that provider; repeatable."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Add the shipped catalogue's models and routes. Twice adds nothing."""
    from bursar.entrypoints.commands.session import asked, transact
    from bursar.entrypoints.commands.telling import progress, tell
    from bursar.features.models import loading, schemas

    pairs = dict(pair.partition("=")[::2] for pair in at or ())
    wanted = asked(schemas.CatalogueLoad, providers=pairs)
    with progress("loading the catalogue") as step:
        told = transact(lambda control, tx: loading.load_catalogue(tx, wanted, edge=control.edge, step=step))
    tell(told, as_json=as_json)
