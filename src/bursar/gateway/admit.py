"""Fund before run: which model, at what price, how much it may cost at most, and a hold for it."""

from typing import Final, NamedTuple

import structlog

from bursar.core.estimate import Reach, affordable_output, hold_amount, output_amount, output_bound
from bursar.core.money import format_amount
from bursar.core.pricing import ModelNotPriced, Quote
from bursar.core.routing import keeps_margin
from bursar.core.service import Service, endpoint_for
from bursar.core.usage import Meter
from bursar.gateway.dialects import Call
from bursar.gateway.errors import (
    GatewayError,
    insufficient_balance,
    model_not_allowed,
    model_not_found,
    model_not_priced,
    no_such_route,
    searches_not_priced,
    wrong_endpoint,
)
from bursar.gateway.outputs import OutputHistory
from bursar.gateway.own_keys import is_mixed, own_offer, routes_of, without_ours
from bursar.gateway.snapshot import KeyRecord, ModelRecord, Route, Snapshot
from bursar.gateway.ticket import Offer
from bursar.gateway.treasury import Hold, Treasury, Unfunded
from bursar.gateway.wishes import Wishes

log = structlog.get_logger()

CLAMPED_TOKENS_MIN: Final = 16  # an answer cut shorter than this serves nobody: refuse instead

_TEXT: Final = Reach(may_write_cache=True)
_NO_OUTPUT: Final = Reach()


class SearchesNotPriced(ModelNotPriced):
    """A chat may use what is billed beside tokens, and that has no price."""


def choose_model(snapshot: Snapshot, key: KeyRecord, name: str) -> ModelRecord:
    """The model by name or alias.

    Raises:
        GatewayError: 404 unknown or retired (naming the successor), 403 not on the key's list.
    """
    model = snapshot.models.get(name)
    if model is None:
        raise model_not_found(name)
    if not key.allows(name, model.name):
        raise model_not_allowed(name)
    if model.is_retired:
        raise model_not_found(name, model.successor)
    return model


def offers_for(  # noqa: PLR0913, PLR0917 - who asks what of whom, when, and how
    snapshot: Snapshot,
    key: KeyRecord,
    model: ModelRecord,
    call: Call,
    now_ms: int,
    wishes: Wishes | None = None,
    *,
    own_only: bool = False,
) -> tuple[Offer, ...]:
    """The routes with credentials, a price in the wallet's currency and enough margin that `wishes` permit.

    Those on the organisation's own credentials come first; `own_only` as in `routes_of`.

    Raises:
        GatewayError: 400 when the model is not for what is asked of it, 403 when the organisation's rules
        permit none, 422 when `wishes` permit none, 503 when there is no route.
    """
    if call.service not in model.services:
        there = [endpoint_for(one, model.name, call.endpoint) for one in sorted(model.services)]
        raise wrong_endpoint(model.name, call.endpoint, there)
    served = [route for route in routes_of(model, key, own_only=own_only) if route.credentials]
    routes = served if wishes is None else [route for route in served if wishes.permit(route)]
    offers = []
    unpriced: ModelNotPriced | None = None
    for route in routes:
        try:
            quote = _quote(snapshot, key, route, call, now_ms)
            if route.is_own:
                offers.append(own_offer(snapshot, key, route, quote, now_ms))
            elif route.margin_floor is None or _keeps_floor(quote, route, route.margin_floor):
                offers.append(Offer(route=route, quote=quote))
        except ModelNotPriced as missing:
            unpriced = missing
    if offers:
        return tuple(offers)
    if unpriced is not None:
        is_search = isinstance(unpriced, SearchesNotPriced)
        raise searches_not_priced(model.name) if is_search else model_not_priced(model.name)
    if served and not routes:
        raise no_such_route(model.name)
    raise GatewayError(
        503, "model_unavailable", f"No provider serves the model {model.name!r} at the moment.", param="model"
    )


def _keeps_floor(quote: Quote, route: Route, floor: int) -> bool:
    """Whether the route's prices leave the operator his least margin; looked at once for each quote."""
    place = ("margin_floor", floor)
    known = quote.memo.get(place)
    if known is None:
        known = quote.memo[place] = (int(keeps_margin(quote, floor)), floor)
        if not known[0]:
            log.warning("route.below_margin", route_id=str(route.route_id), model=route.deployment.model)
    return known[0] == 1


def _quote(snapshot: Snapshot, key: KeyRecord, route: Route, call: Call, now_ms: int) -> Quote:
    """The prices in force: those of this very way of asking, where the book has such a name."""
    name = model = route.deployment.provider_model
    for variant in call.variants:
        if snapshot.prices.knows(route.provider_id, f"{model}:{variant}", key.asset, now_ms):
            name = f"{model}:{variant}"
            break
    quote = snapshot.prices.quote(route.provider_id, name, key.asset, now_ms, call.service)
    if call.counts and call.service is Service.CHAT and not (route.is_own or _prices_counts(quote, call)):
        raise SearchesNotPriced(f"{name} has no price for {', '.join(call.counts)} in {key.asset}")
    return quote


def _prices_counts(quote: Quote, call: Call) -> bool:
    """Whether what is used beside tokens has a price: a fact without one would be booked at nothing."""
    return all(meter in quote.sheets[0] for meter in call.counts)


class Funded(NamedTuple):
    """A hold and what it covers.

    `max_tokens`: the output bound to impose (None: leave the caller's). `output_held`: the output tokens
    covered; `covers_bound`: these are all the request may produce. `offers`: those it covers; a wallet that
    covers the fee of own credentials but not our prices cannot fall back to ours.
    """

    hold: Hold
    max_tokens: int | None
    output_held: int
    covers_bound: bool
    offers: tuple[Offer, ...]


