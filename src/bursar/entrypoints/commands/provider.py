"""`bursar provider`: where requests go, and with which credentials."""

import sys
from typing import Annotated

import typer

from bursar.entrypoints.commands.asking import AsJson, Cursor, Limit, Provider

app = typer.Typer(help="Providers and their credentials.", no_args_is_help=True)
credential = typer.Typer(help="A provider's credentials: sealed, never shown.", no_args_is_help=True)
app.add_typer(credential, name="credential")

BaseUrl = Annotated[str | None, typer.Option(help="With the version: https://api.openai.com/v1.")]
Region = Annotated[str | None, typer.Option(help="Where it answers, such as eu.")]
Breaker = Annotated[
    list[str] | None,
    typer.Option(
        help="failures_percent=50, calls_min=20, window_ms, open_ms or probes; may be repeated. All of them: "
        "others are as usual."
    ),
]
OwnKeys = Annotated[
    bool | None,
    typer.Option(
        "--own-keys/--no-own-keys",
        help="Organisations may bring their own credentials. Never for your machines.",
    ),
]
Priority = Annotated[int, typer.Option(help="Lower is tried first.")]


@app.command()
def add(
    slug: Annotated[str, typer.Argument(help="Its short name, such as openai.")],
    kind: Annotated[str, typer.Argument(help="openai, anthropic, mistral …: see docs/providers.md.")],
    *,
    base_url: BaseUrl = None,
    name: Annotated[str | None, typer.Option(help="A longer name.")] = None,
    region: Region = None,
    breaker: Breaker = None,
    own_keys: OwnKeys = None,
    as_json: AsJson = False,
) -> None:
    """Register a provider."""
    from bursar.entrypoints.commands.session import asked, transact
    from bursar.entrypoints.commands.telling import tell
    from bursar.features.providers import schemas, service

    wanted = asked(
        schemas.NewProvider,
        slug=slug,
        kind=kind,
        base_url=base_url,
        name=name,
        region=region,
        breaker=pairs_given(breaker),
        takes_own_keys=own_keys,
    )
    made = transact(lambda control, tx: service.create_provider(tx, wanted, edge=control.edge))
    tell(made, as_json=as_json)


@app.command("list")
def list_all(*, limit: Limit = 50, cursor: Cursor = None, as_json: AsJson = False) -> None:
    """List providers by their short names."""
    from bursar.entrypoints.commands.session import look, page
    from bursar.entrypoints.commands.telling import tell_page
    from bursar.features.providers import service

    found = look(lambda _control, read: service.list_providers(read, page(limit, cursor)))
    tell_page(found, ("id", "slug", "kind", "base_url", "active"), as_json=as_json)


@app.command()
def show(provider: Provider, *, as_json: AsJson = False) -> None:
    """Show one provider."""
    from bursar.db.engine import ReadSession
    from bursar.entrypoints.commands.finding import provider_id
    from bursar.entrypoints.commands.session import look
    from bursar.entrypoints.commands.telling import tell
    from bursar.features.providers import schemas, service
    from bursar.rest.control import Control

    async def work(_control: Control, read: ReadSession) -> schemas.Provider:
        return await service.get_provider(read, await provider_id(read, provider))

    tell(look(work), as_json=as_json)


@app.command()
def change(
    provider: Provider,
    *,
    base_url: BaseUrl = None,
    name: Annotated[str | None, typer.Option(help="A longer name.")] = None,
    active: Annotated[bool | None, typer.Option("--active/--inactive", help="Switch it on or off.")] = None,
    region: Region = None,
    breaker: Breaker = None,
    own_keys: OwnKeys = None,
    as_json: AsJson = False,
) -> None:
    """Change a provider, or switch it off."""
    from bursar.db.engine import Transaction
    from bursar.entrypoints.commands.finding import provider_id
    from bursar.entrypoints.commands.session import asked, transact
    from bursar.entrypoints.commands.telling import tell
    from bursar.features.providers import schemas, service
    from bursar.rest.control import Control

    wanted = asked(
        schemas.ProviderChange,
        base_url=base_url,
        name=name,
        active=active,
        region=region,
        breaker=pairs_given(breaker),
        takes_own_keys=own_keys,
    )

    async def work(_control: Control, tx: Transaction) -> schemas.Provider:
        return await service.change_provider(tx, await provider_id(tx, provider), wanted)

    tell(transact(work), as_json=as_json)


