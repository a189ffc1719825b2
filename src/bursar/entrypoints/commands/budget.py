"""`bursar budget`: budgets and quotas of organisations, keys and provider credentials."""

from typing import Annotated

import typer

from bursar.entrypoints.commands.asking import (
    AsJson,
    Cursor,
    Limit,
    MemberOption,
    Organisation,
    ProjectOption,
    TeamOption,
)

app = typer.Typer(
    help="Budgets and quotas: money, requests or tokens by the day, week or month.", no_args_is_help=True
)

BudgetId = Annotated[str, typer.Argument(help="The budget's id, from `bursar budget list`.")]
Amount = Annotated[str, typer.Argument(help="Such as 25.00; of requests and tokens a whole number.")]
UnitOption = Annotated[str | None, typer.Option("--unit", help="money, requests or tokens. Absent: money.")]
PeriodOption = Annotated[
    str | None, typer.Option("--period", help="once, day, week or month. Absent: month.")
]
KeyOption = Annotated[str | None, typer.Option("--key", help="Of this key alone: its id.")]
ModelOption = Annotated[str | None, typer.Option("--model", help="Within the key: a model or a pattern.")]
ProviderOption = Annotated[str | None, typer.Option("--provider", help="Within the key: its name or id.")]


@app.command()
def create(
    organisation: Organisation,
    name: Annotated[str, typer.Argument(help="What it is for.")],
    amount: Amount,
    *,
    unit: UnitOption = None,
    period: PeriodOption = None,
    key: KeyOption = None,
    member: MemberOption = None,
    project: ProjectOption = None,
    team: TeamOption = None,
    model: ModelOption = None,
    provider: ProviderOption = None,
    as_json: AsJson = False,
) -> None:
    """Make a budget of an organisation, a key, or the keys of a member, a project or a team."""
    from bursar.db.engine import Transaction
    from bursar.entrypoints.commands.finding import group_of, only_one, organisation_id, provider_id
    from bursar.entrypoints.commands.session import a_uuid, asked, transact
    from bursar.entrypoints.commands.telling import tell
    from bursar.features.budgets import schemas, service
    from bursar.rest.control import Control

    groups = only_one(member=member, project=project, team=team, key=key)
    wanted = asked(
        schemas.NewBudget,
        name=name,
        amount=amount,
        unit=unit,
        period=period,
        key_id=None if key is None else a_uuid(key, "--key"),
        model=model,
    )

    async def work(control: Control, tx: Transaction) -> schemas.Budget:
        named = await organisation_id(tx, organisation)
        narrowed = {} if provider is None else {"provider_id": await provider_id(tx, provider)}
        group = await group_of(tx, named, groups)
        if group is not None:
            narrowed[f"{group.kind}_id"] = group.group_id
        told = wanted.model_copy(update=narrowed)
        return await service.create_budget(tx, named, told, edge=control.edge)

    tell(transact(work), as_json=as_json)


@app.command("list")
def list_all(
    organisation: Organisation, *, limit: Limit = 50, cursor: Cursor = None, as_json: AsJson = False
) -> None:
    """List an organisation's budgets, newest first, with what is used of them."""
    from bursar.db.engine import ReadSession
    from bursar.entrypoints.commands.finding import organisation_id
    from bursar.entrypoints.commands.session import look, page
    from bursar.entrypoints.commands.telling import tell_page
    from bursar.features.budgets import schemas, service
    from bursar.rest.control import Control
    from bursar.rest.paging import Page

    async def work(control: Control, read: ReadSession) -> Page[schemas.Budget]:
        named = await organisation_id(read, organisation)
        return await service.list_budgets(read, named, page(limit, cursor), edge=control.edge)

    columns = ("id", "name", "unit", "amount", "used", "currency", "period", "key_id", "active", "resets_at")
    tell_page(look(work), columns, as_json=as_json)


@app.command()
def change(
    organisation: Organisation,
    budget: BudgetId,
    *,
    name: Annotated[str | None, typer.Option(help="A new name.")] = None,
    amount: Annotated[str | None, typer.Option(help="A new amount.")] = None,
    active: Annotated[bool | None, typer.Option("--on/--off", help="Switch it on or off.")] = None,
    as_json: AsJson = False,
) -> None:
    """Rename a budget, change its amount, or switch it off or on."""
    from bursar.db.engine import Transaction
    from bursar.entrypoints.commands.finding import organisation_id
    from bursar.entrypoints.commands.session import a_uuid, asked, transact
    from bursar.entrypoints.commands.telling import tell
    from bursar.features.budgets import schemas, service
    from bursar.rest.control import Control

    wanted = asked(schemas.BudgetChange, name=name, amount=amount, active=active)
    budget_id = a_uuid(budget, "BUDGET")

    async def work(control: Control, tx: Transaction) -> schemas.Budget:
        named = await organisation_id(tx, organisation)
        return await service.change_budget(tx, named, budget_id, wanted, edge=control.edge)

    tell(transact(work), as_json=as_json)


@app.command("create-for-credential")
def create_for_credential(
    provider: Annotated[str, typer.Argument(help="The provider's short name or id.")],
    credential: Annotated[str, typer.Argument(help="The credential's id.")],
    name: Annotated[str, typer.Argument(help="What it is for.")],
    amount: Amount,
    *,
    unit: UnitOption = None,
    period: PeriodOption = None,
    currency: Annotated[str | None, typer.Option(help="Of money. Absent: USD.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a budget of a provider's credential; money counts by what it costs us."""
    from bursar.db.engine import Transaction
    from bursar.entrypoints.commands.finding import provider_id
    from bursar.entrypoints.commands.session import a_uuid, asked, transact
    from bursar.entrypoints.commands.telling import tell
    from bursar.features.budgets import schemas, service
    from bursar.rest.control import Control

    wanted = asked(
        schemas.NewCredentialBudget, name=name, amount=amount, unit=unit, period=period, currency=currency
    )
    credential_id = a_uuid(credential, "CREDENTIAL")

    async def work(control: Control, tx: Transaction) -> schemas.Budget:
        named = await provider_id(tx, provider)
        return await service.create_credential_budget(tx, named, credential_id, wanted, edge=control.edge)

    tell(transact(work), as_json=as_json)


@app.command("list-of-credential")
def list_of_credential(
    provider: Annotated[str, typer.Argument(help="The provider's short name or id.")],
    credential: Annotated[str, typer.Argument(help="The credential's id.")],
    *,
    limit: Limit = 50,
    cursor: Cursor = None,
    as_json: AsJson = False,
) -> None:
    """List a credential's budgets, newest first."""
    from bursar.db.engine import ReadSession
    from bursar.entrypoints.commands.finding import provider_id
    from bursar.entrypoints.commands.session import a_uuid, look, page
    from bursar.entrypoints.commands.telling import tell_page
    from bursar.features.budgets import schemas, service
    from bursar.rest.control import Control
    from bursar.rest.paging import Page

    credential_id = a_uuid(credential, "CREDENTIAL")

    async def work(control: Control, read: ReadSession) -> Page[schemas.Budget]:
        named = await provider_id(read, provider)
        asked_for = page(limit, cursor)
        return await service.list_credential_budgets(read, named, credential_id, asked_for, edge=control.edge)

    columns = ("id", "name", "unit", "amount", "used", "currency", "period", "active", "resets_at")
    tell_page(look(work), columns, as_json=as_json)
