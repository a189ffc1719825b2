"""`/sim/…`: what a test asks the simulator, over loopback only.

| call | meaning |
|---|---|
| `GET /sim/health` | is it up |
| `GET /sim/help` | the fault words with their meaning |
| `GET /sim/stats` | counters of connections and requests |
| `GET /sim/requests?limit=N` | the last N requests, keys as digests, times in monotonic ns |
| `GET /sim/connections?limit=N` | the last N connections with when and by whom they were closed |
| `GET /sim/faults`, `DELETE /sim/faults` | the fault queue |
| `POST /sim/faults` | queue `{"script": "status=503", "count": 1, "provider", "model", "key"}` |
| `POST /sim/reset` | forget requests, connections, queue and prompt caches |
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import parse_qs

import orjson

from bursar.simulator.fault_queue import FaultQueue
from bursar.simulator.faults import FaultScriptInvalid, grammar
from bursar.simulator.prompt_cache import PromptCache
from bursar.simulator.record import Log
from bursar.simulator.reply import Reply, json_reply

LISTED_MAX = 2000
PREFIX = "/sim/"


class Control:
    """Answers control calls."""

    def __init__(self, log: Log, queue: FaultQueue, cache: PromptCache) -> None:
        self._log = log
        self._queue = queue
        self._cache = cache

    def answer(self, method: str, path: str, query: str, body: bytes) -> Reply:
        shown: dict[str, Callable[[], object]] = {
            "health": lambda: {"ok": True},
            "help": grammar,
            "stats": self._log.counters,
            "requests": lambda: [one.shown() for one in _last(self._log.exchanges, query)],
            "connections": lambda: [one.shown() for one in _last(self._log.links, query)],
            "faults": self._queue.shown,
        }
        name = path.removeprefix(PREFIX)
        match method, name:
            case "GET", _ if name in shown:
                return _ok(shown[name]())
            case "POST", "faults":
                return self._queue_fault(body)
            case "DELETE", "faults":
                self._queue.clear()
                return _ok([])
            case "POST", "reset":
                self.reset()
                return _ok({"ok": True})
            case _:
                return json_reply(404, {"error": f"no {method} {path}; see /sim/help"}, ())

    def reset(self) -> None:
        """Forget everything that happened."""
        self._log.clear()
        self._queue.clear()
        self._cache.clear()

    def _queue_fault(self, body: bytes) -> Reply:
        try:
            self._queue.add_json(orjson.loads(body))
        except (orjson.JSONDecodeError, FaultScriptInvalid) as bad:
            return json_reply(400, {"error": str(bad)}, ())
        return _ok(self._queue.shown())


def _ok(value: Any) -> Reply:
    return json_reply(200, value, ())


def _last(entries: Any, query: str) -> Sequence[Any]:
    wanted = parse_qs(query).get("limit", ["100"])[0]
    limit = min(int(wanted), LISTED_MAX) if wanted.isascii() and wanted.isdigit() else 100
    return list(itertools.islice(entries, max(len(entries) - limit, 0), None))
