"""LangChain's standard suites pass through the gateway, over chat completions and over Responses."""

from pathlib import Path

from operator_client import EVERY_MODEL, MODELS, Customer
from suite_runner import by_kind, passed_in


class TestLangChain:
    def test_standard_suite_passes(self, customer: Customer, tmp_path: Path) -> None:
        assert (
            passed_in("chat_models.py", customer, tmp_path, models=by_kind(EVERY_MODEL), seconds_max=420)
            >= 70
        )
        assert {row["status"] for row in customer.usage()} == {200}

    def test_standard_suite_passes_over_responses(self, customer: Customer, tmp_path: Path) -> None:
        """Whatever the provider."""
        assert (
            passed_in("response_models.py", customer, tmp_path, models=by_kind(MODELS), seconds_max=240) >= 60
        )
        booked = customer.usage()
        assert {row["status"] for row in booked} == {200}
        assert {row["endpoint"] for row in booked} == {"/v1/responses"}
