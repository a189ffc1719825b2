"""`bursar limit` and `bursar budget`, against a real database."""

from test_commands import Bursar, bursar

__all__ = ["bursar"]


class TestLimitCommands:
    def test_set_and_show_limits_of_organisations_and_keys(self, bursar: Bursar) -> None:
        bursar.run("org", "create", "Acme")
        key = bursar.json("key", "create", "Acme", "server")
        bursar.run("limit", "set", "Acme", "--tokens-per-minute", "5000")
        made = bursar.json(
            "limit", "set", "Acme", "--key", key["id"], "--concurrent", "4", "--address", "192.0.2.0/24"
        )
        assert (made["concurrent"], made["allowed_addresses"]) == (4, ["192.0.2.0/24"])
        stand = bursar.json("limit", "show", "Acme", "--key", key["id"])
        assert [(item["kind"], item["limit"]) for item in stand["items"]] == [("concurrent", "4")]
        assert "tokens_per_min" in bursar.run("limit", "show", "Acme").stdout
        wrong = ("limit", "set", "Acme", "--address", "192.0.2.0/24")
        assert bursar.refused(*wrong, fails=2) == "invalid_request"

    def test_of_credentials_are_set_and_shown(self, bursar: Bursar) -> None:
        bursar.run("provider", "add", "acme", "openai")
        credential = bursar.json("provider", "credential", "add", "acme", stdin="sk-test-1234567890\n")
        bursar.run("limit", "set-credential", "acme", credential["id"], "--requests-per-minute", "9")
        bursar.run(
            "budget", "create-for-credential", "acme", credential["id"], "free", "500", "--unit", "tokens"
        )
        stand = bursar.json("limit", "show-credential", "acme", credential["id"])
        kinds = [(item["kind"], item["limit"]) for item in stand["items"]]
        assert kinds == [("requests_per_min", "9"), ("tokens_month", "500")]
        (listed,) = bursar.json("budget", "list-of-credential", "acme", credential["id"])["items"]
        assert listed["name"] == "free"


class TestBudgetCommands:
    def test_make_list_and_change_budgets(self, bursar: Bursar) -> None:
        bursar.run("org", "create", "Acme")
        key = bursar.json("key", "create", "Acme", "server")
        made = bursar.json(
            "budget",
            "create",
            "Acme",
            "lunch",
            "25",
            "--key",
            key["id"],
            "--model",
            "gpt-*",
            "--period",
            "day",
        )
        assert (made["amount"], made["model"], made["period"]) == ("25.00", "gpt-*", "day")
        changed = bursar.json("budget", "change", "Acme", made["id"], "--amount", "30", "--off")
        assert (changed["amount"], changed["active"]) == ("30.00", False)
        assert "lunch" in bursar.run("budget", "list", "Acme").stdout
        assert bursar.refused("budget", "create", "Acme", "x", "many", fails=2) == "invalid_request"
