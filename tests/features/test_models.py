from datetime import date
from typing import Any

import pytest
from control_client import Client
from genai_prices import data_snapshot

from bursar.features.models.catalogue import is_retired, shipped_catalogue

EMBEDS, DRAWS = "text-embedding-3-small", "gpt-image-1"


class TestCatalogue:
    def test_has_the_mapping_table_of_the_document(self) -> None:
        entries = {entry.id: entry for entry in shipped_catalogue().models}
        names = {name: entry for entry in entries.values() for name in (entry.id, *entry.aliases)}
        for name, provider, target in [
            ("gpt-4-turbo", "openai", "gpt-4-turbo"),
            ("gpt-4o", "openai", "gpt-4o"),
            ("gpt-4o-mini", "openai", "gpt-4o-mini"),
            ("claude-3-opus", "anthropic", "claude-3-opus-20240229"),
            ("claude-3-5-sonnet", "anthropic", "claude-3-5-sonnet-20241022"),
            ("claude-3-5-haiku", "anthropic", "claude-3-5-haiku-20241022"),
            ("gemini-1.5-pro", "google", "gemini-1.5-pro"),
            ("gemini-1.5-flash", "google", "gemini-1.5-flash"),
            ("grok-beta", "xai", "grok-beta"),
        ]:
            assert (names[name].provider, names[name].provider_model) == (provider, target)

    def test_every_name_means_one_thing(self) -> None:
        names = [name for entry in shipped_catalogue().models for name in (entry.id, *entry.aliases)]
        assert len(set(names)) == len(names)

    def test_a_retired_model_names_a_successor_that_is_not_retired(self) -> None:
        catalogue = shipped_catalogue()
        entries = {entry.id: entry for entry in catalogue.models}
        retired = [entry for entry in catalogue.models if is_retired(entry, catalogue.as_of)]
        assert {"gpt-4-turbo", "claude-3-opus-20240229", "gemini-1.5-pro", "grok-beta"} <= {
            entry.id for entry in retired
        }
        for entry in retired:
            assert entry.successor is not None, entry.id
            assert not is_retired(entries[entry.successor], catalogue.as_of), entry.id

    def test_a_served_model_has_a_provider_kind_we_speak(self) -> None:
        catalogue = shipped_catalogue()
        served = {provider.name for provider in catalogue.providers if provider.state == "served"}
        assert served == {"openai", "anthropic", "google"}
        for entry in catalogue.models:
            if entry.state == "served":
                assert entry.provider in served, entry.id

    def test_every_served_model_has_a_listed_price(self) -> None:
        lists = {entry.id: entry for entry in data_snapshot.get_snapshot().providers}
        for entry in shipped_catalogue().models:
            if entry.state == "served":
                assert lists[entry.provider].find_model(entry.provider_model) is not None, entry.id

    def test_an_announced_day_retires_a_model(self) -> None:
        entry = next(entry for entry in shipped_catalogue().models if entry.id == "gpt-4o")
        assert not is_retired(entry, date(2027, 1, 13))
        assert is_retired(entry, date(2027, 1, 14))


class TestServices:
    async def test_of_a_model_are_chat_when_nobody_says_more(self, client: Client) -> None:
        assert (await client.post("/models", {"id": "m"}))["services"] == ["chat"]

    async def test_are_what_was_said_last(self, client: Client) -> None:
        made = await client.post("/models", {"id": "m", "services": ["embeddings"]})
        assert made["services"] == ["embeddings"]
        changed = await client.call("PATCH", "/models/m", {"services": ["chat", "images"]})
        assert changed["services"] == ["chat", "images"]
        assert (await client.call("PATCH", "/models/m", {"aliases": ["n"]}))["services"] == ["chat", "images"]


