"""Wrong versions of the code that limits; see `python_mutants`."""

from typing import Final

from python_mutants import mutants

LIMITS: Final = (
    mutants(
        "bursar.gateway.claims",
        (
            "budgets_hear_of_no_sale",
            "a_budget_counts_what_was_sold",
            "part.settle(0 if budget.budget_id in settled else amount)",
            "part.settle(0)",
        ),
        (
            "places_are_kept",
            "a_finished_request_makes_room",
            "changes.append(Change(check, 0, self.name))",
            "pass",
        ),
        (
            "reservations_are_kept",
            "reserved_tokens_come_back",
            "(delta := (self.tokens or 0) - check.amount)",
            "(delta := 0)",
        ),
    )
    + mutants(
        "bursar.gateway.limiting",
        (
            "budgets_are_not_asked",
            "a_budget_stops_at_its_end",
            "            if limits.budgets:\n                funded",
            "            if not limits.budgets:\n                funded",
        ),
        (
            "refused_and_still_there",
            "a_refused_request_holds_no_place",
            "            claim.close(0)\n            raise\n        funded.hold.claim = claim\n",
            "            raise\n        funded.hold.claim = claim\n",
        ),
    )
    + mutants(
        "bursar.gateway.budgets",
        (
            "cut_from_those_that_have",
            "what_one_budget_refuses_is_taken_from_none",
            "        if any(one.lease.free < amount for one, amount in wanted):\n            return None\n",
            "        if all(one.lease.free < amount for one, amount in wanted):\n            return None\n",
        ),
    )
    + mutants(
        "bursar.gateway.limit_rules",
        (
            "every_model_is_meant",
            "a_limit_of_a_model_is_not_one_of_another",
            "if any(fnmatchcase(name, pattern) for name in names):",
            "if names:",
        ),
        (
            "what_belongs_together_is_limited_apart",
            "a_budget_of_a_project_stops_its_keys_alone",
            "                found += Limits(\n",
            "                Limits(\n",
        ),
        (
            "everybody_is_of_one_group",
            "a_budget_of_a_project_stops_its_keys_alone",
            '            yield kind, row["organisation_id"], group_id\n',
            '            yield kind, row["organisation_id"], row["organisation_id"]\n',
        ),
    )
)
