"""Who pays, for each way a request can end. The table is data: an organisation may override rows of it."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple, assert_never

from bursar.core.usage import Usage


class Outcome(StrEnum):
    """How one attempt ended; written on its usage row."""

    COMPLETED = "completed"
    REFUSED = "refused"
    HANGUP_BEFORE_SEND = "hangup_before_send"
    PROVIDER_ERROR_BEFORE_OUTPUT = "provider_error_before_output"
    PROVIDER_ERROR_AFTER_OUTPUT = "provider_error_after_output"
    HANGUP_BEFORE_OUTPUT = "hangup_before_output"
    HANGUP_MIDSTREAM = "hangup_midstream"
    CUT_OFF = "cut_off"
    """We ended the stream: it outgrew its hold and the wallet could not cover more."""
    USAGE_MISSING = "usage_missing"
    USAGE_ZERO = "usage_zero"
    CONTENT_FILTERED = "content_filtered"
    JOB_FAILED = "job_failed"
    CRASHED = "crashed"
    """A stream whose process died: settled from its last mark."""
    CRASHED_UNANSWERED = "crashed_unanswered"
    """A request whose process died before the caller got anything."""


class Basis(StrEnum):
    """Which figures an amount is rated from."""

    NOTHING = "nothing"
    MEASURED = "measured"
    """The provider's final usage; our estimate only if the provider broke its word and sent none."""
    REPORTED = "reported"
    """What the provider reported so far; nothing if it reported nothing."""
    REPORTED_OR_ESTIMATED = "reported_or_estimated"
    REPORTED_OR_DELIVERED = "reported_or_delivered"
    DELIVERED = "delivered"
    """Input plus the output the caller got."""
    ESTIMATED = "estimated"


class Payment(NamedTuple):
    """What the customer pays and what we book as the provider's cost.

    ``within_hold``: the sale rests on our own estimate, so it must not exceed the hold.
    """

    sale: Basis
    cost: Basis
    within_hold: bool = False


OutcomePolicy = Mapping[Outcome, Payment]
"""Rows of the table; an organisation's own rows replace the default ones."""

WHO_PAYS: Final[OutcomePolicy] = MappingProxyType(
    {
        Outcome.COMPLETED: Payment(Basis.MEASURED, Basis.MEASURED),
        Outcome.REFUSED: Payment(Basis.NOTHING, Basis.NOTHING),
        Outcome.HANGUP_BEFORE_SEND: Payment(Basis.NOTHING, Basis.NOTHING),
        Outcome.PROVIDER_ERROR_BEFORE_OUTPUT: Payment(Basis.NOTHING, Basis.REPORTED),
        Outcome.PROVIDER_ERROR_AFTER_OUTPUT: Payment(
            Basis.DELIVERED, Basis.REPORTED_OR_ESTIMATED, within_hold=True
        ),
        Outcome.HANGUP_BEFORE_OUTPUT: Payment(
            Basis.REPORTED_OR_ESTIMATED, Basis.REPORTED_OR_ESTIMATED, within_hold=True
        ),
        Outcome.HANGUP_MIDSTREAM: Payment(Basis.DELIVERED, Basis.REPORTED_OR_DELIVERED, within_hold=True),
        Outcome.CUT_OFF: Payment(Basis.DELIVERED, Basis.REPORTED_OR_DELIVERED, within_hold=True),
        Outcome.USAGE_MISSING: Payment(Basis.ESTIMATED, Basis.ESTIMATED, within_hold=True),
        Outcome.USAGE_ZERO: Payment(Basis.NOTHING, Basis.NOTHING),
        Outcome.CONTENT_FILTERED: Payment(Basis.REPORTED, Basis.REPORTED),
        Outcome.JOB_FAILED: Payment(Basis.NOTHING, Basis.MEASURED),
        Outcome.CRASHED: Payment(Basis.DELIVERED, Basis.DELIVERED, within_hold=True),
        Outcome.CRASHED_UNANSWERED: Payment(Basis.NOTHING, Basis.ESTIMATED),
    }
)

_NO_OVERRIDES: Final[OutcomePolicy] = MappingProxyType({})


def who_pays(outcome: Outcome, overrides: OutcomePolicy = _NO_OVERRIDES) -> Payment:
    """The row of the table for this outcome, the organisation's own row first."""
    return overrides.get(outcome) or WHO_PAYS[outcome]


def usage_for(basis: Basis, *, reported: Usage | None, delivered: Usage, estimated: Usage) -> Usage | None:
    """The figures to rate, or None when nothing is to be paid.

    ``reported`` is the provider's latest usage if any; ``delivered`` is input plus the output passed on;
    ``estimated`` is our own count of what the provider did.
    """
    match basis:
        case Basis.NOTHING:
            return None
        case Basis.REPORTED:
            return reported
        case Basis.MEASURED | Basis.REPORTED_OR_ESTIMATED:
            return reported or estimated
        case Basis.REPORTED_OR_DELIVERED:
            return reported or delivered
        case Basis.DELIVERED:
            return delivered
        case Basis.ESTIMATED:
            return estimated
        case _:
            assert_never(basis)
