"""The simulator as a running server, and the ways to start one."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from ipaddress import ip_address

from bursar.simulator.control import PREFIX, Control
from bursar.simulator.fault_queue import FaultQueue
from bursar.simulator.faults import Faults, given
from bursar.simulator.playback import Player, send_bursts
from bursar.simulator.prompt_cache import PromptCache
from bursar.simulator.providers import Providers
from bursar.simulator.record import Log
from bursar.simulator.reply import JSON_TYPE, Prepared, Reply, json_reply, stamp_of
from bursar.simulator.settings import SimulatorSettings
from bursar.simulator.wire import Connection, Request

BACKLOG = 1024
SWEEP_S = 5.0
START_TIMEOUT_S = 10.0
PREPARED_MAX = 512
PREPARED_BYTES_MAX = 64 * 1024
PREPARED_REQUEST_BYTES_MAX = 16 * 1024
AT_ONCE_EVENTS_MAX = 512
CONTENT_WORDS = frozenset((
    "input_tokens", "output_tokens", "reported_output", "cached", "cache_write", "cache_write_1h",
    "cache_write_12h", "failed", "tool_use", "blocked", "finish_reason",
    "reasoning", "web_search", "service_tier", "text", "echo", "unicode", "tool", "tools", "content_filter",
    "refusal", "length", "no_usage", "zero_usage", "no_final_usage", "running_usage", "wrong_total",
    "extra_fields", "no_finish", "fewer", "times", "redacted",
))  # fmt: skip
"""Words that change what is said, not how it is sent."""


class Simulator:
    """One server: its providers, its log, its fault queue.

    Attributes:
        log: requests, connections and counters.
        faults: the queue behind `/sim/faults`, for tests in the same process.
        base_url: `http://host:port`, once started; the SDKs want `base_url + "/v1"` (OpenAI) and `base_url`
        (Anthropic).
    """

    def __init__(self, settings: SimulatorSettings | None = None) -> None:
        self.settings = settings or SimulatorSettings()
        self.log = Log(requests_max=self.settings.recorded_requests_max)
        self.faults = FaultQueue()
        self.base_url = ""
        self._cache = PromptCache()
        self._providers = Providers(self.settings, self.faults, self._cache)
        self._control = Control(self.log, self.faults, self._cache)
        self._prepared: dict[bytes, Prepared] = {}
        self._members: set[Connection] = set()
        self._server: asyncio.Server | None = None
        self._sweeping: asyncio.TimerHandle | None = None
        self._sweep_s = min(SWEEP_S, self.settings.idle_ms_max / 1000)
        self._serial = 0

    # life

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen; port 0 takes a free one.

        Raises:
            OSError: the port is taken.
        """
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._connection, host, port, backlog=BACKLOG)
        bound = self._server.sockets[0].getsockname()
        shown = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
        self.base_url = f"http://{shown}:{bound[1]}"
        self._sweep()

    async def stop(self) -> None:
        """Stop listening, drop every connection, wait for every answer in progress to be cancelled."""
        if self._sweeping is not None:
            self._sweeping.cancel()
        if self._server is not None:
            self._server.close()
        members = list(self._members)
        tasks = [task for member in members if (task := member.stop()) is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()
        for member in members:
            await member.closed.wait()

    def reset(self) -> None:
        """Forget requests, connections, faults and caches; open connections stay."""
        self._control.reset()
        self._providers.forget()

    def _connection(self) -> Connection:
        return Connection(self.settings, self.log, self._handle, self._members)

    def _sweep(self) -> None:
        oldest = time.monotonic() - self.settings.idle_ms_max / 1000
        for member in list(self._members):
            if member.idle and member.idle_since < oldest:
                member.close()
        self._sweeping = asyncio.get_running_loop().call_later(self._sweep_s, self._sweep)

    # one request

    def _handle(self, connection: Connection, request: Request) -> None:
        """Answer from memory, else make the answer; send it at once, else play it."""
        self._serial += 1
        stamp, second = stamp_of(self._serial), int(time.time())
        key = None if len(self.faults) else _key(request)
        prepared = self._prepared.get(key) if key is not None else None
        if prepared is None:
            reply = self._answer(connection, request)
            if not self._at_once(reply):
                connection.run(Player(connection, reply, self.settings, stamp, second).play())
                return
            prepared = self._keep(key, reply)
        content = prepared.stamped(stamp, second)
        if len(prepared.cuts) == 1:
            connection.send_whole(content, status=prepared.status, events=prepared.events)
        else:
            connection.run(send_bursts(connection, prepared, content, self.settings.events_per_write))

    def _answer(self, connection: Connection, request: Request) -> Reply:
        path, _, query = request.target.decode("latin-1").partition("?")
        if not path.startswith(PREFIX):
            return self._providers.answer(request, path, query)
        if not self.settings.control or not _loopback(connection):
            return Reply(status=403, headers=(JSON_TYPE,), body=b'{"error":"loopback only"}')
        if (request.method, path) == ("POST", "/sim/reset"):
            self.reset()
            return json_reply(200, {"ok": True}, ())
        return self._control.answer(request.method, path, query, request.body)

    def _at_once(self, reply: Reply) -> bool:
        """Whether nothing paces, splits or breaks this answer."""
        if _is_played(reply.faults):
            return False
        if reply.tokens and (self.settings.tokens_per_s or self.settings.first_token_ms):
            return False
        return len(reply.events or ()) <= AT_ONCE_EVENTS_MAX

    def _keep(self, key: bytes | None, reply: Reply) -> Prepared:
        prepared = Prepared(reply, self.settings.events_per_write)
        if key is not None and reply.repeatable and len(prepared) <= PREPARED_BYTES_MAX:
            if len(self._prepared) >= PREPARED_MAX:
                del self._prepared[next(iter(self._prepared))]
            self._prepared[key] = prepared
        return prepared


def _is_played(faults: Faults) -> bool:
    return not CONTENT_WORDS.issuperset(given(faults))


def _key(request: Request) -> bytes | None:
    """Everything the answer depends on, for requests small enough to be remembered."""
    if len(request.body) > PREPARED_REQUEST_BYTES_MAX or request.method != "POST":
        return None
    get = request.headers.get
    return b"\n".join((
        request.target,
        get(b"authorization", b""),
        get(b"x-api-key", b""),
        get(b"x-goog-api-key", b""),
        get(b"anthropic-version", b""),
        get(b"anthropic-beta", b""),
        request.body,
    ))  # fmt: skip


def _loopback(connection: Connection) -> bool:
    peer = connection.transport.get_extra_info("peername")
    return bool(peer) and ip_address(peer[0]).is_loopback


async def serve(host: str, port: int, *, settings: SimulatorSettings | None = None) -> None:
    """Run a simulator until cancelled."""
    async with running(settings, host=host, port=port):
        await asyncio.Event().wait()


@asynccontextmanager
async def running(
    settings: SimulatorSettings | None = None, *, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[Simulator]:
    """A simulator on the caller's event loop."""
    simulator = Simulator(settings)
    await simulator.start(host, port)
    try:
        yield simulator
    finally:
        await simulator.stop()


@contextmanager
def in_thread(
    settings: SimulatorSettings | None = None, *, host: str = "127.0.0.1", port: int = 0
) -> Iterator[Simulator]:
    """A simulator on its own thread, for blocking clients; `log` and `faults` may be used from outside."""
    simulator, loop = Simulator(settings), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="simulator", daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(simulator.start(host, port), loop).result(START_TIMEOUT_S)
        yield simulator
    finally:
        asyncio.run_coroutine_threadsafe(simulator.stop(), loop).result(START_TIMEOUT_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(START_TIMEOUT_S)
        loop.close()
