import pytest

from bursar.core.payer import WHO_PAYS, Basis, Outcome, Payment, usage_for, who_pays
from bursar.core.usage import Meter, Usage

REPORTED = Usage({Meter.OUT_TEXT: 1})
DELIVERED = Usage({Meter.OUT_TEXT: 2})
ESTIMATED = Usage({Meter.OUT_TEXT: 3}, estimated=True)

# outcome: the figures behind sale and cost, when the provider reported usage and when it did not
TABLE = {
    Outcome.COMPLETED: ((REPORTED, REPORTED), (ESTIMATED, ESTIMATED)),
    Outcome.REFUSED: ((None, None), (None, None)),
    Outcome.HANGUP_BEFORE_SEND: ((None, None), (None, None)),
    Outcome.PROVIDER_ERROR_BEFORE_OUTPUT: ((None, REPORTED), (None, None)),
    Outcome.PROVIDER_ERROR_AFTER_OUTPUT: ((DELIVERED, REPORTED), (DELIVERED, ESTIMATED)),
    Outcome.HANGUP_BEFORE_OUTPUT: ((REPORTED, REPORTED), (ESTIMATED, ESTIMATED)),
    Outcome.HANGUP_MIDSTREAM: ((DELIVERED, REPORTED), (DELIVERED, DELIVERED)),
    Outcome.CUT_OFF: ((DELIVERED, REPORTED), (DELIVERED, DELIVERED)),
    Outcome.USAGE_MISSING: ((ESTIMATED, ESTIMATED), (ESTIMATED, ESTIMATED)),
    Outcome.USAGE_ZERO: ((None, None), (None, None)),
    Outcome.CONTENT_FILTERED: ((REPORTED, REPORTED), (None, None)),
    Outcome.JOB_FAILED: ((None, REPORTED), (None, ESTIMATED)),
    Outcome.CRASHED: ((DELIVERED, DELIVERED), (DELIVERED, DELIVERED)),
    Outcome.CRASHED_UNANSWERED: ((None, ESTIMATED), (None, ESTIMATED)),
}


def paid(outcome: Outcome, reported: Usage | None) -> tuple[Usage | None, Usage | None]:
    payment = who_pays(outcome)
    figures = {"reported": reported, "delivered": DELIVERED, "estimated": ESTIMATED}
    return usage_for(payment.sale, **figures), usage_for(payment.cost, **figures)


class TestWhoPays:
    @pytest.mark.parametrize("outcome", Outcome)
    def test_follows_the_table(self, outcome: Outcome) -> None:
        with_report, without_report = TABLE[outcome]
        assert paid(outcome, REPORTED) == with_report
        assert paid(outcome, None) == without_report

    def test_caps_what_rests_on_our_own_count_at_the_hold(self) -> None:
        ours = {Basis.ESTIMATED, Basis.REPORTED_OR_ESTIMATED, Basis.DELIVERED}
        capped = {outcome for outcome in Outcome if who_pays(outcome).within_hold}
        assert capped == {outcome for outcome in Outcome if who_pays(outcome).sale in ours}

    def test_prefers_the_row_of_the_organisation(self) -> None:
        forgiving = {Outcome.HANGUP_MIDSTREAM: Payment(Basis.NOTHING, Basis.MEASURED)}
        assert who_pays(Outcome.HANGUP_MIDSTREAM, forgiving) == Payment(Basis.NOTHING, Basis.MEASURED)
        assert who_pays(Outcome.COMPLETED, forgiving) == WHO_PAYS[Outcome.COMPLETED]

    def test_never_charges_a_caller_whom_we_refused_or_who_left_in_time(self) -> None:
        for outcome in (Outcome.REFUSED, Outcome.HANGUP_BEFORE_SEND, Outcome.PROVIDER_ERROR_BEFORE_OUTPUT):
            assert who_pays(outcome).sale is Basis.NOTHING
