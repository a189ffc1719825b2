"""`bursar org routing`: which providers and regions an organisation's requests may go to."""

from typing import Annotated

import typer

from bursar.entrypoints.commands.asking import AsJson, Organisation

app = typer.Typer(help="Where an organisation's requests may go.", no_args_is_help=True)

Providers = Annotated[
    list[str] | None, typer.Option("--provider", help="May be asked; give it once for each.")
]
Regions = Annotated[list[str] | None, typer.Option("--region", help="May be asked; give it once for each.")]


@app.command()
def show(organisation: Organisation, *, as_json: AsJson = False) -> None:
    """Show which providers and regions are allowed, and whether own credentials may fall back."""
    from bursar.db.engine import ReadSession
    from bursar.entrypoints.commands.finding import organisation_id
    from bursar.entrypoints.commands.session import look
    from bursar.entrypoints.commands.telling import tell
    from bursar.features.own_keys import schemas, service
    from bursar.rest.control import Control

    async def work(_control: Control, read: ReadSession) -> schemas.RoutingRules:
        return await service.get_rules(read, await organisation_id(read, organisation))

    tell(look(work), as_json=as_json)


@app.command()
def change(
    organisation: Organisation,
    *,
    provider: Providers = None,
    any_provider: Annotated[bool, typer.Option("--any-provider", help="Lift the restriction.")] = False,
    region: Regions = None,
    any_region: Annotated[bool, typer.Option("--any-region", help="Lift the restriction.")] = False,
    fall_back: Annotated[
        bool | None,
        typer.Option("--fall-back/--no-fall-back", help="Whether own credentials may fall back to ours."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Restrict where requests may go, or lift that. Only what is given changes."""
    from bursar.db.engine import Transaction
    from bursar.entrypoints.commands.finding import organisation_id, provider_id
    from bursar.entrypoints.commands.session import EXIT_USAGE, asked, refuse, transact
    from bursar.entrypoints.commands.telling import tell
    from bursar.features.own_keys import schemas, service
    from bursar.rest.control import Control

    if (any_provider and provider) or (any_region and region):
        refuse("invalid_request", "a restriction is either set or lifted", EXIT_USAGE)

    async def work(_control: Control, tx: Transaction) -> schemas.RoutingRules:
        wanted = asked(
            schemas.RoutingRulesChange,
            own_keys_fall_back=fall_back,
            allowed_providers=[await provider_id(tx, one) for one in provider or ()] or None,
            allowed_regions=region or None,
        )
        lifted = {"allowed_providers": any_provider, "allowed_regions": any_region}
        nothing = {name: None for name, is_lifted in lifted.items() if is_lifted}
        given = wanted.model_dump(exclude_unset=True) | nothing
        change = schemas.RoutingRulesChange.model_validate(given)
        return await service.change_rules(tx, await organisation_id(tx, organisation), change)

    tell(transact(work), as_json=as_json)
