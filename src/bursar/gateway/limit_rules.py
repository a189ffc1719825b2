"""Which limits a snapshot holds: stored JSON and rows, turned into checks and budgets once (ADR 0013)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final, NamedTuple
from uuid import UUID

from bursar.core.addresses import Networks
from bursar.core.limits import Kind, Period, Rule, Unit, rules_of
from bursar.gateway.budgets import Budget

Rows = Mapping[str, Sequence[Mapping[str, Any]]]


class Allotment(NamedTuple):
    """A budget and whose it is."""

    budget: Budget
    scope: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What limits one subject."""

    rules: tuple[Rule, ...] = ()
    budgets: tuple[Allotment, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.rules or self.budgets)

    def __add__(self, other: "Limits") -> "Limits":
        return Limits(rules=self.rules + other.rules, budgets=self.budgets + other.budgets)

    def without_requests(self) -> "Limits":
        """Those that do not count requests."""
        return Limits(
            rules=tuple(rule for rule in self.rules if rule.check.kind is not Kind.REQUESTS),
            budgets=tuple(one for one in self.budgets if one.budget.unit is not Unit.REQUESTS),
        )


NO_LIMITS: Final = Limits()
GROUPS: Final = (("member", "member_id"), ("project", "project_id"), ("team", "team_id"))
"""Keys that are limited together, and the column of a key's or budget's row that names them."""
Group = tuple[str, UUID, UUID]
"""Its kind, organisation and id: somebody may be a member of several organisations."""
PLAIN: Final = {"requests_per_min"}
"""A key whose stored limits are no more than this has a path of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyLimits:
    """All that limits a key beyond its requests a minute, or with them.

    `always`: the key's own, its maker's, project's, team's and organisation's; `models` by pattern and
    `providers` by id: within this key.
    `burst`: most requests at once.
    """

    always: Limits = NO_LIMITS
    models: tuple[tuple[str, Limits], ...] = ()
    providers: Mapping[UUID, Limits]
    burst: int = 0

    def of_request(self, *names: str) -> Limits:
        """What limits a request for a model of these names (its own, and the one it was asked by)."""
        found = self.always
        for pattern, limits in self.models:
            if any(fnmatchcase(name, pattern) for name in names):
                found += limits
        return found


class RuleBook:
    """The limits in a snapshot's rows, by subject. Built once; linear in budgets."""

    def __init__(self, rows: Rows) -> None:
        self._organisations = {
            row["id"]: row.get("limits") or {} for row in rows.get("organisation_limits", ())
        }
        self._groups: dict[Group, Mapping[str, Any]] = {
            (row["kind"], row["organisation_id"], row["id"]): row["limits"]
            for row in rows.get("group_limits", ())
        }
        self._slugs = {row["slug"]: row["id"] for row in rows["providers"]}
        self._names = {row["id"]: row["slug"] for row in rows["providers"]}
        self._budgets: dict[tuple[str, UUID], list[Mapping[str, Any]]] = {}
        self._group_budgets: dict[Group, list[Mapping[str, Any]]] = {}
        for row in rows.get("budgets", ()):
            group = next(_groups_of(row), None)
            if group is None:
                self._budgets.setdefault(_subject_of(row), []).append(row)
            else:
                self._group_budgets.setdefault(group, []).append(row)

    def of_key(self, row: Mapping[str, Any]) -> KeyLimits | None:
        """None: nothing but requests a minute, which has a path of its own.

        Raises:
            LimitInvalid, TypeError, ValueError: a stored limit makes no sense.
        """
        stored, key_id = row["limits"] or {}, row["id"]
        own = self._budgets.get(("key", key_id), [])
        shared = self._of_groups(row) + self._of_organisation(row["organisation_id"])
        if set(stored) <= PLAIN and not own and not shared:
            return None
        plain = [one for one in own if one["model"] is None and one["provider_id"] is None]
        of_key = Limits(rules=rules_of(stored, f"key:{key_id}", "key"), budgets=_allotments(plain, "key"))
        return KeyLimits(
            always=of_key + shared,
            models=self._models(stored, key_id, own),
            providers=self._providers(stored, key_id, own),
            burst=stored.get("requests_burst") or 0,
        )

    def of_credential(self, row: Mapping[str, Any]) -> Limits | None:
        """None: not limited. Raises as `of_key`."""
        budgets = self._budgets.get(("credential", row["id"]), [])
        limits = Limits(
            rules=rules_of(row.get("limits") or {}, f"credential:{row['id']}", "credential"),
            budgets=_allotments(budgets, "credential"),
        )
        return limits or None

    def _of_groups(self, row: Mapping[str, Any]) -> Limits:
        """Its maker's, its project's and its team's."""
        found = NO_LIMITS
        for group in _groups_of(row):
            stored, budgets = self._groups.get(group), self._group_budgets.get(group)
            if stored or budgets:
                kind, organisation_id, group_id = group
                subject = f"{kind}:{organisation_id}:{group_id}"
                found += Limits(
                    rules=rules_of(stored or {}, subject, kind), budgets=_allotments(budgets or (), kind)
                )
        return found

    def _of_organisation(self, organisation_id: UUID) -> Limits:
        stored = self._organisations.get(organisation_id, {})
        budgets = self._budgets.get(("organisation", organisation_id), ())
        if not stored and not budgets:
            return NO_LIMITS
        return Limits(
            rules=rules_of(stored, f"organisation:{organisation_id}", "organisation"),
            budgets=_allotments(budgets, "organisation"),
        )

    def _models(
        self, stored: Mapping[str, Any], key_id: UUID, budgets: Iterable[Mapping[str, Any]]
    ) -> tuple[tuple[str, Limits], ...]:
        rates = stored.get("models") or {}
        budgeted: dict[str, list[Mapping[str, Any]]] = {}
        for row in budgets:
            if row["model"] is not None:
                budgeted.setdefault(row["model"], []).append(row)
        return tuple(
            (
                pattern,
                Limits(
                    rules=rules_of(
                        rates.get(pattern, {}), f"key:{key_id}:model:{pattern}", f"model {pattern}"
                    ),
                    budgets=_allotments(budgeted.get(pattern, ()), f"model {pattern}"),
                ),
            )
            for pattern in sorted({*rates, *budgeted})
        )

    def _providers(
        self, stored: Mapping[str, Any], key_id: UUID, budgets: Iterable[Mapping[str, Any]]
    ) -> dict[UUID, Limits]:
        rates = {
            self._slugs[slug]: one
            for slug, one in (stored.get("providers") or {}).items()
            if slug in self._slugs
        }
        budgeted: dict[UUID, list[Mapping[str, Any]]] = {}
        for row in budgets:
            if row["provider_id"] is not None:
                budgeted.setdefault(row["provider_id"], []).append(row)
        found = {}
        for provider_id in {*rates, *budgeted}:
            scope = f"provider {self._names.get(provider_id, provider_id)}"
            found[provider_id] = Limits(
                rules=rules_of(rates.get(provider_id, {}), f"key:{key_id}:provider:{provider_id}", scope),
                budgets=_allotments(budgeted.get(provider_id, ()), scope),
            )
        return found