class Funding:
    """How much to hold for one request, and holding it."""

    def __init__(self, treasury: Treasury, outputs: OutputHistory) -> None:
        self._treasury = treasury
        self._outputs = outputs

    async def hold(self, key: KeyRecord, call: Call, model: ModelRecord, offers: tuple[Offer, ...]) -> Funded:
        """Hold money for one request.

        A stream that can be cut holds for this key's usual length and is extended on the way; anything else
        holds for all it may produce. Either way the wallet must be able to cover the caller's own bound.

        Raises:
            GatewayError: 402 when the wallet cannot cover the request, 503 when that cannot be known.
        """
        bound = output_bound(call.max_tokens, model.output_tokens_max, call.n)
        full = _dearest(offers, key, call, bound)
        account = self._treasury.account(key.wallet_id, key.organisation_id, call.scope_class)
        # A model whose limit nobody entered may answer without end: what is held for is then imposed.
        imposed = model.output_tokens_max if call.max_tokens is None and not model.has_own_limit else None
        can_be_cut = call.stream and all(o.route.aborts_stop_billing for o in offers)
        if can_be_cut and account.funds() >= full:
            usual = self._outputs.expected(key.api_key_id, model.name, bound)
            hold = self._treasury.try_hold(account, _dearest(offers, key, call, usual))
            if hold is not None:
                hold.expose(full)  # reasoning that nobody sees cannot be cut off: the money must be there
                return Funded(hold, imposed, usual, covers_bound=usual == bound, offers=offers)
        hold = self._treasury.try_hold(account, full)
        try:
            hold = hold or await self._treasury.hold(account, full)
        except Unfunded as short:
            if is_mixed(offers):
                return await self.hold(key, call, model, without_ours(offers))
            if call.max_tokens is not None:
                raise _refusal(key, short.spendable, full) from short
            return await self.hold_within(key, call, offers, short.spendable, full)
        return Funded(hold, imposed, bound, covers_bound=True, offers=offers)

    async def cover(
        self, hold: Hold, key: KeyRecord, call: Call, model: ModelRecord, offers: tuple[Offer, ...]
    ) -> Funded | None:
        """Let a hold cover another model too, growing it where it must; None when the money is not there.

        A request whose caller set no bound may be answered shorter instead.
        """
        bound = output_bound(call.max_tokens, model.output_tokens_max, call.n)
        full = _dearest(offers, key, call, bound)
        if hold.amount >= full or await self._treasury.extend(hold, full - hold.amount):
            hold.expose(hold.amount)
            imposed = model.output_tokens_max if call.max_tokens is None and not model.has_own_limit else None
            return Funded(hold, imposed, bound, covers_bound=True, offers=offers)
        if is_mixed(offers):
            return await self.cover(hold, key, call, model, without_ours(offers))
        each = 0 if call.max_tokens is not None else _affordable(offers, key, call, hold.amount) // call.n
        if each < CLAMPED_TOKENS_MIN:
            return None
        return Funded(hold, each, each * call.n, covers_bound=True, offers=offers)

    async def hold_within(
        self, key: KeyRecord, call: Call, offers: tuple[Offer, ...], spendable: int, full: int
    ) -> Funded:
        """The caller set no bound: impose the one that so much money covers.

        Raises:
            GatewayError: 402 when that is too little for an answer, 503 when it cannot be held.
        """
        each = _affordable(offers, key, call, spendable) // call.n
        if each < CLAMPED_TOKENS_MIN:
            raise _refusal(key, spendable, full)
        account = self._treasury.account(key.wallet_id, key.organisation_id, call.scope_class)
        account.dry_until_ms = 0  # this smaller ask is a new question
        try:
            hold = await self._treasury.hold(account, _dearest(offers, key, call, each * call.n))
        except Unfunded as short:
            raise _refusal(key, short.spendable, full) from short
        return Funded(hold, each, each * call.n, covers_bound=True, offers=offers)


def extension(quote: Quote, call: Call, asset: str, output_tokens: int) -> int:
    """What so many more output tokens may cost; what is paid per request is held for already."""
    return output_amount(quote, call.input_tokens + call.brought_tokens, output_tokens, asset, reach_of(call))


def reach_of(call: Call) -> Reach:
    """Which dearer meters a request can touch beyond text."""
    if call.service is Service.EMBEDDINGS:
        return _NO_OUTPUT
    if call.counts:
        is_chat = call.service is Service.CHAT
        counters = {Meter.REQUEST: 1, **call.counts}
        return Reach(may_write_cache=is_chat, meters=call.meters, counters=counters)
    return Reach(may_write_cache=True, meters=call.meters) if call.meters else _TEXT


def _affordable(offers: tuple[Offer, ...], key: KeyRecord, call: Call, funds: int) -> int:
    """Output tokens that these funds cover, whichever of the offers serves them."""
    reach, given = reach_of(call), call.input_tokens + call.brought_tokens
    return min(affordable_output(o.quote, funds, given, key.asset, reach) for o in offers)


def _dearest(offers: tuple[Offer, ...], key: KeyRecord, call: Call, output_tokens: int) -> int:
    reach, given = reach_of(call), call.input_tokens + call.brought_tokens
    if len(offers) == 1:
        return hold_amount(offers[0].quote, given, output_tokens, key.asset, reach)
    return max(hold_amount(offer.quote, given, output_tokens, key.asset, reach) for offer in offers)


def _refusal(key: KeyRecord, spendable: int, estimate: int) -> GatewayError:
    return insufficient_balance(
        spendable=format_amount(max(spendable, 0), key.asset),
        estimate=format_amount(estimate, key.asset),
        currency=key.asset,
    )
