"""From an HTTP request to the reply of the provider it was meant for."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from hashlib import blake2b
from types import ModuleType
from urllib.parse import parse_qs

from bursar.simulator import shapes, variants
from bursar.simulator.anthropic_messages import errors as anthropic_errors
from bursar.simulator.anthropic_messages import reading as anthropic_reading
from bursar.simulator.anthropic_messages import writing as anthropic_writing
from bursar.simulator.catalogue import ANTHROPIC, OPENAI, Model
from bursar.simulator.fault_queue import FaultQueue
from bursar.simulator.faults import GENERATED_MAX, NONE, Faults, in_model
from bursar.simulator.gemini_generate import errors as gemini_errors
from bursar.simulator.gemini_generate.surface import Surface as Gemini
from bursar.simulator.openai_chat import errors as openai_errors
from bursar.simulator.openai_chat import reading as openai_reading
from bursar.simulator.openai_chat import writing as openai_writing
from bursar.simulator.openai_embeddings import answering as openai_embeddings
from bursar.simulator.openai_images import answering as openai_images
from bursar.simulator.openai_responses import reading as responses_reading
from bursar.simulator.openai_responses import writing as responses_writing
from bursar.simulator.prompt_cache import OPENAI_TOKENS_MIN, PromptCache
from bursar.simulator.reply import GARBAGE, Refused, Reply, json_reply
from bursar.simulator.settings import SimulatorSettings
from bursar.simulator.turn import compose
from bursar.simulator.wire import Request

TIMES_REMEMBERED = 10_000
PAGE_MAX = 1000
PREFIXES = {
    "/openai/": "openai", "/anthropic/": "anthropic", "/compat/": "compatible", "/gemini/": "gemini",
    **{f"/{name}/": name for name in variants.VARIANTS},
}  # fmt: skip
_RESPONSES = ("/v1/responses", "/v1/responses/input_tokens")
_MODEL = shapes.load("openai_chat")["model"]
_CLAUDE = shapes.load("anthropic_messages")["model"]
_ANSWERED_PLAINLY: Mapping[str, ModuleType] = {
    "/v1/embeddings": openai_embeddings,
    "/v1/images/generations": openai_images,
}


class Providers:
    """The simulated providers and what they remember.

    A path may begin with `/openai`, `/anthropic`, `/gemini`, `/compat` (an OpenAI-compatible imitator: any
    model, any key, unknown fields ignored, `reasoning_content`) or one of `variants.VARIANTS`; without one,
    the path and headers say whose it is.
    """

    def __init__(self, settings: SimulatorSettings, queue: FaultQueue, cache: PromptCache) -> None:
        self._settings = settings
        self._queue = queue
        self._cache = cache
        self._uses: OrderedDict[bytes, int] = OrderedDict()
        self._gemini = Gemini(settings, queue, cache, self._used_up)

    def answer(self, request: Request, path: str, query: str) -> Reply:
        """The reply to any provider call."""
        provider, path = _provider(request, path)
        try:
            if provider == "anthropic":
                return self._anthropic(request, path, query)
            if provider == "gemini":
                broken = gemini_errors.faulty(Faults(status=503), model="")
                return _spoiled(self._gemini.answer(request, path, query), broken)
            if provider in variants.VARIANTS:
                return variants.answer(provider, request, path, query, self._imitate)
            return self._openai(request, path, compatible=provider == "compatible")
        except Refused as refused:
            return refused.reply

    # OpenAI

    def _imitate(self, request: Request, path: str) -> Reply:
        if path == variants.RESPONSES and request.method == "POST":
            return self._response(path, request.body, self._openai_key(request, compatible=True))
        return self._openai(request, path, compatible=True)

    def _openai(self, request: Request, path: str, *, compatible: bool) -> Reply:
        refuse = openai_errors.refuse
        key = self._openai_key(request, compatible=compatible)
        if path == "/v1/chat/completions":
            if request.method != "POST":
                raise refuse("bad_method", method=request.method, path=path)
            return self._chat(request.body, key, compatible=compatible)
        if path in _ANSWERED_PLAINLY:
            if request.method != "POST":
                raise refuse("bad_method", method=request.method, path=path)
            return self._plain(_ANSWERED_PLAINLY[path], request.body, key, compatible=compatible)
        if path in _RESPONSES and not compatible:
            if request.method != "POST":
                raise refuse("bad_method", method=request.method, path=path)
            return self._response(path, request.body, key)
        if path == "/v1/models" and request.method == "GET":
            models = [_shown_model(model) for model in OPENAI.models.values()]
            return json_reply(200, {"object": "list", "data": models}, openai_errors.HEADERS)
        if path.startswith("/v1/models/") and request.method == "GET":
            name = path.removeprefix("/v1/models/")
            model = OPENAI.find(name)
            if model is None:
                raise refuse("model_not_found", param="model", model=name)
            return json_reply(200, _shown_model(model), openai_errors.HEADERS)
        raise refuse("bad_url", method=request.method, path=path)

    def _openai_key(self, request: Request, *, compatible: bool) -> str:
        given = request.headers.get(b"authorization", b"").decode("latin-1")
        scheme, _, key = given.partition(" ")
        if scheme.lower() != "bearer" or not key:
            raise openai_errors.refuse("no_key")
        allowed = self._settings.openai_keys
        good = key in allowed if allowed else key.startswith("sk-") and not key.startswith("sk-ant-")
        if not good and not compatible:
            raise openai_errors.refuse("bad_key", key=openai_errors.masked(key))
        return key

    def _plain(self, surface: ModuleType, content: bytes, key: str, *, compatible: bool) -> Reply:
        """Embeddings and images."""
        raw = openai_reading.parse(content)
        name = in_model(str(raw["model"]))[0]
        queued = self._queue.take("compatible" if compatible else "openai", name, key)
        name, faults = surface.understand(raw, queued, compatible=compatible)
        if self._used_up(faults, blake2b(content).digest()):
            faults = NONE
        reply = surface.answer(raw, name, faults, key=key, compatible=compatible)
        broken = openai_errors.faulty(Faults(status=500), model=name, key=key, compatible=compatible)
        return _spoiled(reply, broken)

    def _chat(self, content: bytes, key: str, *, compatible: bool) -> Reply:
        raw = openai_reading.parse(content)
        name = in_model(str(raw["model"]))[0]
        queued = self._queue.take("compatible" if compatible else "openai", name, key)
        chat = openai_reading.understand(
            raw, queued, compatible=compatible, answer_tokens=self._settings.answer_tokens
        )
        if self._used_up(chat.ask.faults, chat.ask.seed):
            chat = replace(chat, ask=replace(chat.ask, faults=NONE))
        faults = chat.ask.faults
        failed = openai_errors.faulty(faults, model=name, key=key, compatible=compatible)
        if failed is not None:
            return failed
        if chat.choices * sum((faults.output_tokens or 0, faults.reasoning or 0)) > GENERATED_MAX:
            raise openai_errors.invalid(f"sim: more than {GENERATED_MAX} tokens to generate", "n")
        cached = self._cache.automatic(f"{key}\n{name}".encode(), chat.prompt, chat.input_tokens)
        turns = [compose(chat.ask, at) for at in range(chat.choices)]
        reply = (openai_writing.stream if chat.stream else openai_writing.whole)(chat, turns, cached)
        repeatable = chat.input_tokens < OPENAI_TOKENS_MIN and faults.times is None
        broken = openai_errors.faulty(Faults(status=500), model=name, key=key, compatible=compatible)
        return _spoiled(replace(reply, repeatable=repeatable), broken)

    def _response(self, path: str, content: bytes, key: str) -> Reply:
        raw = openai_reading.parse(content)
        if path == _RESPONSES[1]:
            return responses_reading.count(raw)
        name = in_model(str(raw["model"]))[0]
        queued = self._queue.take("openai", name, key)
        asked = responses_reading.understand(raw, queued, answer_tokens=self._settings.answer_tokens)
        if self._used_up(asked.ask.faults, asked.ask.seed):
            asked = replace(asked, ask=replace(asked.ask, faults=NONE))
        faults = asked.ask.faults
        failed = openai_errors.faulty(faults, model=name, key=key, compatible=False)
        if failed is not None:
            return failed
        cached = self._cache.automatic(f"{key}\n{name}".encode(), asked.prompt, asked.input_tokens)
        write = responses_writing.stream if asked.stream else responses_writing.whole
        reply = write(asked, compose(asked.ask), cached)
        repeatable = asked.input_tokens < OPENAI_TOKENS_MIN and faults.times is None
        broken = openai_errors.faulty(Faults(status=500), model=name, key=key, compatible=False)
        return _spoiled(replace(reply, repeatable=repeatable), broken)

    # Anthropic

    def _anthropic(self, request: Request, path: str, query: str) -> Reply:
        refuse = anthropic_errors.refuse
        key, api = self._anthropic_key(request)
        if path == "/v1/messages" and request.method == "POST":
            return self._messages(request.body, key, api)
        if path == "/v1/messages/count_tokens" and request.method == "POST":
            raw = anthropic_reading.parse(request.body)
            anthropic_reading.check(raw, api, counting=True)
            counted = anthropic_reading.input_tokens(raw, anthropic_reading.segments_of(raw))
            return json_reply(200, {"input_tokens": counted}, anthropic_errors.HEADERS)
        if path in ("/v1/messages", "/v1/messages/count_tokens"):
            raise refuse("bad_method")
        if path == "/v1/models" and request.method == "GET":
            return _claude_page(query)
        if path.startswith("/v1/models/") and request.method == "GET":
            name = path.removeprefix("/v1/models/")
            model = ANTHROPIC.find(name)
            if model is None:
                raise refuse("model_not_found", model=name)
            return json_reply(200, _shown_claude(model), anthropic_errors.HEADERS)
        raise refuse("bad_url")

    def _anthropic_key(self, request: Request) -> tuple[str, anthropic_reading.Api]:
        refuse = anthropic_errors.refuse
        bearer = request.headers.get(b"authorization", b"").decode("latin-1")
        key = request.headers.get(b"x-api-key", b"").decode("latin-1") or bearer.removeprefix("Bearer ")
        if not key:
            raise refuse("no_key")
        allowed = self._settings.anthropic_keys
        if key not in allowed if allowed else not key.startswith("sk-ant-"):
            raise refuse("bad_key")
        version = request.headers.get(b"anthropic-version", b"").decode("latin-1")
        if not version:
            raise refuse("no_version")
        if version not in anthropic_reading.VERSIONS:
            raise refuse("bad_version", version=version)
        return key, anthropic_reading.Api(version=version, beta=b"anthropic-beta" in request.headers)

    def _messages(self, content: bytes, key: str, api: anthropic_reading.Api) -> Reply:
        raw = anthropic_reading.parse(content)
        name = in_model(str(raw.get("model", "")))[0]
        queued = self._queue.take("anthropic", name, key)
        asked = anthropic_reading.understand(raw, queued, api, answer_tokens=self._settings.answer_tokens)
        if self._used_up(asked.ask.faults, asked.ask.seed):
            asked = replace(asked, ask=replace(asked.ask, faults=NONE))
        faults = asked.ask.faults
        failed = anthropic_errors.faulty(faults, model=name)
        if failed is not None:
            return failed
        found = self._cache.explicit(f"{key}\n{name}".encode(), asked.segments, asked.model.cache_tokens_min)
        write = anthropic_writing.stream if asked.stream else anthropic_writing.whole
        reply = write(asked, compose(asked.ask), anthropic_writing.cache_use(asked, found))
        repeatable = faults.times is None and not any(one.ttl for one in asked.segments)
        broken = anthropic_errors.faulty(Faults(status=529), model=name)
        return _spoiled(replace(reply, repeatable=repeatable), broken)

    def _used_up(self, faults: Faults, seed: bytes) -> bool:
        """Whether `times=N` has been reached for this very request."""
        if faults.times is None:
            return False
        used = self._uses[seed] = self._uses.pop(seed, 0) + 1
        while len(self._uses) > TIMES_REMEMBERED:
            self._uses.popitem(last=False)
        return used > faults.times

    def forget(self) -> None:
        self._uses.clear()


def _provider(request: Request, path: str) -> tuple[str, str]:
    """Whose call it is, and its path without our prefix."""
    for prefix, provider in PREFIXES.items():
        if path.startswith(prefix):
            return provider, path[len(prefix) - 1 :]
    if path.startswith("/v1beta/") or b"x-goog-api-key" in request.headers:
        return "gemini", path
    claude = path.startswith("/v1/messages") or b"anthropic-version" in request.headers
    return ("anthropic" if claude and path != "/v1/chat/completions" else "openai"), path


def _spoiled(reply: Reply, broken: Reply | None) -> Reply:
    """Faults that replace a whole answer's body; streams have had theirs already."""
    faults = reply.faults
    if reply.events is not None:
        return reply
    if faults.error_event_after is not None and broken is not None:
        return broken
    if faults.garbage or faults.garbage_event is not None or faults.garbage_after_events is not None:
        return replace(reply, body=GARBAGE)
    return replace(reply, body=b"") if faults.empty_body else reply


