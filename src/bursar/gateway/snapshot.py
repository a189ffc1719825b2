"""What the gateway knows without asking: keys, models, routes, prices. Replaced whole when they change.

Memory and load time grow linearly with keys (about 500 bytes each) and prices; looking one up does not.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fnmatch import fnmatchcase
from functools import partial
from typing import Any, Final, TypeVar
from uuid import UUID

import structlog

from bursar.adapters.providers import Deployment, Provider
from bursar.adapters.upstream import Timeouts
from bursar.core.addresses import Networks
from bursar.core.breaker import DEFAULT_RULE, BreakerRule
from bursar.core.fees import Fee, FeeBook
from bursar.core.payer import Basis, Outcome, OutcomePolicy, Payment
from bursar.core.pricing import PriceBook, PriceRow
from bursar.core.routing import MARGIN_SCALE, Strategy
from bursar.core.service import UNSAID, Service
from bursar.core.usage import Meter
from bursar.gateway.limit_rules import KeyLimits, Limits, RuleBook, addresses_of

log = structlog.get_logger()

T = TypeVar("T")

Rows = Mapping[str, Sequence[Mapping[str, Any]]]

OUTPUT_TOKENS_UNKNOWN: Final = 16_384  # the bound of a model whose limit nobody entered


DEFAULT_TIMEOUTS: Final = Timeouts()
NOBODY: Final = UUID(int=0)
MARGIN_SETTING: Final = "min_margin_percent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Where one organisation's requests may go, and on whose credentials; see `bursar.gateway.own_keys`.

    `credentials`: its own by provider, best first; none for a provider: it has some that nobody can open.
    `routes`: routes made to run on them, by the route's id; at most as many as there are routes.
    """

    credentials: "Mapping[UUID, tuple[Credential, ...]]"
    falls_back: bool = False
    allowed_providers: frozenset[UUID] | None = None
    allowed_regions: frozenset[str] | None = None
    routes: "dict[UUID, Route]" = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord:
    """One API key and the wallet that pays for it; `asset` is the wallet's and its prices' currency.

    `limits`: None when there are none but `requests_per_min`. `addresses`: where it may be used from, None:
    everywhere.
    `project_id`, `team_id`: where the key is; None: in no project.
    `rules`: None for an organisation that has none. `keeps_responses`: answers are kept to be referred to.
    """

    api_key_id: UUID
    organisation_id: UUID
    wallet_id: UUID
    asset: str
    expires_at_ms: int | None
    allowed_models: frozenset[str] | None
    allowed_patterns: tuple[str, ...]
    requests_per_min: int | None
    policy: OutcomePolicy
    rules: Rules | None = None
    keeps_responses: bool = False
    limits: KeyLimits | None = None
    addresses: Networks | None = None
    project_id: UUID | None = None
    team_id: UUID | None = None

    def allows(self, *names: str) -> bool:
        """True when the key is not restricted, or one of the model's names is on its list."""
        if self.allowed_models is None:
            return True
        return any(
            name in self.allowed_models
            or any(fnmatchcase(name, pattern) for pattern in self.allowed_patterns)
            for name in names
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """`version` changes whenever its row does. `is_own`: it is an organisation's, not ours."""

    credential_id: UUID
    secret: str = field(repr=False)
    priority: int = 100
    version: str = ""
    is_own: bool = False
    limits: Limits | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One way to serve a model: a deployment and the credentials to reach it with, best first.

    `slug`: the provider's short name. `margin_floor`: the least sale over cost, in `MARGIN_SCALE`. `lanes`:
    what `bursar.gateway.routing` knows of it with each credential, in their order; empty until it was asked.
    `is_own`: its credentials are an organisation's own.
    """

    provider_id: UUID
    provider: Provider
    deployment: Deployment
    credentials: tuple[Credential, ...]
    timeouts: Timeouts
    aborts_stop_billing: bool
    route_id: UUID = NOBODY
    slug: str = ""
    priority: int = 100
    weight: int = 1
    region: str | None = None
    margin_floor: int | None = None
    breaker: BreakerRule = DEFAULT_RULE
    is_own: bool = False
    lanes: list[Any] = field(init=False, default_factory=list, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRecord:
    """`lacks`: what its capabilities say `false` to."""

    name: str
    created_s: int
    output_tokens_max: int
    has_own_limit: bool
    is_retired: bool
    successor: str | None
    routes: tuple[Route, ...]
    strategy: Strategy = Strategy.PRIORITY
    fallbacks: tuple[str, ...] = ()
    context_window: int | None = None
    display_name: str = ""
    lacks: frozenset[str] = frozenset()
    services: frozenset[Service] = UNSAID


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """`keys` by SHA-256 of the secret, `models` by name and alias."""

    keys: Mapping[bytes, KeyRecord]
    models: Mapping[str, ModelRecord]
    prices: PriceBook
    fees: FeeBook = field(default_factory=FeeBook)

    def key(self, secret: bytes) -> KeyRecord | None:
        return self.keys.get(hashlib.sha256(secret).digest())


def build(
    rows: Rows,
    providers: Mapping[str, Provider],
    open_secret: Callable[[bytes], str],
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
) -> Snapshot:
    """Build a snapshot from `Books.load_snapshot()`; what cannot be used is left out and logged by id.

    `timeouts` are those of providers that set none of their own.
    """
    book = RuleBook(rows)
    credentials = _credentials(rows["credentials"], open_secret, book)
    routes = _routes(rows, providers, credentials, timeouts)
    models = {model.name: model for model in _usable("model", rows["models"], partial(_model, routes))}
    aliases = {row["alias"]: models[row["model_id"]] for row in rows["aliases"] if row["model_id"] in models}
    rules = _rules(rows, open_secret)
    return Snapshot(
        keys=dict(_usable("key", rows["keys"], partial(_key, rules, book))),
        models={**aliases, **models},
        prices=PriceBook(_usable("price", rows["prices"], price_row)),
        fees=FeeBook(_usable("fee", rows.get("fees", ()), fee_row)),
    )


def _usable(
    kind: str, rows: Iterable[Mapping[str, Any]], make: Callable[[Mapping[str, Any]], T]
) -> Iterator[T]:
    """What `make` makes of each row it can use; one odd row must not keep the others from being known."""
    for row in rows:
        try:
            yield make(row)
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            said = f"{type(error).__name__}: {error}"  # no traceback: its frames hold secrets
            log.error("snapshot.row_unusable", kind=kind, id=str(row.get("id")), error=said)  # noqa: TRY400 - see above


def _key(rules: Mapping[UUID, Rules], book: RuleBook, row: Mapping[str, Any]) -> tuple[bytes, KeyRecord]:
    allowed = row["allowed_models"]
    limits = row["limits"] or {}
    requests_per_min = limits.get("requests_per_min")
    if not isinstance(requests_per_min, int | None):
        raise TypeError("requests_per_min is not a whole number")
    return bytes(row["secret_sha256"]), KeyRecord(
        api_key_id=row["id"],
        organisation_id=row["organisation_id"],
        wallet_id=row["wallet_id"],
        asset=row["asset"],
        expires_at_ms=row["expires_at_ms"],
        allowed_models=None if allowed is None else frozenset(allowed),
        allowed_patterns=tuple(name for name in allowed or () if any(mark in name for mark in "*?[")),
        requests_per_min=requests_per_min,
        policy=_policy(row["outcome_policy"] or {}),
        rules=rules.get(row["organisation_id"]),
        limits=book.of_key(row),
        addresses=addresses_of(row),
        keeps_responses=row.get("store_responses") is True,
        project_id=row.get("project_id"),
        team_id=row.get("team_id"),
    )


def _rules(rows: Rows, open_secret: Callable[[bytes], str]) -> dict[UUID, Rules]:
    """By organisation.

    A credential that cannot be opened, or is no longer taken, still claims its provider: ours is no stand-in.
    """
    owned = rows.get("own_credentials", ())
    claims: dict[UUID, dict[UUID, tuple[Credential, ...]]] = {}
    for row in owned:
        claims.setdefault(row["organisation_id"], {})[row["provider_id"]] = ()

    def opened(row: Mapping[str, Any]) -> tuple[UUID, UUID, Credential]:
        credential = Credential(
            credential_id=row["id"],
            secret=open_secret(bytes(row["sealed"])),
            priority=row["priority"],
            version=row["version"],
            is_own=True,
        )
        return row["organisation_id"], row["provider_id"], credential

    taken = [row for row in owned if row["is_taken"]]
    for organisation_id, provider_id, credential in _usable("own_credential", taken, opened):
        claims[organisation_id][provider_id] += (credential,)
    return {
        row["id"]: Rules(
            credentials=claims.get(row["id"], {}),
            falls_back=row["own_keys_fall_back"],
            allowed_providers=_some(row["allowed_providers"]),
            allowed_regions=_some(row["allowed_regions"]),
        )
        for row in rows.get("rules", ())
    }


def _some(listed: Sequence[T] | None) -> frozenset[T] | None:
    return None if listed is None else frozenset(listed)


def _policy(stored: Mapping[str, Mapping[str, Any]]) -> OutcomePolicy:
    return {
        Outcome(outcome): Payment(
            Basis(row["sale"]), Basis(row["cost"]), within_hold=bool(row.get("within_hold", False))
        )
        for outcome, row in stored.items()
    }


def _credentials(
    rows: Iterable[Mapping[str, Any]], open_secret: Callable[[bytes], str], book: RuleBook
) -> dict[UUID, list[Credential]]:
    def opened(row: Mapping[str, Any]) -> tuple[UUID, Credential]:
        secret = open_secret(bytes(row["sealed"]))
        return row["provider_id"], Credential(
            credential_id=row["id"],
            secret=secret,
            priority=row.get("priority", 100),
            version=row.get("version", ""),
            limits=book.of_credential(row),
        )

    found: dict[UUID, list[Credential]] = {}
    for provider_id, credential in _usable("credential", rows, opened):
        found.setdefault(provider_id, []).append(credential)
    return found


def _routes(
    rows: Rows,
    providers: Mapping[str, Provider],
    credentials: Mapping[UUID, list[Credential]],
    timeouts: Timeouts,
) -> dict[str, tuple[Route, ...]]:
    offered = {row["id"]: row for row in rows["providers"]}
    limits = {row["id"]: row["output_tokens_max"] or OUTPUT_TOKENS_UNKNOWN for row in rows["models"]}
    floor_of = _floors(rows)

    def made(row: Mapping[str, Any]) -> Route | None:
        provider = offered.get(row["provider_id"])
        if provider is None or row["model_id"] not in limits:
            return None
        adapter = providers.get(provider["kind"])
        if adapter is None:
            log.warning("provider.kind_not_served", provider_id=str(provider["id"]), kind=provider["kind"])
            return None
        return Route(
            provider_id=provider["id"],
            provider=adapter,
            deployment=_deployment(row, provider, limits[row["model_id"]]),
            credentials=_credentials_of(row, credentials.get(provider["id"], ())),
            timeouts=_timeouts(timeouts, provider["timeouts"] or {}),
            aborts_stop_billing=provider["aborts_stop_billing"],
            route_id=row["id"],
            slug=provider["slug"],
            priority=row.get("priority", 100),
            weight=row["weight"],
            region=row.get("region") or provider.get("region"),
            margin_floor=floor_of(row),
            breaker=_breaker(provider),
        )

    found: dict[str, list[Route]] = {}
    for route in _usable("route", rows["routes"], made):
        if route is not None:
            found.setdefault(route.deployment.model, []).append(route)
    return {model: tuple(routes) for model, routes in found.items()}


def _credentials_of(route: Mapping[str, Any], credentials: Sequence[Credential]) -> tuple[Credential, ...]:
    """All of the provider's, or the only one the route names."""
    only = route.get("credential_id")
    return tuple(one for one in credentials if only is None or one.credential_id == only)


def _breaker(provider: Mapping[str, Any]) -> BreakerRule:
    """The provider's own rule; one that makes no sense must not cost its routes."""
    try:
        return BreakerRule(**(provider.get("breaker") or {}))
    except (TypeError, ValueError) as error:
        log.error("snapshot.breaker_unusable", provider_id=str(provider["id"]), error=str(error))  # noqa: TRY400 - its value says it all
        return DEFAULT_RULE


def _floors(rows: Rows) -> Callable[[Mapping[str, Any]], int | None]:
    """A route's margin floor: its own, else its model's, else the setting's."""
    general = next((row["value"] for row in rows["settings"] if row["key"] == MARGIN_SETTING), None)
    by_model = {row["id"]: row.get("min_margin_percent") for row in rows["models"]}

    def floor_of(route: Mapping[str, Any]) -> int | None:
        said = (route.get("min_margin_percent"), by_model.get(route["model_id"]), general)
        percent = next((one for one in said if one is not None), None)
        return None if percent is None else int(Decimal(str(percent)) * (MARGIN_SCALE // 100))

    return floor_of


def _deployment(route: Mapping[str, Any], provider: Mapping[str, Any], output_tokens_max: int) -> Deployment:
    return Deployment(
        model=route["model_id"],
        provider_model=route["provider_model"],
        base_url=provider["base_url"].rstrip("/"),
        output_tokens_max=output_tokens_max,
    )


def _timeouts(default: Timeouts, stored: Mapping[str, Any]) -> Timeouts:
    if not all(isinstance(limit_ms, int) and limit_ms > 0 for limit_ms in stored.values()):
        raise ValueError("a time-out is a whole number of milliseconds above 0")
    return replace(default, **stored)


def _model(routes: Mapping[str, tuple[Route, ...]], row: Mapping[str, Any]) -> ModelRecord:
    return ModelRecord(
        name=row["id"],
        created_s=row["created_s"],
        output_tokens_max=row["output_tokens_max"] or OUTPUT_TOKENS_UNKNOWN,
        has_own_limit=row["output_tokens_max"] is not None,
        is_retired=row["status"] == "retired",
        successor=row["successor"],
        routes=routes.get(row["id"], ()),
        strategy=Strategy(row.get("strategy", "priority")),
        fallbacks=tuple(row.get("fallbacks", ())),
        context_window=row["context_window"],
        display_name=row["display_name"],
        lacks=frozenset(name for name, has in (row.get("capabilities") or {}).items() if has is False),
        services=_services(row.get("capabilities") or {}),
    )


def _services(capabilities: Mapping[str, Any]) -> frozenset[Service]:
    """What the model does; those this version does not know are left out, so a newer one may add some."""
    said = capabilities.get("services")
    return UNSAID if said is None else frozenset(service for service in Service if service in said)


def price_row(row: Mapping[str, Any]) -> PriceRow:
    """A stored price as rating and explaining want it."""
    return PriceRow(
        price_id=row["id"],
        provider_id=row["provider_id"],
        model=row["model"],
        meter=Meter(row["meter"]),
        currency=row["currency"],
        effective_from_ms=row["effective_from_ms"],
        tier_from=row["tier_from"],
        cost_atto=int(row["cost_atto"]),
        sale_atto=int(row["sale_atto"]),
    )


def fee_row(row: Mapping[str, Any]) -> Fee:
    """A stored platform fee as rating and explaining want it."""
    return Fee(
        fee_id=row["id"],
        organisation_id=row["organisation_id"],
        currency=row["currency"],
        effective_from_ms=row["effective_from_ms"],
        millionths=row["millionths"],
        fixed_atto=int(row["fixed_atto"]),
    )
