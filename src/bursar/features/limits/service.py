"""Limits: set as a whole, shown as they stand."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID

import sqlalchemy as sa

from bursar.core.limits import Kind, Period, Rule, Standing, Unit, period_bounds, rules_of
from bursar.core.money import format_amount
from bursar.db.engine import ReadSession, Transaction
from bursar.features.limits import queries
from bursar.features.limits.schemas import KeyLimits, Limit, Limits
from bursar.rest.control import Control
from bursar.rest.fields import moment_of_ms
from bursar.rest.limit_fields import Rates, shown_rates, stored_rates
from bursar.rest.problems import Invalid, NotFound

Read = ReadSession | Transaction


class OrganisationNotFound(NotFound):
    code = "organisation_not_found"

    def __init__(self) -> None:
        super().__init__("There is no organisation with this id.")


class KeyNotFound(NotFound):
    code = "key_not_found"

    def __init__(self) -> None:
        super().__init__("This organisation has no key with this id.")


class CredentialNotFound(NotFound):
    code = "credential_not_found"

    def __init__(self) -> None:
        super().__init__("This provider has no credential with this id.")


class MemberNotFound(NotFound):
    code = "member_not_found"

    def __init__(self) -> None:
        super().__init__("This organisation has no such member.")


class ProjectNotFound(NotFound):
    code = "project_not_found"

    def __init__(self) -> None:
        super().__init__("This organisation has no such project.")


class TeamNotFound(NotFound):
    code = "team_not_found"

    def __init__(self) -> None:
        super().__init__("This organisation has no such team.")


class ProviderUnknown(Invalid):
    code = "provider_unknown"


GroupKind = Literal["member", "project", "team"]
NOT_FOUND: Final[Mapping[GroupKind, type[NotFound]]] = {
    "member": MemberNotFound,
    "project": ProjectNotFound,
    "team": TeamNotFound,
}


class Group(NamedTuple):
    """Keys of an organisation that are limited together: those of a member, a project or a team."""

    kind: GroupKind
    organisation_id: UUID
    group_id: UUID


class Subject(NamedTuple):
    """Whose limits: one of the ids says it; a key's organisation is with it."""

    name: str
    subject_id: UUID
    rules: tuple[Rule, ...]
    budgets: Sequence[sa.RowMapping]


async def organisation_limits(read: Read, organisation_id: UUID) -> Rates:
    """Raises `OrganisationNotFound`."""
    row = await queries.organisation_limits(read, organisation_id)
    if row is None:
        raise OrganisationNotFound
    return Rates.model_validate(shown_rates(row["limits"]))


async def set_organisation_limits(tx: Transaction, organisation_id: UUID, rates: Rates) -> Rates:
    """Raises `OrganisationNotFound`."""
    await organisation_limits(tx, organisation_id)
    await queries.set_organisation(tx, organisation_id, stored_rates(rates))
    return await organisation_limits(tx, organisation_id)


async def key_limits(read: Read, organisation_id: UUID, key_id: UUID) -> KeyLimits:
    """Raises `KeyNotFound`."""
    row = await queries.key_limits(read, organisation_id, key_id)
    if row is None:
        raise KeyNotFound
    stored = row["limits"]
    narrowed = {
        part: {name: shown_rates(rates) for name, rates in (stored.get(part) or {}).items()}
        for part in ("models", "providers")
    }
    return KeyLimits.model_validate(
        {**shown_rates(stored), **narrowed, "allowed_addresses": row["allowed_addresses"]}
    )


