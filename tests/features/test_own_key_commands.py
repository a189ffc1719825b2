"""`bursar own-key …` and `bursar org routing …`, against a real database."""

import psycopg
from test_commands import Bursar, bursar

from scratch_database import ScratchDatabase

__all__ = ["bursar"]  # the fixture

SECRET = "sk-proj-own-secret-abcd"


class TestOwnKeyCommands:
    def test_add_rotate_switch_off_and_remove(self, bursar: Bursar) -> None:
        bursar.json("org", "create", "Acme")
        bursar.json("provider", "add", "openai", "openai")
        made = bursar.json("own-key", "add", "Acme", "openai", "--name", "main", stdin=f"{SECRET}\n")
        assert (made["hint"], made["name"], made["provider"]) == ("…abcd", "main", "openai")
        listed = bursar.run("own-key", "list", "Acme").stdout
        assert "…abcd" in listed
        assert SECRET not in listed
        new = bursar.json("own-key", "rotate", "Acme", made["id"], "--from-env", "NEW", NEW="sk-other-efgh")
        assert new["hint"] == "…efgh"
        off = bursar.json("own-key", "change", "Acme", made["id"], "--inactive", "--priority", "3")
        assert (off["active"], off["priority"]) == (False, 3)
        assert bursar.json("own-key", "remove", "Acme", made["id"])["id"] == made["id"]
        assert bursar.json("own-key", "list", "Acme")["items"] == []

    def test_refuse_a_credential_of_somebody_else(self, bursar: Bursar) -> None:
        bursar.json("org", "create", "Acme")
        bursar.json("provider", "add", "openai", "openai")
        wrong = "sk-ant-not-openai"
        assert bursar.refused("own-key", "add", "Acme", "openai", stdin=wrong) == "credential_invalid"
        assert bursar.refused("own-key", "add", "Acme", "nowhere", stdin=SECRET) == "provider_not_found"
        assert bursar.refused("own-key", "remove", "Acme", "one", fails=2) == "invalid_request"

    def test_set_and_show_fees(self, bursar: Bursar) -> None:
        bursar.json("org", "create", "Acme")
        assert bursar.json("own-key", "fee", "show", "Acme")["percent"] == "5"
        bursar.json("own-key", "fee", "set", "2.5", "--per-request", "0.0001", "--organisation", "Acme")
        shown = bursar.json("own-key", "fee", "show", "Acme")
        assert (shown["percent"], shown["per_request"]) == ("2.5", "0.0001")
        assert len(bursar.json("own-key", "fee", "list")["items"]) == 6
        assert "2.5" in bursar.run("own-key", "fee", "list", "--organisation", "Acme").stdout
        assert bursar.refused("own-key", "fee", "set", "many", fails=2) == "invalid_request"


class TestOrgRoutingCommands:
    def test_restrict_and_lift(self, bursar: Bursar, database: ScratchDatabase) -> None:
        bursar.json("org", "create", "Acme")
        provider = bursar.json("provider", "add", "openai", "openai")
        with psycopg.connect(database.url) as connection:
            connection.execute("UPDATE provider SET region = 'eu'")
        narrowed = bursar.json(
            "org", "routing", "change", "Acme", "--provider", "openai", "--region", "eu", "--fall-back"
        )
        assert narrowed == {
            "own_keys_fall_back": True,
            "allowed_providers": [provider["id"]],
            "allowed_regions": ["eu"],
        }
        assert bursar.json("org", "routing", "show", "Acme") == narrowed
        assert bursar.json("org", "routing", "change", "Acme", "--any-provider", "--any-region") == {
            "own_keys_fall_back": True,
            "allowed_providers": None,
            "allowed_regions": None,
        }
        both = ("--provider", "openai", "--any-provider")
        assert bursar.refused("org", "routing", "change", "Acme", *both, fails=2) == "invalid_request"
        wrong = ("--region", "atlantis")
        assert bursar.refused("org", "routing", "change", "Acme", *wrong) == "region_unknown"
