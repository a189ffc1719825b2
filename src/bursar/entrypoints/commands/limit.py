"""`bursar limit`: limits by the minute and at once, and where a key may be used from."""

from typing import Annotated

import typer

from bursar.entrypoints.commands.asking import AsJson, MemberOption, Organisation, ProjectOption, TeamOption

app = typer.Typer(
    help="Limits of organisations, groups, members, keys and credentials: requests, tokens, at once.",
    no_args_is_help=True,
)

KeyOption = Annotated[str | None, typer.Option("--key", help="Of this key alone: its id.")]
Provider = Annotated[str, typer.Argument(help="The provider's short name or id.")]
Credential = Annotated[str, typer.Argument(help="The credential's id.")]
Requests = Annotated[int | None, typer.Option("--requests-per-minute", help="Absent: not limited.")]
RequestsBurst = Annotated[int | None, typer.Option(help="Most requests at once; a minute's worth if absent.")]
Tokens = Annotated[int | None, typer.Option("--tokens-per-minute", help="Absent: not limited.")]
TokensBurst = Annotated[int | None, typer.Option(help="Most tokens at once; a minute's worth if absent.")]
Concurrent = Annotated[int | None, typer.Option(help="Most requests under way. Absent: not limited.")]
Address = Annotated[
    list[str] | None,
    typer.Option("--address", help="With --key: a network it may be used from; may be repeated."),
]


@app.command()
def show(
    organisation: Organisation,
    *,
    key: KeyOption = None,
    member: MemberOption = None,
    project: ProjectOption = None,
    team: TeamOption = None,
    as_json: AsJson = False,
) -> None:
    """Show limits and budgets as they stand: limit, used, and when they start anew (UTC)."""
    from bursar.db.engine import ReadSession
    from bursar.entrypoints.commands.finding import group_of, only_one, organisation_id
    from bursar.entrypoints.commands.session import a_uuid, look
    from bursar.features.limits import schemas, service
    from bursar.rest.control import Control

    groups = only_one(member=member, project=project, team=team, key=key)
    key_id = None if key is None else a_uuid(key, "--key")

    async def work(control: Control, read: ReadSession) -> schemas.Limits:
        named = await organisation_id(read, organisation)
        group = await group_of(read, named, groups)
        if group is not None:
            return await service.group_standing(read, group, control=control)
        if key_id is None:
            return await service.organisation_standing(read, named, control=control)
        return await service.key_standing(read, named, key_id, control=control)

    _tell(look(work), as_json=as_json)


@app.command("show-credential")
def show_credential(provider: Provider, credential: Credential, *, as_json: AsJson = False) -> None:
    """Show a credential's limits and budgets as they stand."""
    from bursar.db.engine import ReadSession
    from bursar.entrypoints.commands.finding import provider_id
    from bursar.entrypoints.commands.session import a_uuid, look
    from bursar.features.limits import schemas, service
    from bursar.rest.control import Control

    credential_id = a_uuid(credential, "CREDENTIAL")

    async def work(control: Control, read: ReadSession) -> schemas.Limits:
        named = await provider_id(read, provider)
        return await service.credential_standing(read, named, credential_id, control=control)

    _tell(look(work), as_json=as_json)


@app.command("set")
def set_limits(
    organisation: Organisation,
    *,
    key: KeyOption = None,
    member: MemberOption = None,
    project: ProjectOption = None,
    team: TeamOption = None,
    requests_per_minute: Requests = None,
    requests_burst: RequestsBurst = None,
    tokens_per_minute: Tokens = None,
    tokens_burst: TokensBurst = None,
    concurrent: Concurrent = None,
    address: Address = None,
    as_json: AsJson = False,
) -> None:
    """Limit an organisation, a key, or the keys of a member, a project or a team; what is left out is not.

    What narrows a key to models or providers stays as it is; the API sets that.
    """
    from bursar.db.engine import Transaction
    from bursar.entrypoints.commands.finding import group_of, only_one, organisation_id
    from bursar.entrypoints.commands.session import a_uuid, asked, refuse, transact
    from bursar.entrypoints.commands.telling import tell
    from bursar.features.limits import schemas, service
    from bursar.rest.control import Control
    from bursar.rest.limit_fields import Rates

    rates = {
        "requests_per_minute": requests_per_minute,
        "requests_burst": requests_burst,
        "tokens_per_minute": tokens_per_minute,
        "tokens_burst": tokens_burst,
        "concurrent": concurrent,
    }
    if key is None and address:
        refuse("invalid_request", "--address: goes with --key", 2)
    groups = only_one(member=member, project=project, team=team, key=key)
    key_id = None if key is None else a_uuid(key, "--key")
    wanted = asked(Rates, **rates)
    of_key = asked(schemas.KeyLimits, **rates, allowed_addresses=address or None)

    async def work(_control: Control, tx: Transaction) -> Rates:
        named = await organisation_id(tx, organisation)
        group = await group_of(tx, named, groups)
        if group is not None:
            return await service.set_group_limits(tx, group, wanted)
        if key_id is None:
            return await service.set_organisation_limits(tx, named, wanted)
        now = await service.key_limits(tx, named, key_id)
        kept = of_key.model_copy(update={"models": now.models, "providers": now.providers})
        return await service.set_key_limits(tx, named, key_id, kept)

    tell(transact(work), as_json=as_json)


@app.command("set-credential")
def set_credential(
    provider: Provider,
    credential: Credential,
    *,
    requests_per_minute: Requests = None,
    requests_burst: RequestsBurst = None,
    tokens_per_minute: Tokens = None,
    tokens_burst: TokensBurst = None,
    concurrent: Concurrent = None,
    as_json: AsJson = False,
) -> None:
    """Limit a provider's credential: at its limit, requests go elsewhere."""
    from bursar.db.engine import Transaction
    from bursar.entrypoints.commands.finding import provider_id
    from bursar.entrypoints.commands.session import a_uuid, asked, transact
    from bursar.entrypoints.commands.telling import tell
    from bursar.features.limits import service
    from bursar.rest.control import Control
    from bursar.rest.limit_fields import Rates

    wanted = asked(
        Rates,
        requests_per_minute=requests_per_minute,
        requests_burst=requests_burst,
        tokens_per_minute=tokens_per_minute,
        tokens_burst=tokens_burst,
        concurrent=concurrent,
    )
    credential_id = a_uuid(credential, "CREDENTIAL")

    async def work(_control: Control, tx: Transaction) -> Rates:
        return await service.set_credential_limits(tx, await provider_id(tx, provider), credential_id, wanted)

    tell(transact(work), as_json=as_json)


def _tell(limits: object, *, as_json: bool) -> None:
    from bursar.entrypoints.commands.telling import tell_rows
    from bursar.features.limits.schemas import Limits

    stand = Limits.model_validate(limits)
    if as_json:
        typer.echo(stand.model_dump_json(indent=2))
        return
    columns = ("scope", "kind", "name", "limit", "used", "currency", "resets_at", "counted_in")
    tell_rows([item.model_dump(mode="json") for item in stand.items], columns)
