"""Which routes an organisation's rules leave: whatever they are, nothing outside them."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.adapters.providers import Deployment
from bursar.adapters.providers.openai import OpenAI
from bursar.gateway.errors import GatewayError
from bursar.gateway.own_keys import is_offered, own_routes, permits, routes_of
from bursar.gateway.snapshot import DEFAULT_TIMEOUTS, Credential, KeyRecord, ModelRecord, Route, Rules

PROVIDERS = [UUID(int=number) for number in range(1, 5)]
REGIONS = ["eu", "us", None]
OURS = Credential(credential_id=UUID(int=100), secret="ours")
KEY = KeyRecord(
    api_key_id=UUID(int=50),
    organisation_id=UUID(int=51),
    wallet_id=UUID(int=52),
    asset="USD",
    expires_at_ms=None,
    allowed_models=None,
    allowed_patterns=(),
    requests_per_min=None,
    policy={},
)


def route(number: int, provider_id: UUID, region: str | None, *, served: bool = True) -> Route:
    return Route(
        provider_id=provider_id,
        provider=OpenAI(),
        deployment=Deployment(model="m", provider_model="m", base_url="http://x", output_tokens_max=10),
        credentials=(OURS,) if served else (),
        timeouts=DEFAULT_TIMEOUTS,
        aborts_stop_billing=True,
        route_id=UUID(int=1_000 + number),
        region=region,
    )


def model(*routes: Route, **changed: Any) -> ModelRecord:
    made = ModelRecord(
        name="m",
        created_s=0,
        output_tokens_max=10,
        has_own_limit=True,
        is_retired=False,
        successor=None,
        routes=routes,
    )
    return replace(made, **changed)


def own(number: int) -> tuple[Credential, ...]:
    return (Credential(credential_id=UUID(int=200 + number), secret="own", is_own=True),)


some_routes = st.lists(
    st.tuples(st.sampled_from(PROVIDERS), st.sampled_from(REGIONS), st.booleans()), min_size=1, max_size=6
).map(lambda given: tuple(route(n, one, region, served=s) for n, (one, region, s) in enumerate(given)))
some_rules = st.builds(
    Rules,
    credentials=st.dictionaries(
        st.sampled_from(PROVIDERS), st.sampled_from([(), own(1), own(2)]), max_size=4
    ),
    falls_back=st.booleans(),
    allowed_providers=st.none() | st.frozensets(st.sampled_from(PROVIDERS), min_size=1),
    allowed_regions=st.none() | st.frozensets(st.sampled_from(["eu", "us"]), min_size=1),
)


class TestRoutesOf:
    @given(some_routes, some_rules, st.booleans())
    def test_leave_nothing_outside_the_rules(
        self,
        routes: tuple[Route, ...],
        rules: Rules,
        own_only: bool,  # noqa: FBT001 - drawn
    ) -> None:
        allowed = [one for one in routes if permits(rules, one)]
        key = replace(KEY, rules=rules)
        if not allowed:
            with pytest.raises(GatewayError) as refused:
                routes_of(model(*routes), key, own_only=own_only)
            assert refused.value.code == "routing_not_permitted"
            return
        left = routes_of(model(*routes), key, own_only=own_only)
        assert {one.route_id for one in left} <= {one.route_id for one in allowed}

    @given(some_routes, some_rules, st.booleans())
    def test_come_to_ours_only_where_that_is_agreed(
        self,
        routes: tuple[Route, ...],
        rules: Rules,
        own_only: bool,  # noqa: FBT001 - drawn
    ) -> None:
        allowed = [one for one in routes if permits(rules, one)]
        if not allowed:
            return
        left = routes_of(model(*routes), replace(KEY, rules=rules), own_only=own_only)
        claimed = any(one.provider_id in rules.credentials for one in allowed)
        kinds = [one.is_own for one in left]
        assert kinds == sorted(kinds, reverse=True)
        if not rules.falls_back and (claimed or own_only):
            assert all(kinds)
        else:
            assert [one for one in left if not one.is_own] == allowed
        for one in left:
            mine = {credential.is_own for credential in one.credentials}
            assert mine <= {one.is_own}

    @given(some_routes, st.booleans())
    def test_are_all_of_them_without_rules(
        self,
        routes: tuple[Route, ...],
        own_only: bool,  # noqa: FBT001 - drawn
    ) -> None:
        assert routes_of(model(*routes), KEY, own_only=own_only) == routes

    def test_that_differ_in_our_credential_alone_are_one(self) -> None:
        first, second = route(1, PROVIDERS[0], "eu"), route(2, PROVIDERS[0], "eu")
        elsewhere = route(3, PROVIDERS[0], "us")
        rules = Rules(credentials={PROVIDERS[0]: own(1)})
        found = own_routes(rules, [first, second, elsewhere])
        assert [one.route_id for one in found] == [first.route_id, elsewhere.route_id]

    def test_on_own_credentials_keep_what_is_learnt_of_them_while_the_snapshot_lasts(self) -> None:
        rules = Rules(credentials={PROVIDERS[0]: own(1)})
        one = route(1, PROVIDERS[0], None)
        assert own_routes(rules, [one])[0] is own_routes(rules, [one])[0]
        assert own_routes(rules, [one])[0].lanes is not one.lanes

    def test_have_no_margin_floor_where_nothing_of_ours_is_sold(self) -> None:
        floored = replace(route(1, PROVIDERS[0], None), margin_floor=200_000)
        rules = Rules(credentials={PROVIDERS[0]: own(1)})
        assert own_routes(rules, [floored])[0].margin_floor is None


class TestIsOffered:
    @pytest.mark.parametrize(
        ("rules", "offered"),
        [
            (None, False),
            (Rules(credentials={PROVIDERS[0]: own(1)}), True),
            (Rules(credentials={PROVIDERS[0]: ()}), False),
            (Rules(credentials={PROVIDERS[0]: own(1)}, allowed_regions=frozenset({"eu"})), False),
        ],
    )
    def test_depends_on_who_asks(self, rules: Rules | None, *, offered: bool) -> None:
        unserved = model(route(1, PROVIDERS[0], None, served=False))
        assert is_offered(unserved, replace(KEY, rules=rules)) is offered
        assert not is_offered(replace(unserved, is_retired=True), replace(KEY, rules=rules))