class TestLoadCatalogue:
    async def test_adds_models_and_routes_and_nothing_twice(self, client: Client) -> None:
        provider = await client.post("/providers", {"slug": "openai", "kind": "openai"})
        first = await client.call("POST", "/catalogue/load", {})
        assert "gpt-4o" in first["added"]
        assert "gpt-4o → openai" in first["routed"]
        assert "claude-opus-5-5" in first["unrouted"]
        assert "gpt-4-turbo" in first["retired"]
        assert "grok-4.3" in first["planned"]
        assert "gemini-3.8-flash" in first["added"]
        again = await client.call("POST", "/catalogue/load", {})
        assert (again["added"], again["routed"], again["retired"]) == ([], [], [])
        turbo = await client.get("/models/gpt-4-turbo")
        assert (turbo["status"], turbo["successor"], turbo["routes"]) == ("retired", "gpt-5.6-sol", [])
        opus = await client.get("/models/claude-3-opus-20240229")
        assert opus["aliases"] == ["claude-3-opus"]
        mini = await client.get("/models/gpt-4o-mini")
        assert [route["provider_id"] for route in mini["routes"]] == [provider["id"]]
        assert mini["output_tokens_max"] == 16384
        assert mini["capabilities"] == {"services": ["chat"], "retires_on": "2027-01-14"}
        vectors, pictures = [await client.get(f"/models/{name}") for name in (EMBEDS, DRAWS)]
        assert (vectors["services"], pictures["services"]) == (["embeddings"], ["images"])

    async def test_routes_to_a_provider_registered_later(self, client: Client) -> None:
        await client.call("POST", "/catalogue/load", {})
        provider = await client.post(
            "/providers",
            {"slug": "sim", "kind": "anthropic", "base_url": "http://127.0.0.1:8090/anthropic/v1"},
        )
        told = await client.call("POST", "/catalogue/load", {"providers": {"anthropic": "sim"}})
        assert "claude-opus-5-5 → sim" in told["routed"]
        model = await client.get("/models/claude-opus-5-5")
        route = model["routes"][0]
        await client.call("PATCH", f"/routes/{route['id']}", {"active": False})
        again = await client.call("POST", "/catalogue/load", {"providers": {"anthropic": "sim"}})
        assert again["routed"] == []
        assert route["provider_id"] == provider["id"]

    async def test_is_shown_as_it_ships(self, client: Client) -> None:
        shown = await client.get("/catalogue")
        assert len(shown["models"]) == len(shipped_catalogue().models)


