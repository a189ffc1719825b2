"""`bursar serve`: gateway and API on one port, a worker beside them. Also runs either of the two alone."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

import structlog
import uvicorn
import uvloop
from starlette.types import ASGIApp, Receive, Scope, Send

from bursar.entrypoints.children import beside
from bursar.entrypoints.listening import address_of, listen
from bursar.settings import Settings

log = structlog.get_logger()

KEEP_ALIVE_S = 75
GATEWAY_PATHS = ("/v1/", "/v1beta/", "/metrics")


class OnePort:
    """Sends `/v1/…`, `/v1beta/…` and `/metrics` to the gateway, all else to the API. Both were started."""

    def __init__(self, *, gateway: ASGIApp, api: ASGIApp) -> None:
        self._gateway = gateway
        self._api = api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        chosen = self._gateway if scope["path"].startswith(GATEWAY_PATHS) else self._api
        await chosen(scope, receive, send)


class Server(uvicorn.Server):
    """uvicorn without its own signal handlers: ours stop it, and what is around it closes in order."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def say_nothing() -> None:
    """Nobody waits for the server to be up."""


async def run_server(
    app: ASGIApp, listening: socket.socket, settings: Settings, announce: Callable[[], None] = say_nothing
) -> None:
    """Answer requests until SIGINT or SIGTERM, then finish those under way; a second Ctrl-C does not wait."""
    config = uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=max(1, settings.shutdown_grace_ms // 1000),
    )
    server = Server(config)
    loop = asyncio.get_running_loop()
    for stop in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(stop, server.handle_exit, stop, None)
    log.info("server.listening", address=address_of(listening))
    announce()
    await server.serve(sockets=[listening])
    log.info("server.stopped")


@asynccontextmanager
async def started_gateway(settings: Settings, dsn: str) -> AsyncIterator[ASGIApp]:
    from bursar.entrypoints.gateway import build_gateway

    gateway = build_gateway(settings, settings.dsn_of("gateway", dsn))
    await gateway.startup()
    try:
        yield gateway
    finally:
        await gateway.shutdown()


@asynccontextmanager
async def started_api(settings: Settings, dsn: str) -> AsyncIterator[ASGIApp]:
    from bursar.entrypoints.api import create_api

    api = create_api(settings, settings.dsn_of("api", dsn))
    async with api.router.lifespan_context(api):
        yield api


async def all_in_one(
    settings: Settings, dsn: str, listening: socket.socket, announce: Callable[[], None] = say_nothing
) -> None:
    async with AsyncExitStack() as stack:
        gateway = await stack.enter_async_context(started_gateway(settings, dsn))
        api = await stack.enter_async_context(started_api(settings, dsn))
        worker = {**told_to_children(settings), "BURSAR_DATABASE_URL": settings.database_url or dsn}
        await stack.enter_async_context(beside("worker", ["worker", "--with-parent"], worker))
        await run_server(OnePort(gateway=gateway, api=api), listening, settings, announce)


def told_to_children(settings: Settings) -> dict[str, str]:
    """What a child should know besides the environment it inherits: what options changed."""
    return {
        "BURSAR_DATA_DIR": str(settings.data_dir),
        "BURSAR_MAIL_DIR": settings.mail_dir,
        "BURSAR_PUBLIC_URL": settings.public_url,
        "BURSAR_LOG_LEVEL": settings.log_level,
        "BURSAR_LOG_FORMAT": settings.log_format,
    }


async def gateway_alone(settings: Settings, dsn: str, listening: socket.socket) -> None:
    async with started_gateway(settings, dsn) as gateway:
        await run_server(gateway, listening, settings)


async def api_alone(settings: Settings, dsn: str, listening: socket.socket) -> None:
    async with started_api(settings, dsn) as api:
        await run_server(api, listening, settings)


Part = Callable[[Settings, str, socket.socket], Awaitable[None]]


def run(part: Part, settings: Settings, dsn: str, listening: socket.socket | None = None) -> None:
    """Run one of the parts above until it is told to stop.

    Raises:
        PortTaken: somebody else listens on the port.
    """
    with listening or listen(settings.host, settings.port) as taken:
        run_loop(part(settings, dsn, taken))


def run_loop(work: Awaitable[None]) -> None:
    """Run a program's main coroutine on uvloop."""

    async def main() -> None:
        await work

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