def pairs_given(pairs: list[str] | None) -> dict[str, str] | None:
    """`name=value` options as one object; None when there are none."""
    return dict(pair.partition("=")[::2] for pair in pairs) if pairs else None


@app.command()
def health(*, as_json: AsJson = False) -> None:
    """Show what the gateways say of each provider now."""
    from bursar.db.engine import ReadSession
    from bursar.entrypoints.commands.session import look
    from bursar.entrypoints.commands.telling import tell_page
    from bursar.features.providers.health import ProviderHealth, providers_health
    from bursar.rest.control import Control
    from bursar.rest.paging import Page

    async def work(control: Control, read: ReadSession) -> Page[ProviderHealth]:
        return Page(items=(await providers_health(read, now=control.edge.now())).items)

    tell_page(look(work), ("slug", "state", "calls", "failures", "refused"), as_json=as_json)


@credential.command("add")
def add_credential(
    provider: Provider,
    *,
    from_env: Annotated[
        str | None,
        typer.Option(help="Environment variable that holds it. Absent: asked for, or read from a pipe."),
    ] = None,
    priority: Priority = 100,
    as_json: AsJson = False,
) -> None:
    """Add a credential. It never appears on the command line, where others could see it."""
    from bursar.db.engine import Transaction
    from bursar.entrypoints.commands.finding import provider_id
    from bursar.entrypoints.commands.session import asked, transact
    from bursar.entrypoints.commands.telling import tell
    from bursar.features.providers import schemas, service
    from bursar.rest.control import Control

    wanted = asked(schemas.NewCredential, secret=secret_given(from_env), priority=priority)

    async def work(control: Control, tx: Transaction) -> schemas.Credential:
        return await service.add_credential(tx, await provider_id(tx, provider), wanted, control=control)

    tell(transact(work), as_json=as_json)


def secret_given(from_env: str | None) -> str:
    """Take a secret from the environment, a pipe, or a prompt that does not echo."""
    import os

    from bursar.entrypoints.commands.session import EXIT_USAGE, refuse

    if from_env is not None:
        if not os.environ.get(from_env):
            refuse("credential_invalid", f"{from_env} is not set", EXIT_USAGE)
        return os.environ[from_env]
    if not sys.stdin.isatty():
        return sys.stdin.readline().strip()
    return str(typer.prompt("credential", hide_input=True))


@credential.command("list")
def list_credentials(provider: Provider, *, as_json: AsJson = False) -> None:
    """List credentials in the order they are tried: hints only."""
    from bursar.db.engine import ReadSession
    from bursar.entrypoints.commands.finding import provider_id
    from bursar.entrypoints.commands.session import look
    from bursar.entrypoints.commands.telling import tell_page
    from bursar.features.providers import schemas, service
    from bursar.rest.control import Control
    from bursar.rest.paging import Page

    async def work(_control: Control, read: ReadSession) -> Page[schemas.Credential]:
        found = await service.list_credentials(read, await provider_id(read, provider))
        return Page(items=found)

    tell_page(look(work), ("id", "hint", "active", "priority", "created_at"), as_json=as_json)


@credential.command("change")
def change_credential(
    provider: Provider,
    credential_id: Annotated[str, typer.Argument(help="The credential's id.")],
    *,
    active: Annotated[bool | None, typer.Option("--active/--inactive", help="Switch it on or off.")] = None,
    priority: Annotated[int | None, typer.Option(help="Lower is tried first.")] = None,
    as_json: AsJson = False,
) -> None:
    """Switch a credential off or on, or change its place."""
    from bursar.db.engine import Transaction
    from bursar.entrypoints.commands.finding import provider_id
    from bursar.entrypoints.commands.session import a_uuid, asked, transact
    from bursar.entrypoints.commands.telling import tell
    from bursar.features.providers import schemas, service
    from bursar.rest.control import Control

    wanted = asked(schemas.CredentialChange, active=active, priority=priority)
    number = a_uuid(credential_id, "CREDENTIAL_ID")

    async def work(_control: Control, tx: Transaction) -> schemas.Credential:
        return await service.change_credential(tx, await provider_id(tx, provider), number, wanted)

    tell(transact(work), as_json=as_json)
