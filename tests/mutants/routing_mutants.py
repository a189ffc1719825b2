"""Wrong versions of what tries again and asks another model; see `python_mutants`."""

from typing import Final

from python_mutants import mutants

ROUTING: Final = (
    mutants(
        "bursar.gateway.admit",
        (
            "a_stand_in_is_not_funded",
            "a_stand_in_is_held_for_before_it_is_asked",
            "        if hold.amount >= full or await self._treasury.extend(hold, full - hold.amount):\n",
            "        if True:\n",
        ),
    )
    + mutants(
        "bursar.gateway.forward",
        (
            "earlier_failures_are_forgotten",
            "every_try_of_a_refused_request_has_a_row",
            "        self._ticket.failed.pop()  # the last attempt's row is written when it is settled\n",
            "        self._ticket.failed.clear()\n",
        ),
        (
            "a_stand_in_is_sold_as_the_first",
            "a_stand_in_is_sold_at_its_own_price",
            "        ticket.model, ticket.offers = model, funded.offers\n",
            "        ticket.model = model\n",
        ),
    )
    + mutants(
        "bursar.gateway.settle",
        (
            "a_failed_try_is_sold",
            "a_stand_in_is_sold_at_its_own_price",
            "    verdict = judge(ticket, attempt, Outcome.PROVIDER_ERROR_BEFORE_OUTPUT, now_ms)\n",
            "    verdict = judge(ticket, attempt, Outcome.HANGUP_BEFORE_OUTPUT, now_ms)\n",
        ),
    )
    + mutants(
        "bursar.core.routing",
        (
            "the_floor_is_below_cost",
            "nothing_is_sold_below_the_margin_floor",
            "        price.sale_atto * MARGIN_SCALE >= price.cost_atto * (MARGIN_SCALE + floor)\n",
            "        price.sale_atto * MARGIN_SCALE >= price.cost_atto * (MARGIN_SCALE - floor)\n",
        ),
    )
    + mutants(
        "bursar.gateway.legs",
        (
            "stand_ins_open_every_door",
            "a_stand_in_is_no_way_around_the_keys_models",
            "and not one.is_retired and key.allows(one.name)]",
            "and not one.is_retired]",
        ),
    )
)
