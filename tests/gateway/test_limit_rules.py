from typing import Any
from uuid import UUID, uuid4

import pytest

from bursar.core.limits import Kind, LimitInvalid
from bursar.gateway.limit_rules import KeyLimits, RuleBook

ORGANISATION, KEY, PROVIDER = uuid4(), uuid4(), uuid4()
GROUPS = {"member_id": uuid4(), "project_id": uuid4(), "team_id": uuid4()}


def row(**limits: Any) -> dict[str, Any]:
    return {"id": KEY, "organisation_id": ORGANISATION, "limits": limits}


def budget(**changes: Any) -> dict[str, Any]:
    return {
        "id": uuid4(),
        "organisation_id": ORGANISATION,
        "api_key_id": None,
        "credential_id": None,
        "provider_id": None,
        "model": None,
        "name": "test",
        "unit": "requests",
        "asset": None,
        "amount": 5,
        "period": "day",
        **changes,
    }


def book(
    *budgets: dict[str, Any],
    organisation: dict[str, Any] | None = None,
    groups: tuple[dict[str, Any], ...] = (),
) -> RuleBook:
    return RuleBook(
        {
            "group_limits": groups,
            "providers": [{"id": PROVIDER, "slug": "acme"}],
            "organisation_limits": [{"id": ORGANISATION, "limits": organisation or {}}],
            "budgets": budgets,
        }
    )


def of_key(rules: RuleBook, stored: dict[str, Any]) -> KeyLimits:
    limits = rules.of_key(stored)
    assert limits is not None
    return limits


class TestKeyLimits:
    @pytest.mark.parametrize("stored", [{}, {"requests_per_min": 60}, {"requests_per_min": None}])
    def test_are_none_for_a_plain_key(self, stored: dict[str, Any]) -> None:
        assert book().of_key(row(**stored)) is None
        assert book(budget(organisation_id=uuid4())).of_key(row(**stored)) is None

    def test_are_the_keys_and_its_organisations(self) -> None:
        limits = of_key(
            book(organisation={"concurrent": 9}),
            row(requests_per_min=60, requests_burst=5, tokens_per_min=100),
        )
        seen = [
            (rule.scope, rule.check.kind, rule.check.limit, rule.check.burst) for rule in limits.always.rules
        ]
        assert seen == [
            ("key", Kind.REQUESTS, 60, 5),
            ("key", Kind.TOKENS, 100, 100),
            ("organisation", Kind.CONCURRENT, 9, 9),
        ]
        assert limits.burst == 5
        names = [rule.check.counter for rule in limits.always.rules]
        assert names[0] == f"requests_per_min:key:{KEY}"
        assert len(set(names)) == 3

    def test_are_also_those_of_its_maker_project_and_team(self) -> None:
        groups = tuple(
            {
                "kind": name.removesuffix("_id"),
                "organisation_id": ORGANISATION,
                "id": group_id,
                "limits": {"concurrent": 2},
            }
            for name, group_id in GROUPS.items()
        )
        budgets = [budget(**{name: group_id}) for name, group_id in GROUPS.items()]
        rules = book(*budgets, budget(), groups=groups, organisation={"concurrent": 9})
        limits = of_key(rules, {**row(), **GROUPS})
        scopes = ["member", "project", "team", "organisation"]
        assert [rule.scope for rule in limits.always.rules] == scopes
        assert [one.scope for one in limits.always.budgets] == scopes
        assert len({rule.check.counter for rule in limits.always.rules}) == 4
        assert [rule.scope for rule in of_key(rules, row()).always.rules] == ["organisation"]
        assert book(*budgets, groups=groups).of_key({**row(), **dict.fromkeys(GROUPS)}) is None
        elsewhere = {**row(), "organisation_id": uuid4(), "member_id": GROUPS["member_id"]}
        assert book(*budgets, groups=groups).of_key(elsewhere) is None

    def test_are_also_those_of_the_models_that_match(self) -> None:
        limits = of_key(
            book(budget(api_key_id=KEY, model="gpt-*")),
            row(
                models={"gpt-*": {"concurrent": 1}, "best": {"concurrent": 2}, "claude-*": {"concurrent": 3}}
            ),
        )
        found = limits.of_request("gpt-4o", "best")
        assert [rule.check.limit for rule in found.rules] == [2, 1]
        assert [one.scope for one in found.budgets] == ["model gpt-*"]
        assert limits.of_request("mistral-large").rules == ()

    def test_are_also_those_of_providers_within_the_key(self) -> None:
        limits = of_key(
            book(budget(api_key_id=KEY, provider_id=PROVIDER)),
            row(providers={"acme": {"concurrent": 1}, "gone": {"concurrent": 2}}),
        )
        assert list(limits.providers) == [PROVIDER]
        assert limits.providers[PROVIDER].rules[0].scope == "provider acme"
        assert len(limits.providers[PROVIDER].budgets) == 1
        assert not limits.of_request("gpt-4o")

    def test_of_another_key_are_not_these(self) -> None:
        assert book(budget(api_key_id=uuid4())).of_key(row()) is None

    @pytest.mark.parametrize(
        "wrong",
        [
            {"tokens_per_min": 0},
            {"tokens_per_min": "100"},
            {"concurrent": 1.5},
            {"requests_per_min": 60, "requests_burst": -1},
            {"models": {"gpt-*": {"concurrent": 0}}},
        ],
    )
    def test_that_make_no_sense_are_refused(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(LimitInvalid):
            book().of_key(row(**wrong))


class TestCredentialLimits:
    def test_are_rates_and_budgets(self) -> None:
        credential: UUID = uuid4()
        rules = book(budget(organisation_id=None, credential_id=credential))
        limits = rules.of_credential({"id": credential, "limits": {"requests_per_min": 5}})
        assert limits is not None
        assert (limits.rules[0].scope, limits.budgets[0].scope) == ("credential", "credential")
        assert rules.of_credential({"id": uuid4(), "limits": {}}) is None
