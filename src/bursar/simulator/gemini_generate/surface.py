"""From an HTTP request to the reply of the simulated Gemini API."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, unquote

from bursar.simulator.catalogue import GOOGLE, Model
from bursar.simulator.fault_queue import FaultQueue
from bursar.simulator.faults import GENERATED_MAX, NONE, Faults, in_model, merged, read
from bursar.simulator.gemini_generate import reading, writing
from bursar.simulator.gemini_generate.embedding import embed, embed_batch
from bursar.simulator.gemini_generate.errors import HEADERS, faulty, invalid, refuse
from bursar.simulator.gemini_generate.fields import COUNT, EMBED, EMBED_BATCH
from bursar.simulator.prompt_cache import OPENAI_TOKENS_MIN, PromptCache
from bursar.simulator.reply import Reply, json_reply
from bursar.simulator.settings import SimulatorSettings
from bursar.simulator.turn import compose
from bursar.simulator.wire import Request

VERSIONS = ("/v1beta", "/v1")
MODELS = "/models"
KEY_PREFIX = "AIza"
PAGE, PAGE_MAX = 50, 1000
PROVIDER = "gemini"
Uses = Callable[[Faults, bytes], bool]


class Surface:
    """Answers calls below `/v1beta/models` and `/v1/models`.

    `used_up` says whether `times=N` is reached for a seed.
    """

    def __init__(
        self, settings: SimulatorSettings, queue: FaultQueue, cache: PromptCache, used_up: Uses
    ) -> None:
        self._settings = settings
        self._queue = queue
        self._cache = cache
        self._used_up = used_up

    def answer(self, request: Request, path: str, query: str) -> Reply:
        asked = parse_qs(query)
        key = self._key(request, asked)
        version = next((one for one in VERSIONS if path.startswith(f"{one}/")), None)
        path = path.removeprefix(version) if version else ""
        if path == MODELS and request.method == "GET":
            return _page(asked)
        name, _, action = unquote(path.removeprefix(f"{MODELS}/")).rpartition(":")
        if path.startswith(f"{MODELS}/") and request.method == "GET":
            return json_reply(200, _shown(_found(action, "getModel")), HEADERS)
        if not path.startswith(f"{MODELS}/") or request.method != "POST":
            raise refuse("bad_url")
        return self._act(request, name, action, key, asked)

    def _act(self, request: Request, name: str, action: str, key: str, asked: dict[str, list[str]]) -> Reply:
        plain, script = in_model(name)
        model = _found(plain, action)
        match action:
            case "generateContent" | "streamGenerateContent" if not model.embeds:
                sse = asked.get("alt") == ["sse"]
                return self._generate(request.body, model, script, key, streams=action[0] == "s", sse=sse)
            case "countTokens":
                return _count(request.body)
            case "embedContent" if model.embeds:
                return self._embed(reading.parse(request.body, EMBED), model, script, key, embed)
            case "batchEmbedContents" if model.embeds:
                return self._embed(reading.parse(request.body, EMBED_BATCH), model, script, key, embed_batch)
        raise refuse("model_not_found", model=plain, action=action)

    def _key(self, request: Request, asked: dict[str, list[str]]) -> str:
        key = request.headers.get(b"x-goog-api-key", b"").decode("latin-1") or asked.get("key", [""])[0]
        if not key:
            raise refuse("no_key")
        allowed = self._settings.gemini_keys
        if key not in allowed if allowed else not key.startswith(KEY_PREFIX):
            raise refuse("bad_key")
        return key

    def _generate(  # noqa: PLR0913 - one call, each part of it from another place
        self, content: bytes, model: Model, script: str, key: str, *, streams: bool, sse: bool
    ) -> Reply:
        queued = self._queue.take(PROVIDER, model.name, key)
        raw = reading.read_generate(content)
        asked = reading.understand(raw, model, script, queued, answer_tokens=self._settings.answer_tokens)
        if self._used_up(asked.ask.faults, asked.ask.seed):
            asked = replace(asked, ask=replace(asked.ask, faults=NONE))
        faults = asked.ask.faults
        failed = faulty(faults, model=model.name)
        if failed is not None:
            return failed
        if asked.candidates * sum((faults.output_tokens or 0, faults.reasoning or 0)) > GENERATED_MAX:
            raise invalid(f"sim: more than {GENERATED_MAX} tokens to generate")
        cached = self._cache.automatic(f"{key}\n{model.name}".encode(), asked.prompt, asked.input_tokens)
        turns = [compose(asked.ask, at) for at in range(asked.candidates)]
        reply = (
            writing.stream(asked, turns, cached, sse=sse) if streams else writing.whole(asked, turns, cached)
        )
        repeatable = faults.times is None and asked.input_tokens < OPENAI_TOKENS_MIN
        return replace(reply, repeatable=repeatable)

    def _embed(
        self,
        raw: dict[str, Any],
        model: Model,
        script: str,
        key: str,
        write: Callable[[dict[str, Any], Model, Faults], Reply],
    ) -> Reply:
        faults = merged(read(script), self._queue.take(PROVIDER, model.name, key))
        return faulty(faults, model=model.name) or write(raw, model, faults)


def _found(name: str, action: str) -> Model:
    model = GOOGLE.find(name)
    if model is None:
        raise refuse("model_not_found", model=name, action=action)
    return model


def _count(content: bytes) -> Reply:
    raw = reading.parse(content, COUNT)
    sent = reading.prompt_tokens(raw.get("generateContentRequest") or {"contents": [], **raw})
    details = [{"modality": name, "tokenCount": count} for name, count in sent.items()]
    return json_reply(200, {"totalTokens": sent.total(), "promptTokensDetails": details}, HEADERS)


def _shown(model: Model) -> dict[str, object]:
    methods = ["embedContent"] if model.embeds else ["generateContent", "countTokens"]
    return {
        "name": f"models/{model.name}",
        "version": "001",
        "displayName": model.name.replace("-", " ").title(),
        "inputTokenLimit": 1_048_576,
        "outputTokenLimit": model.output_max,
        "supportedGenerationMethods": methods,
    }


def _page(asked: dict[str, list[str]]) -> Reply:
    """One page of models; the token of the next is the number of those shown."""
    models = list(GOOGLE.models.values())
    wanted, token = asked.get("pageSize", [str(PAGE)])[0], asked.get("pageToken", ["0"])[0]
    if not wanted.isdigit() or not 1 <= int(wanted) <= PAGE_MAX or not token.isdigit():
        raise invalid("* ListModelsRequest.page_size: page_size must be in the supported range.\n")
    end = int(token) + int(wanted)
    page: dict[str, object] = {"models": [_shown(model) for model in models[int(token) : end]]}
    if end < len(models):
        page["nextPageToken"] = str(end)
    return json_reply(200, page, HEADERS)
