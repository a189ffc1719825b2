"""What `make demo` finds in its database: providers, models, prices, money, a key, a token.

Everything is looked for before it is made, so a second run changes nothing. Secrets are
shown only when they are issued; the demo keeps its own in a file that only its owner can read, written before
the commit.
"""

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import UUID

import sqlalchemy as sa
from pydantic import SecretStr

from bursar.core.lots import LotKind
from bursar.core.money import parse_amount
from bursar.core.permissions import OperatorRole
from bursar.db.engine import ReadSession, Transaction
from bursar.db.ledger import Booking, NewLot, top_up
from bursar.db.tables import api_key, operator_token, route
from bursar.features.accounts.administration import NewPerson, add_person
from bursar.features.keys.schemas import NewKey
from bursar.features.keys.service import create_key
from bursar.features.models.loading import load_catalogue
from bursar.features.models.schemas import CatalogueLoad, NewModel, NewRoute, Route, RouteChange
from bursar.features.models.service import (
    ModelNotFound,
    change_route,
    create_model,
    create_route,
    get_model,
    get_route,
)
from bursar.features.operators.schemas import NewToken
from bursar.features.operators.service import create_token
from bursar.features.organisations.schemas import NewOrganisation
from bursar.features.organisations.service import create_organisation, list_organisations
from bursar.features.prices.importing import import_prices
from bursar.features.prices.schemas import ImportAsked
from bursar.features.providers.kinds import Kind
from bursar.features.providers.schemas import (
    CredentialChange,
    NewCredential,
    NewProvider,
    Provider,
    ProviderChange,
)
from bursar.features.providers.service import (
    ProviderNotFound,
    add_credential,
    change_credential,
    change_provider,
    create_provider,
    find_provider,
    hint_of,
    list_credentials,
)
from bursar.rest.account_opening import EmailTaken
from bursar.rest.control import Control
from bursar.rest.paging import PAGE_LIMIT_MAX, PageAsked
from bursar.rest.secret_text import digest_of
from bursar.settings import SECRET_FILE_MODE, Settings