def addresses_of(row: Mapping[str, Any]) -> Networks | None:
    """Where a key may be used from; None: everywhere. Raises `ValueError`."""
    listed = row.get("allowed_addresses")
    return None if listed is None else Networks(listed)


def budget_of(row: Mapping[str, Any]) -> Budget:
    """A stored budget as gateways use it."""
    unit = Unit(row["unit"])
    return Budget(
        budget_id=row["id"],
        name=row["name"],
        unit=unit,
        amount=row["amount"],
        period=Period(row["period"]),
        asset=row["asset"],
        counts_cost=unit is Unit.MONEY and row["credential_id"] is not None,
    )


def _allotments(rows: Iterable[Mapping[str, Any]], scope: str) -> tuple[Allotment, ...]:
    return tuple(Allotment(budget_of(row), scope) for row in rows)


def _groups_of(row: Mapping[str, Any]) -> Iterator[Group]:
    for kind, column in GROUPS:
        group_id = row.get(column)
        if group_id is not None:
            yield kind, row["organisation_id"], group_id


def _subject_of(row: Mapping[str, Any]) -> tuple[str, UUID]:
    for name in ("credential", "api_key", "organisation"):
        if row[f"{name}_id"] is not None:
            return name.removeprefix("api_"), row[f"{name}_id"]
    raise ValueError("a budget of nobody")