class TestModels:
    async def test_are_made_changed_and_retired(self, client: Client) -> None:
        made = await client.post(
            "/models", {"id": "meta/llama-4", "aliases": ["llama"], "margin_percent": "12.5"}
        )
        assert (made["display_name"], made["aliases"], made["status"]) == (
            "meta/llama-4",
            ["llama"],
            "active",
        )
        assert made["margin_percent"] == "12.5000"
        await client.post("/models", {"id": "meta/llama-5"})
        path = "/models/meta/llama-4"
        changed = await client.call(
            "PATCH",
            path,
            {
                "status": "retired",
                "successor": "meta/llama-5",
                "aliases": ["llama-old"],
                "margin_percent": None,
                "output_tokens_max": 100,
            },
        )
        assert (changed["status"], changed["successor"]) == ("retired", "meta/llama-5")
        assert (changed["aliases"], changed["margin_percent"]) == (["llama-old"], None)
        assert await client.get(path) == changed
        listed = (await client.get("/models?status=retired"))["items"]
        assert [one["id"] for one in listed] == ["meta/llama-4"]

    async def test_refuse_what_cannot_be(self, client: Client) -> None:
        await client.post("/models", {"id": "one", "aliases": ["uno"]})
        await client.post("/models", {"id": "two"})
        wrong: list[tuple[str, str, Any, str]] = [
            ("POST", "/models", {"id": "one"}, "409 model_name_taken"),
            ("POST", "/models", {"id": "uno"}, "409 model_name_taken"),
            ("POST", "/models", {"id": "new", "aliases": ["two"]}, "409 model_name_taken"),
            ("POST", "/models", {"id": "new", "aliases": ["new"]}, "409 model_name_taken"),
            ("POST", "/models", {"id": "a b"}, "422 invalid_request"),
            ("POST", "/models", {"id": "x" * 129}, "422 invalid_request"),
            ("POST", "/models", {"id": "new", "context_window": 2**31}, "422 invalid_request"),
            ("POST", "/models", {"id": "new", "services": []}, "422 invalid_request"),
            ("POST", "/models", {"id": "new", "services": ["painting"]}, "422 invalid_request"),
            ("POST", "/models", {"id": "new", "margin_percent": "-100"}, "422 invalid_request"),
            ("POST", "/models", {"id": "new", "margin_percent": "NaN"}, "422 invalid_request"),
            ("POST", "/models", {"id": "new", "margin_percent": "0.00001"}, "422 invalid_request"),
            ("PATCH", "/models/two", {"aliases": ["uno"]}, "409 model_name_taken"),
            ("PATCH", "/models/two", {"aliases": ["two"]}, "409 model_name_taken"),
            ("PATCH", "/models/two", {"successor": "two"}, "422 successor_invalid"),
            ("PATCH", "/models/two", {"successor": "none"}, "422 successor_invalid"),
            ("PATCH", "/models/two", {"status": None}, "422 invalid_request"),
            ("PATCH", "/models/none", {"status": "retired"}, "404 model_not_found"),
            ("GET", "/models/none", None, "404 model_not_found"),
            ("GET", "/models/uno", None, "404 model_not_found"),
            ("GET", "/models/%00", None, "422 invalid_request"),
        ]
        for method, path, body, code in wrong:
            assert await client.refused(method, path, body) == code, (path, body)

    async def test_are_paged_by_name(self, client: Client) -> None:
        for name in ("c", "a", "b"):
            await client.post("/models", {"id": name})
        first = await client.get("/models?limit=2")
        rest = await client.get(f"/models?limit=2&cursor={first['next_cursor']}")
        assert [one["id"] for one in first["items"] + rest["items"]] == ["a", "b", "c"]


class TestRoutes:
    async def test_are_made_changed_and_removed(self, client: Client) -> None:
        provider = await client.post("/providers", {"slug": "openai", "kind": "openai"})
        await client.post("/models", {"id": "best"})
        body = {"model_id": "best", "provider_id": provider["id"], "provider_model": "gpt-6-sol"}
        route = await client.post("/routes", body)
        assert (route["provider"], route["provider_model"], route["priority"]) == (
            "openai",
            "gpt-6-sol",
            100,
        )
        assert await client.refused("POST", "/routes", body) == "409 route_exists"
        changed = await client.call(
            "PATCH", f"/routes/{route['id']}", {"priority": 5, "weight": 3, "active": False}
        )
        assert (changed["priority"], changed["weight"], changed["active"]) == (5, 3, False)
        assert (await client.get("/models/best"))["routes"] == [changed]
        assert await client.call("DELETE", f"/routes/{route['id']}") == changed
        assert (await client.get("/models/best"))["routes"] == []

    async def test_refuse_what_cannot_be(self, client: Client) -> None:
        await client.post("/models", {"id": "best"})
        nobody = "00000000-0000-0000-0000-000000000001"
        wrong: list[tuple[str, str, Any, str]] = [
            ("POST", "/routes", {"model_id": "none", "provider_id": nobody}, "404 model_not_found"),
            ("POST", "/routes", {"model_id": "best", "provider_id": nobody}, "422 provider_unknown"),
            (
                "POST",
                "/routes",
                {"model_id": "best", "provider_id": nobody, "weight": 0},
                "422 invalid_request",
            ),
            ("PATCH", f"/routes/{nobody}", {"weight": 1}, "404 route_not_found"),
            ("DELETE", f"/routes/{nobody}", None, "404 route_not_found"),
        ]
        for method, path, body, code in wrong:
            assert await client.refused(method, path, body) == code, (path, body)


@pytest.mark.parametrize("name", ["Routes", "models"])
async def test_unknown_paths_are_not_found(client: Client, name: str) -> None:
    assert await client.refused("GET", f"/{name}x") == "404 not_found"
