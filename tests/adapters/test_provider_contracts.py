"""Every provider kind keeps the contract that docs/providers.md tells of."""

import pytest

from bursar.adapters.providers import Provider
from bursar.entrypoints.adapters import provider_adapters
from bursar.features.providers.kinds import KINDS, PLACES
from provider_contracts import CHECKS, LACKS, REFUSED, YES, met_at

ADAPTERS = provider_adapters()
NOT_YET = {("gemini", "images"), ("openrouter", "images")}
"""What a provider has and Bursar refuses so far."""


class TestContracts:
    @pytest.mark.parametrize("provider", ADAPTERS.values(), ids=lambda provider: provider.kind)
    @pytest.mark.parametrize("capability", CHECKS)
    def test_is_kept_for_callers_of_every_dialect(self, provider: Provider, capability: str) -> None:
        lacking = capability in LACKS.get(provider.kind, ()) or (provider.kind, capability) in NOT_YET
        assert met_at(provider, capability) == (REFUSED if lacking else YES)

    def test_every_kind_that_can_be_stored_can_be_served(self) -> None:
        assert set(ADAPTERS) == set(KINDS) == set(PLACES)

    def test_kinds_are_who_they_say(self) -> None:
        assert all(adapter.kind == kind for kind, adapter in ADAPTERS.items())
