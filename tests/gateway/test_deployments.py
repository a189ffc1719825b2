"""What a gateway knows of deployments: pins, regions, floors, breakers, and of models' ways out."""

from typing import Any
from uuid import uuid4

import pytest
from structlog.testing import capture_logs
from test_snapshot import built, credential, model, provider, route

from bursar.core.breaker import DEFAULT_RULE
from bursar.core.routing import Strategy
from bursar.gateway.snapshot import Route


def the_route(**changes: Any) -> Route:
    (known,) = built(**changes).models["m"].routes
    return known


def floor(percent: Any) -> dict[str, Any]:
    return {"min_margin_percent": percent}


class TestADeployment:
    def test_uses_every_credential_unless_it_names_one(self) -> None:
        one, other = credential(), credential(priority=1)
        free = the_route(credentials=[one, other])
        assert [known.credential_id for known in free.credentials] == [one["id"], other["id"]]
        pinned = the_route(credentials=[one, other], routes=[route(credential_id=other["id"])])
        assert [known.credential_id for known in pinned.credentials] == [other["id"]]

    def test_with_a_credential_that_is_off_has_none(self) -> None:
        assert the_route(routes=[route(credential_id=uuid4())]).credentials == ()

    def test_is_in_its_own_region_or_its_providers(self) -> None:
        assert the_route().region is None
        assert the_route(providers=[provider(region="us")]).region == "us"
        assert the_route(providers=[provider(region="us")], routes=[route(region="eu")]).region == "eu"

    @pytest.mark.parametrize(
        ("own", "of_model", "general", "known"),
        [
            (None, None, None, None),
            (None, None, "7.5", 75_000),
            (None, "0", "7.5", 0),
            ("12.0001", "0", "7.5", 120_001),
            ("-5", None, None, -50_000),
        ],
    )
    def test_has_the_nearest_margin_floor(
        self, own: Any, of_model: Any, general: Any, known: int | None
    ) -> None:
        settings = [] if general is None else [{"key": "min_margin_percent", "value": general}]
        told = the_route(routes=[route(**floor(own))], models=[model(**floor(of_model))], settings=settings)
        assert told.margin_floor == known

    def test_has_its_providers_breaker(self) -> None:
        assert the_route().breaker == DEFAULT_RULE
        told = the_route(providers=[provider(breaker={"calls_min": 5})])
        assert (told.breaker.calls_min, told.breaker.failures_percent) == (5, 50)

    @pytest.mark.parametrize("breaker", [{"mood": 1}, {"calls_min": 0}, {"calls_min": "x"}, [1]])
    def test_survives_a_breaker_that_makes_no_sense(self, breaker: Any) -> None:
        with capture_logs() as logged:
            assert the_route(providers=[provider(breaker=breaker)]).breaker == DEFAULT_RULE
        assert [line["event"] for line in logged] == ["snapshot.breaker_unusable"]


class TestAModel:
    def test_is_by_priority_and_alone_unless_told(self) -> None:
        known = built().models["m"]
        assert (known.strategy, known.fallbacks, known.lacks) == (Strategy.PRIORITY, (), frozenset())

    def test_says_its_strategy_fallbacks_and_lacks(self) -> None:
        told = model(
            strategy="cheapest",
            fallbacks=["b", "c"],
            context_window=8_000,
            capabilities={"tools": False, "vision": True, "services": ["chat"]},
        )
        known = built(models=[told]).models["m"]
        assert (known.strategy, known.fallbacks) == (Strategy.CHEAPEST, ("b", "c"))
        assert (known.lacks, known.context_window) == (frozenset({"tools"}), 8_000)