ORGANISATION = "Demo"
OPENING_BALANCE = "100.00"
OPERATOR = "operator@demo.example"
REQUESTS_PER_MINUTE = 600
MAKERS = {"openai": "OpenAI", "anthropic": "Anthropic", "google": "Google"}
KINDS: dict[str, Kind] = {"openai": "openai", "anthropic": "anthropic", "google": "gemini"}
SIMULATED_PATHS = {"openai": "/openai/v1", "anthropic": "/anthropic/v1", "google": "/gemini/v1beta"}
SIMULATED_SECRETS = {
    "openai": "sk-simulated-openai",
    "anthropic": "sk-ant-simulated",
    "google": "AIzaSimulatedGoogle",
}
# One model per maker that is shown, and that stays simulated under a name of its own beside the real maker.
SHOWN_MODELS = {
    "openai": "gpt-4.1-mini",
    "anthropic": "claude-haiku-4-5",
    "google": "gemini-3.5-flash-lite",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """What was issued to the demo's user."""

    key: str
    operator_token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Seeded:
    """What the demo prints. `models` maps a model's name to what answers it; `operator`: his mail address."""

    secrets: Secrets
    models: dict[str, str]
    operator: str


async def seed(control: Control, settings: Settings, simulator_url: str) -> Seeded:
    """Make whatever is missing; `simulator_url` is where the simulated providers listen now."""
    kept = settings.data_dir / "demo.json"
    secrets = await secrets_of_before(control, kept)
    async with control.database.transaction(operator=True) as tx:
        models = await seed_providers(tx, control, settings, simulator_url)
        organisation_id = await seed_organisation(tx, control)
        secrets = secrets or await new_secrets(tx, control, kept, organisation_id)
    async with control.database.transaction(accounts=True) as tx:
        await seed_operator(tx, control)
    return Seeded(secrets=secrets, models=models, operator=OPERATOR)


async def seed_operator(tx: Transaction, control: Control) -> None:
    """A person who may run the place; he has no password until somebody here gives him one."""
    wanted = NewPerson(email=OPERATOR, name="Demo operator", operator_role=OperatorRole.SUPERADMIN)
    with suppress(EmailTaken):
        await add_person(tx, control, wanted)


async def seed_providers(
    tx: Transaction, control: Control, settings: Settings, simulator_url: str
) -> dict[str, str]:
    real_secrets = {
        "openai": settings.openai_api_key,
        "anthropic": settings.anthropic_api_key,
        "google": settings.gemini_api_key,
    }
    simulated = {
        maker: await simulated_provider(tx, control, maker, simulator_url + SIMULATED_PATHS[maker])
        for maker in SHOWN_MODELS
    }
    real = {maker: await real_provider(tx, control, maker, real_secrets[maker]) for maker in SHOWN_MODELS}
    by_name = {maker: provider.slug for maker, provider in simulated.items()}
    await load_catalogue(tx, CatalogueLoad(providers=by_name), edge=control.edge)
    await load_catalogue(tx, CatalogueLoad(), edge=control.edge)
    models = {}
    for maker, shown in SHOWN_MODELS.items():
        if real[maker] is None:
            models[shown] = f"{MAKERS[maker]} type, simulated"
            continue
        await prefer_real(tx, simulated[maker])
        models[shown] = f"{MAKERS[maker]} itself: costs real money"
        models[f"simulated-{shown}"] = f"{MAKERS[maker]} type, simulated"
        await name_simulated(tx, control, simulated[maker], shown)
    await import_prices(tx, ImportAsked(), control=control)
    return models


async def simulated_provider(tx: Transaction, control: Control, maker: str, base_url: str) -> Provider:
    slug = f"simulated-{maker}"
    try:
        provider = await find_provider(tx, slug)
    except ProviderNotFound:
        wanted = NewProvider(slug=slug, kind=KINDS[maker], base_url=base_url)
        provider = await create_provider(tx, wanted, edge=control.edge)
        secret = NewCredential(secret=SecretStr(SIMULATED_SECRETS[maker]))
        await add_credential(tx, provider.id, secret, control=control)
        return provider
    if provider.base_url == base_url:
        return provider
    return await change_provider(tx, provider.id, ProviderChange(base_url=base_url))


async def real_provider(tx: Transaction, control: Control, maker: str, secret: SecretStr) -> Provider | None:
    """The maker itself, if the environment has or once had a credential for it; the newest is used."""
    given = secret.get_secret_value()
    try:
        provider = await find_provider(tx, maker)
    except ProviderNotFound:
        if not given:
            return None
        wanted = NewProvider(slug=maker, kind=KINDS[maker])
        provider = await create_provider(tx, wanted, edge=control.edge)
    known = await list_credentials(ReadSession(tx), provider.id)
    if given and hint_of(given) not in {one.hint for one in known if one.active}:
        for old in known:
            await change_credential(tx, provider.id, old.id, CredentialChange(active=False))
        await add_credential(tx, provider.id, NewCredential(secret=secret), control=control)
    return provider


async def prefer_real(tx: Transaction, simulated: Provider) -> None:
    """Stop answering a maker's own model names with simulated answers."""
    for one in await routes_to(tx, simulated.id):
        if one.active and not one.model_id.startswith("simulated-"):
            await change_route(tx, one.id, RouteChange(active=False))


async def routes_to(tx: Transaction, provider_id: UUID) -> list[Route]:
    ids = (await tx.execute(sa.select(route.c.id).where(route.c.provider_id == provider_id))).scalars()
    return [await get_route(tx, route_id) for route_id in ids]


async def name_simulated(tx: Transaction, control: Control, simulated: Provider, shown: str) -> None:
    name = f"simulated-{shown}"
    try:
        await get_model(tx, name)
    except ModelNotFound:
        await create_model(tx, NewModel(id=name), edge=control.edge)
        wanted = NewRoute(model_id=name, provider_id=simulated.id, provider_model=shown)
        await create_route(tx, wanted, edge=control.edge)


async def seed_organisation(tx: Transaction, control: Control) -> UUID:
    """The demo's organisation, with its opening balance paid in once."""
    asked = PageAsked(limit=PAGE_LIMIT_MAX, cursor=None)
    found = await list_organisations(ReadSession(tx), asked, name_contains=ORGANISATION)
    here = next((one for one in found.items if one.name == ORGANISATION), None)
    if here is None:
        here = await create_organisation(tx, NewOrganisation(name=ORGANISATION), edge=control.edge)
    booking = Booking(
        wallet_id=here.wallet_id,
        key="demo opening balance",
        now=control.edge.now(),
        description="Opening balance of the demo",
    )
    amount = parse_amount(OPENING_BALANCE, here.currency)
    await top_up(tx, booking, NewLot(lot_id=control.edge.new_id(), amount=amount, kind=LotKind.PURCHASE))
    return here.id


async def secrets_of_before(control: Control, kept: Path) -> Secrets | None:
    """The key and the token of the last run, if they still open something."""
    before = read_secrets(kept)
    if before is None:
        return None
    async with control.database.read(accounts=True) as read:  # operators do not see what a token's hash is
        return before if await opens(read, before) else None


async def new_secrets(tx: Transaction, control: Control, kept: Path, organisation_id: UUID) -> Secrets:
    wanted = NewKey(name="demo", requests_per_minute=REQUESTS_PER_MINUTE)
    key = await create_key(tx, organisation_id, wanted, control=control, sets_limits=True)
    token = await create_token(tx, NewToken(name="demo"), edge=control.edge)
    secrets = Secrets(key=key.secret, operator_token=token.secret)
    write_secrets(kept, secrets)
    return secrets


async def opens(read: ReadSession, secrets: Secrets) -> bool:
    key = sa.select(api_key.c.id).where(api_key.c.key_hash == digest_of(secrets.key), api_key.c.active)
    token = sa.select(operator_token.c.id).where(
        operator_token.c.token_hash == digest_of(secrets.operator_token),
        operator_token.c.revoked_at.is_(None),
    )
    return bool((await read.execute(key)).first() and (await read.execute(token)).first())


def read_secrets(kept: Path) -> Secrets | None:
    if not kept.exists():
        return None
    return Secrets(**json.loads(kept.read_text()))


def write_secrets(kept: Path, secrets: Secrets) -> None:
    """Replace the file at once; nobody else may read it at any moment."""
    draft = kept.with_suffix(".new")
    with os.fdopen(os.open(draft, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, SECRET_FILE_MODE), "w") as file:
        json.dump(asdict(secrets), file)
    draft.replace(kept)
