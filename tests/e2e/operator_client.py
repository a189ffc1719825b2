"""What an operator does through the API: providers, prices, organisations, money, keys. And his customers."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import uuid4

import httpx2
import openai

READY_WAIT_S_MAX = 20
POLL_S = 0.02
CALL_S_MAX = 30
MODELS = {"openai": "gpt-4o-mini", "anthropic": "claude-sonnet-4-5", "openai_compatible": "llama-3.3-70b"}
EVERY_MODEL = {**MODELS, "gemini": "gemini-3.5-flash-lite"}
"""Most tests ask the three of MODELS; those that compare dialects and providers ask all."""
SECRETS = {
    "openai": "sk-test-openai",
    "anthropic": "sk-ant-test",
    "openai_compatible": "sk-test-compat",
    "gemini": "AIzaSyTestGemini",
}
PATHS = {
    "openai": "/openai/v1",
    "anthropic": "/anthropic/v1",
    "openai_compatible": "/compat/v1",
    "gemini": "/gemini/v1beta",
}
FURTHER = {
    "xai": "/xai/v1",
    "mistral": "/mistral/v1",
    "deepseek": "/deepseek/v1",
    "openrouter": "/openrouter/v1",
    "azure_openai": "/azure/openai",
    **dict.fromkeys(("zhipu", "zai", "groq", "together", "ollama", "vllm"), "/compat/v1"),
}
"""All other kinds, and where a simulated one is."""
LLAMA_PRICES = {"in_fresh": ("0.6", "0.72"), "cache_read": ("0.06", "0.072"), "out_text": ("2.4", "2.88")}
OLD_MODEL = "gpt-4-turbo-kept"  # today's catalogue retired gpt-4-turbo; an operator may go on selling it
YUAN_MODEL = "clips"
YUAN_PRICES = {"in_fresh": ("15", "20"), "out_text": ("45", "60")}


class Operator:
    """The operator's client. Every call must succeed."""

    def __init__(self, address: str, token: str) -> None:
        self.address = address
        self._http = httpx2.Client(
            base_url=f"{address}/api/v1", headers={"authorization": f"Bearer {token}"}, timeout=60
        )
        self.provider_ids: dict[str, str] = {}
        self.simulator_url = ""
        self._models: dict[str, str] = dict(EVERY_MODEL)

    def close(self) -> None:
        self._http.close()

    def get(self, path: str, **query: Any) -> Any:
        return self._checked(self._http.get(path, params=query))

    def post(self, path: str, body: dict[str, Any]) -> Any:
        return self._checked(self._http.post(path, json=body, headers={"idempotency-key": str(uuid4())}))

    def patch(self, path: str, body: dict[str, Any]) -> Any:
        return self._checked(self._http.patch(path, json=body))

    def put(self, path: str, body: dict[str, Any]) -> Any:
        return self._checked(self._http.put(path, json=body))

    def set_up(self, simulator_url: str) -> None:
        """One provider of each kind, the shipped catalogue, today's real prices, and models of our own."""
        self.add_providers(simulator_url)
        self.post("/catalogue/load", {})
        self._add_model(OLD_MODEL, "openai", provider_model="gpt-4-turbo")
        self._add_model(YUAN_MODEL, "openai_compatible")
        self.post("/prices/imports", {})
        self._set_prices(YUAN_MODEL, YUAN_PRICES, "CNY")

    def add_providers(self, simulator_url: str) -> None:
        """One provider of each kind, and a model of the OpenAI-compatible one."""
        self.simulator_url = simulator_url
        for kind in EVERY_MODEL:
            slug = "google" if kind == "gemini" else kind.replace("_", "-")
            wanted = {"slug": slug, "kind": kind, "base_url": simulator_url + PATHS[kind]}
            made = self.post("/providers", wanted)
            self.provider_ids[kind] = made["id"]
            self.post(f"/providers/{made['id']}/credentials", {"secret": SECRETS[kind]})
        self._add_model(MODELS["openai_compatible"], "openai_compatible")
        self._set_prices(MODELS["openai_compatible"], LLAMA_PRICES, "USD")

    def model_of(self, kind: str) -> str:
        """A model at a provider of this kind, shared by all who ask."""
        if kind not in self._models:
            self._models[kind] = self.new_model(kind)
        return self._models[kind]

    def new_model(self, kind: str) -> str:
        """A model at a provider of its own, for tests that break it: nobody else's is put to rest."""
        made = self.post(
            "/providers",
            {
                "slug": f"{kind.replace('_', '-')}-{uuid4().hex[:8]}",
                "kind": kind,
                "base_url": self.simulator_url + (PATHS.get(kind) or FURTHER[kind]),
            },
        )
        self.post(f"/providers/{made['id']}/credentials", {"secret": SECRETS.get(kind, "sk-test-further")})
        model = MODELS.get(kind, "gpt-4o-mini")
        self._set_prices(model, LLAMA_PRICES, "USD", made["id"])
        name = f"{model}-{uuid4().hex[:8]}"
        self.post("/models", {"id": name, "output_tokens_max": 4096})
        self.post("/routes", {"model_id": name, "provider_id": made["id"], "provider_model": model})
        return name

    def new_customer(
        self,
        *,
        balance: str = "100.00",
        currency: str = "USD",
        requests_per_minute: int = 1_000_000,
        address: str = "",
        **key: Any,
    ) -> "Customer":
        """An organisation with money and a key that the gateway knows; `address`: where the gateway is."""
        made = self.post("/organisations", {"name": f"Customer {uuid4()}", "currency": currency})
        if Decimal(balance):
            self.post(f"/organisations/{made['id']}/wallet/top-ups", {"amount": balance})
        wanted = {"name": "test", "requests_per_minute": requests_per_minute, **key}
        issued = self.post(f"/organisations/{made['id']}/keys", wanted)
        customer = Customer(
            address=address or self.address,
            operator=self,
            organisation_id=made["id"],
            key=issued["secret"],
        )
        customer.until_known()
        return customer

    def _add_model(self, name: str, kind: str, provider_model: str | None = None) -> None:
        self.post("/models", {"id": name, "output_tokens_max": 4096})
        route = {"model_id": name, "provider_id": self.provider_ids[kind]}
        self.post("/routes", route if provider_model is None else {**route, "provider_model": provider_model})

    def _set_prices(
        self, model: str, prices: dict[str, tuple[str, str]], currency: str, provider_id: str = ""
    ) -> None:
        provider_id = provider_id or self.provider_ids["openai_compatible"]
        for meter, (cost, sale) in prices.items():
            price = {"provider_id": provider_id, "model": model, "meter": meter, "currency": currency}
            self.post("/prices", {**price, "cost": cost, "sale": sale})

    @staticmethod
    def _checked(answer: httpx2.Response) -> Any:
        assert answer.is_success, answer.text
        return answer.json()


