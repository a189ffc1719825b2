"""Wrong versions of what sells vectors and pictures; see `python_mutants`."""

from typing import Final

from python_mutants import mutants

PICTURES: Final = (
    mutants(
        "bursar.core.pricing",
        (
            "a_picture_is_sold_with_its_tokens_again",
            "a_picture_is_sold_once",
            "if place[0] not in OUTPUT_METERS}",
            "if place[0] is not None}",
        ),
        (
            "what_has_no_price_is_free",
            "vectors_without_a_price_are_refused",
            "    if all(missing):\n",
            "    if not missing:\n",
        ),
    )
    + mutants(
        "bursar.gateway.forward",
        (
            "pictures_are_called_off",
            "a_picture_nobody_waited_for_is_sold_as_it_was_made",
            "route.aborts_stop_billing and ticket.call.service is not Service.IMAGES",
            "route.aborts_stop_billing",
        ),
    )
    + mutants(
        "bursar.gateway.admit",
        (
            "every_model_does_everything",
            "a_model_for_chats_draws_nothing",
            "    if call.service not in model.services:\n",
            "    if not model.services:\n",
        ),
    )
)
