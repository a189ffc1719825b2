"""What a gateway knows: every usable row, whatever stands beside it."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from structlog.testing import capture_logs

from bursar.adapters.upstream import Timeouts
from bursar.core.payer import Basis, Outcome
from bursar.core.pricing import ModelNotPriced
from bursar.db.secrets import SecretBox
from bursar.entrypoints.adapters import provider_adapters
from bursar.gateway.snapshot import OUTPUT_TOKENS_UNKNOWN, Rows, Snapshot, build

BOX = SecretBox(bytes(32))
PROVIDER, WALLET, ORGANISATION = uuid4(), uuid4(), uuid4()
NOW_MS = 1_790_000_000_000


def key(**changes: Any) -> dict[str, Any]:
    return {
        "id": uuid4(),
        "secret_sha256": UUID(int=1).bytes * 2,
        "organisation_id": ORGANISATION,
        "wallet_id": WALLET,
        "asset": "USD",
        "outcome_policy": None,
        "billing_type": "prepaid",
        "expires_at_ms": None,
        "allowed_models": None,
        "limits": {"requests_per_min": 60},
    } | changes


def provider(**changes: Any) -> dict[str, Any]:
    return {
        "id": PROVIDER,
        "slug": "p",
        "name": "P",
        "kind": "openai",
        "base_url": "https://provider.test/v1/",
        "aborts_stop_billing": True,
        "timeouts": {},
    } | changes


def credential(**changes: Any) -> dict[str, Any]:
    sealed = BOX.seal(b"sk-secret")
    return {"id": uuid4(), "provider_id": PROVIDER, "sealed": sealed, "hint": "", "priority": 0} | changes


def model(name: str = "m", **changes: Any) -> dict[str, Any]:
    return {
        "id": name,
        "display_name": name,
        "context_window": None,
        "output_tokens_max": 4_096,
        "status": "active",
        "successor": None,
        "capabilities": {},
        "created_s": 1_700_000_000,
    } | changes


def route(**changes: Any) -> dict[str, Any]:
    told = {"id": uuid4(), "model_id": "m", "provider_id": PROVIDER, "provider_model": "m-2026", "weight": 1}
    return told | changes


def price(meter: str = "in_fresh", **changes: Any) -> dict[str, Any]:
    return {
        "id": 1,
        "provider_id": PROVIDER,
        "model": "m-2026",
        "meter": meter,
        "currency": "USD",
        "tier_from": 0,
        "effective_from_ms": 0,
        "cost_atto": 10**12,
        "sale_atto": 12 * 10**11,
        "source": "test",
    } | changes


def rows(**changes: Any) -> Rows:
    return {
        "keys": [key()],
        "providers": [provider()],
        "credentials": [credential()],
        "models": [model()],
        "aliases": [],
        "routes": [route()],
        "prices": [price("in_fresh"), price("out_text", id=2)],
        "settings": [],
    } | changes


def built(**changes: Any) -> Snapshot:
    return build(rows(**changes), provider_adapters(), lambda sealed: BOX.open(sealed).decode())


class TestSnapshot:
    def test_knows_keys_models_routes_and_prices(self) -> None:
        snapshot = built(aliases=[{"alias": "m-latest", "model_id": "m"}])
        (known,) = snapshot.keys.values()
        assert (known.wallet_id, known.asset, known.requests_per_min) == (WALLET, "USD", 60)
        assert snapshot.models["m-latest"] is snapshot.models["m"]
        (way,) = snapshot.models["m"].routes
        assert way.deployment.base_url == "https://provider.test/v1"
        assert [one.secret for one in way.credentials] == ["sk-secret"]
        assert snapshot.prices.quote(PROVIDER, "m-2026", "USD", NOW_MS) is not None

    def test_finds_a_key_by_its_secret_alone(self) -> None:
        snapshot = built(
            keys=[
                key(
                    secret_sha256=bytes.fromhex(
                        "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"
                    )
                )
            ]
        )
        assert snapshot.key(b"secret") is not None
        assert snapshot.key(b"Secret") is None

    def test_shows_no_secret(self) -> None:
        assert "sk-secret" not in repr(built())

    def test_a_model_without_a_known_limit_gets_a_bound(self) -> None:
        snapshot = built(models=[model(output_tokens_max=None)])
        assert snapshot.models["m"].output_tokens_max == OUTPUT_TOKENS_UNKNOWN
        assert snapshot.models["m"].routes[0].deployment.output_tokens_max == OUTPUT_TOKENS_UNKNOWN

    def test_a_retired_model_names_its_successor(self) -> None:
        retired = built(models=[model(status="retired", successor="m2")]).models["m"]
        assert (retired.is_retired, retired.successor) == (True, "m2")

    def test_a_providers_own_timeouts_come_before_the_defaults(self) -> None:
        snapshot = build(
            rows(providers=[provider(timeouts={"idle_ms": 7})]),
            provider_adapters(),
            lambda sealed: BOX.open(sealed).decode(),
            Timeouts(connect_ms=1, first_byte_ms=2, idle_ms=3),
        )
        assert snapshot.models["m"].routes[0].timeouts == Timeouts(connect_ms=1, first_byte_ms=2, idle_ms=7)

    def test_an_outcome_policy_is_read(self) -> None:
        stored = {"usage_missing": {"sale": "nothing", "cost": "measured", "within_hold": True}}
        (known,) = built(keys=[key(outcome_policy=stored)]).keys.values()
        payment = known.policy[Outcome.USAGE_MISSING]
        assert (payment.sale, payment.cost, payment.within_hold) == (Basis.NOTHING, Basis.MEASURED, True)


class TestAllowedModels:
    @pytest.mark.parametrize(
        ("allowed", "name", "passes"),
        [
            (None, "anything", True),
            ([], "anything", False),
            (["gpt-5"], "gpt-5", True),
            (["gpt-5"], "gpt-5-mini", False),
            (["gpt-5*"], "gpt-5-mini", True),
            (["gpt-[45]"], "gpt-4", True),
            (["gpt-?"], "gpt-5-mini", False),
        ],
    )
    def test_are_names_or_patterns(self, allowed: list[str] | None, name: str, *, passes: bool) -> None:
        (known,) = built(keys=[key(allowed_models=allowed)]).keys.values()
        assert known.allows("x", name) is passes


def _unusable() -> list[tuple[str, dict[str, Any]]]:
    """Rows that a careless hand, another key or a newer version may leave in the database."""
    return [
        ("keys", key(secret_sha256=b"2" * 32, limits=["not", "a", "mapping"])),
        ("keys", key(secret_sha256=b"3" * 32, limits={"requests_per_min": "many"})),
        (
            "keys",
            key(secret_sha256=b"4" * 32, outcome_policy={"no_such": {"sale": "x", "cost": "x"}}),
        ),
        ("keys", key(secret_sha256=b"5" * 32, outcome_policy={"completed": {"sale": "twice", "cost": "x"}})),
        ("keys", key(secret_sha256=b"6" * 32, outcome_policy={"completed": {"sale": "nothing"}})),
        ("keys", key(secret_sha256=b"7" * 32, outcome_policy={"completed": "free"})),
        ("keys", key(secret_sha256=None)),
        ("credentials", credential(sealed=SecretBox(b"x" * 32).seal(b"of another key"))),
        ("credentials", credential(sealed=b"")),
        ("credentials", credential(sealed=None)),
        ("credentials", credential(sealed=BOX.seal(b"\xff\xfe"))),
        ("routes", route(provider_model=None, model_id="gone")),
        ("routes", route(provider_id=uuid4())),
        ("prices", price("no_such_meter", id=3)),
        ("prices", price("in_fresh", id=3, sale_atto=None)),
        ("aliases", {"alias": "dangling", "model_id": "gone"}),
    ]


class TestOddRows:
    @pytest.mark.parametrize(("table", "odd"), _unusable())
    def test_are_left_out_and_everything_else_is_known(self, table: str, odd: dict[str, Any]) -> None:
        before = rows()
        with capture_logs() as logs:
            for changed in ([*before[table], odd], [odd, *before[table]]):
                snapshot = built(**{table: changed})
                assert list(snapshot.keys) == [UUID(int=1).bytes * 2]
                assert list(snapshot.models) == ["m"]
                (way,) = snapshot.models["m"].routes
                assert [one.secret for one in way.credentials] == ["sk-secret"]
                assert snapshot.prices.quote(PROVIDER, "m-2026", "USD", NOW_MS) is not None
        assert "sk-secret" not in repr(logs)

    @pytest.mark.parametrize(
        "changes",
        [
            {"timeouts": {"idle_ms": "soon"}},
            {"timeouts": {"idle_ms": 0}},
            {"timeouts": {"no_such_limit_ms": 5}},
            {"timeouts": ["x"]},
            {"base_url": None},
            {"kind": "no_such_kind"},
        ],
    )
    def test_of_a_provider_take_its_routes_away_and_no_others(self, changes: dict[str, Any]) -> None:
        odd_id = uuid4()
        snapshot = built(
            providers=[provider(), provider(id=odd_id, **changes)],
            routes=[route(provider_id=odd_id), route()],
        )
        assert [way.provider_id for way in snapshot.models["m"].routes] == [PROVIDER]

    def test_are_named_in_the_log(self) -> None:
        odd = credential(sealed=b"broken")
        with capture_logs() as logs:
            built(credentials=[odd])
        assert [(entry["kind"], entry["id"]) for entry in logs] == [("credential", str(odd["id"]))]

    def test_a_model_without_a_usable_price_is_not_priced_instead_of_free(self) -> None:
        snapshot = built(prices=[price("in_fresh", sale_atto=None), price("out_text")])
        with pytest.raises(ModelNotPriced):
            snapshot.prices.quote(PROVIDER, "m-2026", "USD", NOW_MS)