@dataclass(kw_only=True)
class Customer:
    """One organisation with one key. `sync` and `aio` are official clients that never retry."""

    address: str
    operator: Operator
    organisation_id: str
    key: str
    _clients: list[openai.OpenAI] = field(default_factory=list)
    _async_clients: list[openai.AsyncOpenAI] = field(default_factory=list)

    @property
    def base_url(self) -> str:
        return f"{self.address}/v1"

    @property
    def sync(self) -> openai.OpenAI:
        if not self._clients:
            self._clients.append(self._client())
        return self._clients[0]

    @property
    def aio(self) -> openai.AsyncOpenAI:
        if not self._async_clients:
            client = openai.AsyncOpenAI(
                api_key=self.key, base_url=self.base_url, max_retries=0, timeout=CALL_S_MAX
            )
            self._async_clients.append(client)
        return self._async_clients[0]

    async def close(self) -> None:
        for client in self._clients:
            client.close()
        for aio in self._async_clients:
            await aio.close()

    def until_known(self) -> None:
        """Wait until the gateway has heard of the key."""
        deadline = time.monotonic() + READY_WAIT_S_MAX
        while True:
            try:
                self.sync.models.list()
            except openai.AuthenticationError:
                assert time.monotonic() < deadline, "the gateway never heard of the new key"
                time.sleep(POLL_S)
            else:
                return

    def until_offered(self, model: str) -> str:
        """Wait until the gateway has heard of a model; its name."""
        deadline = time.monotonic() + READY_WAIT_S_MAX
        while model not in {card.id for card in self.sync.models.list()}:
            assert time.monotonic() < deadline, "the gateway never heard of the new model"
            time.sleep(POLL_S)
        return model

    def explanation(self, request_id: str) -> dict[str, Any]:
        """What `GET /v1/usage/{request_id}` says to the customer."""
        answer = httpx2.get(
            f"{self.base_url}/usage/{request_id}", headers={"authorization": f"Bearer {self.key}"}, timeout=30
        )
        assert answer.status_code == 200, answer.text
        found = answer.json()
        assert isinstance(found, dict)
        return found

    def usage(self) -> list[dict[str, Any]]:
        """The organisation's usage rows as the operator sees them, oldest first."""
        items = self.operator.get(f"/organisations/{self.organisation_id}/usage", limit=100)["items"]
        return list(reversed(items))

    def wallet(self) -> dict[str, Any]:
        found = self.operator.get(f"/organisations/{self.organisation_id}/wallet")
        assert isinstance(found, dict)
        return found

    def movements(self, kind: str | None = None) -> list[dict[str, Any]]:
        """What moved the wallet, oldest first."""
        query = {"limit": 100} if kind is None else {"limit": 100, "type": kind}
        page = self.operator.get(f"/organisations/{self.organisation_id}/wallet/transactions", **query)
        return list(reversed(page["items"]))

    def until_posted(self) -> None:
        """Wait for the worker to move all settled usage into the ledger."""
        deadline = time.monotonic() + READY_WAIT_S_MAX
        while any(not row["posted"] for row in self.usage()):
            assert time.monotonic() < deadline, "usage was not posted"
            time.sleep(POLL_S)

    def _client(self) -> openai.OpenAI:
        return openai.OpenAI(api_key=self.key, base_url=self.base_url, max_retries=0, timeout=CALL_S_MAX)


NewCustomer = Callable[..., Customer]