def _shown_model(model: Model) -> dict[str, object]:
    return {**_MODEL, "id": model.name}


def _shown_claude(model: Model) -> dict[str, object]:
    display = model.name.replace("-", " ").title()
    return {**_CLAUDE, "id": model.snapshot, "display_name": display, "max_tokens": model.output_max}


def _claude_page(query: str) -> Reply:
    """One page of models; `limit`, `after_id` as documented."""
    asked = parse_qs(query)
    models = list({model.snapshot: model for model in ANTHROPIC.models.values()}.values())
    after = asked.get("after_id", [""])[0]
    start = next((at + 1 for at, model in enumerate(models) if model.snapshot == after), 0)
    wanted = asked.get("limit", ["20"])[0]
    if not wanted.isascii() or not wanted.isdigit() or not 1 <= int(wanted) <= PAGE_MAX:
        raise anthropic_errors.refuse("invalid", message=f"limit: should be between 1 and {PAGE_MAX}")
    page = [_shown_claude(model) for model in models[start : start + int(wanted)]]
    more = start + len(page) < len(models)
    ends = (
        {"first_id": page[0]["id"], "last_id": page[-1]["id"]}
        if page
        else {"first_id": None, "last_id": None}
    )
    return json_reply(200, {"data": page, "has_more": more, **ends}, anthropic_errors.HEADERS)
