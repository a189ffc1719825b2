"""An organisation's rules: which deployments its requests may go to, and on whose credentials.

A deployment outside its allowed providers and regions is as good as not there. Where it has a credential of
its own at a provider of the model, the request runs on that and is sold for the platform fee; ours come
after, at our prices, only if the organisation wants it (`falls_back`).
"""

from dataclasses import replace

from bursar.adapters.providers import ProviderFailure
from bursar.core.pricing import Quote
from bursar.gateway.errors import GatewayError
from bursar.gateway.snapshot import Credential, KeyRecord, ModelRecord, Route, Rules, Snapshot
from bursar.gateway.ticket import Offer

FAILED_DEPENDENCY = 424
"""Neither 401, 402 nor 403, which would speak of the caller's key and balance here; no client retries it."""


def routes_of(model: ModelRecord, key: KeyRecord, *, own_only: bool = False) -> tuple[Route, ...]:
    """The routes a request may take, own ones first. `own_only`: it began on its own credentials.

    Raises:
        GatewayError: 403 when the organisation permits none of the model's routes.
    """
    rules = key.rules
    if rules is None:
        return model.routes
    permitted = [route for route in model.routes if permits(rules, route)]
    if model.routes and not permitted:
        raise routing_not_permitted(model.name)
    own = own_routes(rules, permitted)
    if rules.falls_back or not (own or own_only):
        return (*own, *permitted)
    return own


def is_offered(model: ModelRecord, key: KeyRecord) -> bool:
    """Whether requests with this key can go anywhere."""
    if model.is_retired:
        return False
    try:
        return any(route.credentials for route in routes_of(model, key))
    except GatewayError:
        return False


def permits(rules: Rules, route: Route) -> bool:
    """Whether the organisation lets its requests go there. A route of no known region is in none."""
    if rules.allowed_providers is not None and route.provider_id not in rules.allowed_providers:
        return False
    return rules.allowed_regions is None or route.region in rules.allowed_regions


def own_routes(rules: Rules, routes: list[Route]) -> tuple[Route, ...]:
    """Those of `routes` that the organisation has credentials for, made to run on them.

    Routes that differ only in which of our credentials they use are one.
    """
    found: dict[tuple[object, ...], Route] = {}
    for route in routes:
        credentials = rules.credentials.get(route.provider_id)
        if credentials is None:
            continue
        own = rules.routes.get(route.route_id)
        if own is None:
            own = replace(route, credentials=credentials, is_own=True, margin_floor=None)
            rules.routes[route.route_id] = own
        found.setdefault((route.provider_id, route.deployment.provider_model, route.region), own)
    return tuple(found.values())


def own_offer(snapshot: Snapshot, key: KeyRecord, route: Route, listed: Quote, now_ms: int) -> Offer:
    """An offer on an own credential. `listed`: the price book's, which the fee is a part of.

    Raises:
        ModelNotPriced: no platform fee is in force in the wallet's currency.
    """
    fee = snapshot.fees.in_force(key.organisation_id, key.asset, now_ms)
    return Offer(route=route, quote=snapshot.fees.quote(listed, fee), listed=listed, fee=fee)


def is_mixed(offers: tuple[Offer, ...]) -> bool:
    """Whether a request on own credentials may fall back to ours."""
    return offers[0].fee is not None and offers[-1].fee is None


def without_ours(offers: tuple[Offer, ...]) -> tuple[Offer, ...]:
    """For a wallet that covers the fee but not our prices."""
    return tuple(offer for offer in offers if offer.fee is not None)


def told_as_own(route: Route, credential: Credential, failure: ProviderFailure) -> GatewayError | None:
    """What only the owner of the credential can mend, told as his; None: it is told as always."""
    if not credential.is_own:
        return None
    which = {"provider": route.slug, "credential_id": str(credential.credential_id)}
    match failure.kind:
        case "auth":
            return GatewayError(
                FAILED_DEPENDENCY,
                "own_key_refused",
                "The provider refused your organisation's own credential.",
                extra=which,
            )
        case "billing":
            return GatewayError(
                FAILED_DEPENDENCY,
                "own_key_out_of_funds",
                "The account of your organisation's own credential has no funds left at the provider.",
                extra=which,
            )
        case "rate_limited":
            wait_s = failure.retry_after_s
            return GatewayError(
                429,
                "own_key_rate_limited",
                "The provider receives too many requests with your organisation's own credential.",
                headers={} if wait_s is None else {"retry-after": str(wait_s)},
                extra=which,
            )
    return None


def routing_not_permitted(name: str) -> GatewayError:
    return GatewayError(
        403,
        "routing_not_permitted",
        f"No provider of the model {name!r} is in the providers and regions that your organisation allows.",
        param="model",
    )