async def set_key_limits(
    tx: Transaction, organisation_id: UUID, key_id: UUID, limits: KeyLimits
) -> KeyLimits:
    """Raises `KeyNotFound`, `ProviderUnknown`."""
    await key_limits(tx, organisation_id, key_id)
    unknown = sorted(set(limits.providers) - await queries.known_slugs(tx, list(limits.providers)))
    if unknown:
        raise ProviderUnknown(f"body.providers: no such provider: {', '.join(unknown)}", unknown=unknown)
    narrowed = {
        part: {name: stored_rates(rates) for name, rates in getattr(limits, part).items()}
        for part in ("models", "providers")
    }
    stored = {**stored_rates(limits), **{part: rates for part, rates in narrowed.items() if rates}}
    await queries.set_key(tx, key_id, stored, limits.allowed_addresses)
    return await key_limits(tx, organisation_id, key_id)


async def group_limits(read: Read, group: Group) -> Rates:
    """Raises `MemberNotFound`, `ProjectNotFound`, `TeamNotFound`."""
    return Rates.model_validate(shown_rates(await _stored(read, group)))


async def set_group_limits(tx: Transaction, group: Group, rates: Rates) -> Rates:
    """Raises as `group_limits`."""
    await _stored(tx, group)
    if group.kind == "member":
        await queries.set_member(tx, group.organisation_id, group.group_id, stored_rates(rates))
    else:
        await queries.set_group(tx, group.kind, group.group_id, stored_rates(rates))
    return await group_limits(tx, group)


async def _stored(read: Read, group: Group) -> Mapping[str, Any]:
    kind, organisation_id, group_id = group
    if kind == "member":
        found = await queries.member_limits(read, organisation_id, group_id)
    else:
        found = await queries.group_limits(read, kind, organisation_id, group_id)
    if found is None:
        raise NOT_FOUND[kind]
    return found


async def find_group(read: Read, kind: GroupKind, organisation_id: UUID, named: str) -> Group:
    """A member by his mail address, a project or a team by its name. Raises as `group_limits`."""
    if kind == "member":
        found = await queries.member_by_email(read, organisation_id, named)
    else:
        found = await queries.group_by_name(read, kind, organisation_id, named)
    if found is None:
        raise NOT_FOUND[kind]
    return Group(kind, organisation_id, found)


async def credential_limits(read: Read, provider_id: UUID, credential_id: UUID) -> Rates:
    """Raises `CredentialNotFound`."""
    row = await queries.credential_limits(read, provider_id, credential_id)
    if row is None:
        raise CredentialNotFound
    return Rates.model_validate(shown_rates(row["limits"]))


async def set_credential_limits(
    tx: Transaction, provider_id: UUID, credential_id: UUID, rates: Rates
) -> Rates:
    """Raises `CredentialNotFound`."""
    await credential_limits(tx, provider_id, credential_id)
    await queries.set_credential(tx, credential_id, stored_rates(rates))
    return await credential_limits(tx, provider_id, credential_id)


async def organisation_standing(read: Read, organisation_id: UUID, *, control: Control) -> Limits:
    """How an organisation's own limits stand. Raises `OrganisationNotFound`."""
    row = await queries.organisation_limits(read, organisation_id)
    if row is None:
        raise OrganisationNotFound
    rules = rules_of(row["limits"], f"organisation:{organisation_id}", "organisation")
    budgets = await queries.budgets_of_organisation(read, organisation_id)
    return await _standing(read, Subject("organisation", organisation_id, rules, budgets), control)


async def key_standing(read: Read, organisation_id: UUID, key_id: UUID, *, control: Control) -> Limits:
    """How a key's limits stand, what narrows it included. Raises `KeyNotFound`."""
    row = await queries.key_limits(read, organisation_id, key_id)
    if row is None:
        raise KeyNotFound
    stored, subject = row["limits"], f"key:{key_id}"
    rules = rules_of(stored, subject, "key")
    for pattern, rates in sorted((stored.get("models") or {}).items()):
        rules += rules_of(rates, f"{subject}:model:{pattern}", f"model {pattern}")
    slugs = sorted(stored.get("providers") or {})
    ids = await queries.provider_ids(read, slugs) if slugs else {}
    for slug in slugs:
        if slug in ids:
            rules += rules_of(
                stored["providers"][slug], f"{subject}:provider:{ids[slug]}", f"provider {slug}"
            )
    budgets = await queries.budgets_of_key(read, organisation_id, key_id)
    return await _standing(read, Subject("key", key_id, rules, budgets), control)


