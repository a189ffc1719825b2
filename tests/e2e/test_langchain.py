"""LangChain's standard suites pass through the gateway, over chat completions and over Responses."""

from collections.abc import Mapping
from pathlib import Path

from operator_client import EVERY_MODEL, MODELS, Customer
from suite_runner import passed_in


def passed(customer: Customer, folder: Path, suite: str, models: Mapping[str, str]) -> int:
    listed = ",".join(f"{kind}={model}" for kind, model in models.items())
    return passed_in(suite, customer.address, folder, seconds_max=170, key=customer.key, models=listed)


class TestLangChain:
    def test_standard_suite_passes(self, customer: Customer, tmp_path: Path) -> None:
        assert passed(customer, tmp_path, "chat_models.py", EVERY_MODEL) >= 70
        assert {row["status"] for row in customer.usage()} == {200}

    def test_standard_suite_passes_over_responses(self, customer: Customer, tmp_path: Path) -> None:
        """Whatever the provider."""
        assert passed(customer, tmp_path, "response_models.py", MODELS) >= 60
        booked = customer.usage()
        assert {row["status"] for row in booked} == {200}
        assert {row["endpoint"] for row in booked} == {"/v1/responses"}
