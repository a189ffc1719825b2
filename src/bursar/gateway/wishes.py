"""What a caller says about routing: which models instead, which providers and regions, in which order.

Headers, lists separated by commas: `x-bursar-models`, `x-bursar-providers`, `x-bursar-regions`,
`x-bursar-strategy`. In the body: `models`, an array of names. All of them narrow or order what the key may
use anyway; none opens anything.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from bursar.core.routing import Strategy
from bursar.gateway.dialects.bodies import wrong
from bursar.gateway.snapshot import Route

MODELS: Final = "models"
NAMES_MAX: Final = 8
NAME_CHARACTERS_MAX: Final = 200

_MODELS: Final = b"x-bursar-models"
_PROVIDERS: Final = b"x-bursar-providers"
_REGIONS: Final = b"x-bursar-regions"
_STRATEGY: Final = b"x-bursar-strategy"


class Wishes(NamedTuple):
    """`None`: nothing was said. `models`: what is asked when the model itself fails; empty: nothing is."""

    models: tuple[str, ...] | None = None
    providers: tuple[str, ...] | None = None
    regions: tuple[str, ...] | None = None
    strategy: Strategy | None = None

    def permit(self, route: Route) -> bool:
        """Whether the caller wants this route."""
        if self.providers is not None and route.slug not in self.providers:
            return False
        return self.regions is None or route.region in self.regions

    def place_of(self, slug: str) -> int:
        """A provider's place in the order he named them in; 0 for all when he named none."""
        return 0 if self.providers is None or slug not in self.providers else self.providers.index(slug)


def take_wishes(headers: Mapping[bytes, bytes], raw: dict[str, Any]) -> Wishes | None:
    """What the caller said; None when nothing. `models` leaves the body: no provider is sent it.

    Raises:
        BadRequest: 422, naming the header or property that is wrong.
    """
    said = raw.pop(MODELS) if MODELS in raw else None
    if said is None and not (
        _MODELS in headers or _PROVIDERS in headers or _REGIONS in headers or _STRATEGY in headers
    ):
        return None
    models = _listed(headers, _MODELS)
    return Wishes(
        models=_checked(said) if models is None and said is not None else models,
        providers=_some(headers, _PROVIDERS),
        regions=_some(headers, _REGIONS),
        strategy=_strategy(headers.get(_STRATEGY)),
    )


def _checked(said: Any) -> tuple[str, ...]:
    if (
        not isinstance(said, list)
        or len(said) > NAMES_MAX
        or not all(isinstance(name, str) and 0 < len(name) <= NAME_CHARACTERS_MAX for name in said)
    ):
        raise wrong(MODELS, f"an array of at most {NAMES_MAX} model names")
    return tuple(said)


def _listed(headers: Mapping[bytes, bytes], name: bytes) -> tuple[str, ...] | None:
    value = headers.get(name)
    if value is None:
        return None
    names = tuple(part.strip() for part in value.decode("latin-1").split(",") if part.strip())
    if len(names) > NAMES_MAX or any(len(one) > NAME_CHARACTERS_MAX for one in names):
        raise wrong(name.decode(), f"at most {NAMES_MAX} names separated by commas")
    return names


def _some(headers: Mapping[bytes, bytes], name: bytes) -> tuple[str, ...] | None:
    names = _listed(headers, name)
    if names == ():
        raise wrong(name.decode(), "at least one name")
    return names


def _strategy(value: bytes | None) -> Strategy | None:
    if value is None:
        return None
    try:
        return Strategy(value.decode("latin-1").strip())
    except ValueError:
        raise wrong(_STRATEGY.decode(), "one of " + ", ".join(Strategy)) from None