async def group_standing(read: Read, group: Group, *, control: Control) -> Limits:
    """How limits of keys that are limited together stand. Raises as `group_limits`."""
    kind, organisation_id, group_id = group
    rules = rules_of(await _stored(read, group), f"{kind}:{organisation_id}:{group_id}", kind)
    budgets = await queries.budgets_of_group(read, *group)
    return await _standing(read, Subject(kind, group_id, rules, budgets), control)


async def credential_standing(
    read: Read, provider_id: UUID, credential_id: UUID, *, control: Control
) -> Limits:
    """How a credential's limits stand. Raises `CredentialNotFound`."""
    row = await queries.credential_limits(read, provider_id, credential_id)
    if row is None:
        raise CredentialNotFound
    rules = rules_of(row["limits"], f"credential:{credential_id}", "credential")
    budgets = await queries.budgets_of_credential(read, credential_id)
    return await _standing(read, Subject("credential", credential_id, rules, budgets), control)


async def _standing(read: Read, subject: Subject, control: Control) -> Limits:
    now = control.edge.now()
    standings = await _counted(subject.rules, control)
    items = [
        _rate(subject, rule, standing, now) for rule, standing in zip(subject.rules, standings, strict=True)
    ]
    for row in subject.budgets:
        items.append(await _budget(read, subject, row, now))  # noqa: PERF401 - one question after the other
    return Limits(items=items)


async def _counted(rules: Sequence[Rule], control: Control) -> Sequence[Standing | None]:
    """What the shared counters say; nothing when there are none, or they do not answer."""
    counters = control.counters
    if counters is None or not rules:
        return [None] * len(rules)
    try:
        return await counters.look([rule.check for rule in rules], control.edge.clock.monotonic_ms())
    except counters.unavailable:
        return [None] * len(rules)


def _rate(subject: Subject, rule: Rule, standing: Standing | None, now: datetime) -> Limit:
    check = rule.check
    used = resets_at = None
    if standing is not None:
        size = check.limit if check.kind is Kind.CONCURRENT else check.burst
        used = str(size - standing.remaining)
        resets_at = None if check.kind is Kind.CONCURRENT else now + timedelta(milliseconds=standing.reset_ms)
    return Limit.model_validate(
        {
            **_whose(subject, rule.scope),
            "kind": check.kind.value,
            "name": None,
            "limit": str(check.limit),
            "used": used,
            "currency": None,
            "resets_at": resets_at,
            "counted_in": "gateways" if standing is None else "redis",
        }
    )


async def _budget(read: Read, subject: Subject, row: sa.RowMapping, now: datetime) -> Limit:
    start_ms, end_ms = period_bounds(Period(row["period"]), int(now.timestamp()) * 1000)
    used = await queries.used_since(read, row["id"], moment_of_ms(start_ms))
    narrowed = f"model {row['model']}" if row["model"] else f"provider {row['provider']}"
    is_narrowed = row["model"] is not None or row["provider"] is not None
    return Limit.model_validate(
        {
            **_whose(subject, narrowed if is_narrowed else subject.name),
            "kind": f"{row['unit']}_{row['period']}",
            "name": row["name"],
            "limit": _said(row["amount"], row),
            "used": _said(used, row),
            "currency": row["asset"],
            "resets_at": None if end_ms is None else moment_of_ms(end_ms),
            "counted_in": "books",
        }
    )


def _whose(subject: Subject, scope: str) -> Mapping[str, Any]:
    return {"subject": subject.name, "subject_id": subject.subject_id, "scope": scope}


def _said(amount: int, row: sa.RowMapping) -> str:
    return format_amount(amount, row["asset"]) if Unit(row["unit"]) is Unit.MONEY else str(amount)
