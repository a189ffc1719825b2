"""What a gateway loads."""

import hashlib
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from desk import Desk
from samples import START, START_MS, Customer, new_id

from bursar.db.books import PgBooks


def add_key(desk: Desk, customer: Customer, secret: bytes, **columns: Any) -> None:
    row = {
        "id": new_id(),
        "organisation_id": customer.organisation_id,
        "name": "key",
        "key_hash": hashlib.sha256(secret).digest(),
        "key_prefix": "llm_sk_012345",
        "created_at": START,
    } | columns
    names = psycopg.sql.SQL(", ").join(psycopg.sql.Identifier(name) for name in row)
    values = psycopg.sql.SQL(", ").join(psycopg.sql.Placeholder() * len(row))
    query = psycopg.sql.SQL("INSERT INTO api_key ({}) VALUES ({})").format(names, values)
    desk.operator.execute(query, list(row.values()))


class TestKeys:
    async def test_come_with_the_wallet_that_pays(self, desk: Desk, books: PgBooks) -> None:
        customer = desk.customer()
        add_key(desk, customer, b"s1", expires_at=START + timedelta(milliseconds=5), allowed_models=["m"])
        (key,) = (await books.load_snapshot())["keys"]
        assert bytes(key["secret_sha256"]) == hashlib.sha256(b"s1").digest()
        assert (key["wallet_id"], key["asset"]) == (customer.wallet_id, "USD")
        assert key["expires_at_ms"] == START_MS + 5
        assert key["allowed_models"] == ["m"]
        assert key["limits"] == {"requests_per_min": 60}
        assert key["outcome_policy"] == {}

    @pytest.mark.parametrize("columns", [{"active": False}, {"revoked_at": START}])
    async def test_that_are_off_are_left_out(
        self, desk: Desk, books: PgBooks, columns: dict[str, Any]
    ) -> None:
        add_key(desk, desk.customer(), b"s1", **columns)
        assert (await books.load_snapshot())["keys"] == []

    async def test_of_a_suspended_organisation_are_left_out(self, desk: Desk, books: PgBooks) -> None:
        customer = desk.customer()
        add_key(desk, customer, b"s1")
        desk.operator.execute("UPDATE organisation SET status = 'suspended'")
        assert (await books.load_snapshot())["keys"] == []


class TestRoutesAndPrices:
    async def test_come_as_plain_values(self, desk: Desk, books: PgBooks) -> None:
        provider_id = new_id()
        insert = desk.operator.execute
        insert(
            "INSERT INTO provider (id, slug, name, kind, base_url, created_at)"
            " VALUES (%s, 's', 'S', 'openai', 'http://x', %s)",
            [provider_id, START],
        )
        insert(
            "INSERT INTO provider_credential (id, provider_id, sealed, priority, created_at)"
            " VALUES (%s, %s, 'b', 2, %s), (%s, %s, 'a', 1, %s)",
            [new_id(), provider_id, START, new_id(), provider_id, START],
        )
        late_in_its_second = START.replace(microsecond=999_000)
        insert("INSERT INTO model (id, display_name, created_at) VALUES ('m', 'M', %s)", [late_in_its_second])
        insert("INSERT INTO model_alias (alias, model_id) VALUES ('short', 'm')")
        insert(
            "INSERT INTO route (id, model_id, provider_id, provider_model, created_at)"
            " VALUES (%s, 'm', %s, 'm-1', %s)",
            [new_id(), provider_id, START],
        )
        insert(
            "INSERT INTO price (provider_id, model, meter, currency, effective_from, cost, sale, source,"
            " created_at) VALUES (%s, 'm', 'in_fresh', 'USD', %s, 0.0000025, 0.000003, 'test', %s)",
            [provider_id, START, START],
        )
        snapshot = await books.load_snapshot()
        assert [bytes(row["sealed"]) for row in snapshot["credentials"]] == [b"a", b"b"]
        assert snapshot["models"][0]["created_s"] == START_MS // 1000
        assert snapshot["aliases"] == [{"alias": "short", "model_id": "m"}]
        assert snapshot["routes"][0]["provider_model"] == "m-1"
        assert snapshot["providers"][0]["timeouts"] == {}
        (price,) = snapshot["prices"]
        assert (int(price["cost_atto"]), int(price["sale_atto"])) == (2_500_000_000_000, 3_000_000_000_000)
        assert price["effective_from_ms"] == START_MS
