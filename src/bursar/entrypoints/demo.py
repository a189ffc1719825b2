"""`make demo`: everything on one port with simulated providers, USD 100.00 and a key, and a line to paste."""

import asyncio
import http.client
import json
import shlex
import socket
from contextlib import suppress

import typer

from bursar.db.migrate import migrate
from bursar.entrypoints.actors import cli_actor
from bursar.entrypoints.api import control_of
from bursar.entrypoints.children import beside
from bursar.entrypoints.database import database
from bursar.entrypoints.demo_seed import OPENING_BALANCE, Seeded, seed
from bursar.entrypoints.listening import address_of, free_port, listen
from bursar.entrypoints.serve import all_in_one, run_loop, told_to_children
from bursar.settings import Settings

LOOPBACK = "127.0.0.1"
# Like a quick model, so that streaming can be seen.
TOKENS_PER_S = 80
FIRST_TOKEN_MS = 150
HEALTH_WAIT_S = 2.0
SIMULATOR_WAIT_S_MAX = 15.0
SIMULATOR_LOOK_EVERY_S = 0.05
LINK_COMMAND = ".venv/bin/bursar user password-link"


def run_demo(settings: Settings) -> None:
    """Run until Ctrl-C. The port is taken before anything else, so that a second demo changes nothing.

    Raises:
        PortTaken: somebody listens there; the message suggests a free one.
        EmbeddedPostgresFailed: no database.
    """
    with listen(settings.host, settings.port, suggestion="make demo PORT={}") as listening:
        typer.echo("Starting PostgreSQL, Bursar and the simulated providers …")
        with database(settings) as dsn:
            if settings.database_url:
                migrate(dsn)
            run_loop(demo(settings, dsn, listening))
        typer.echo("Stopped. The data stays; run make demo to go on.")


async def demo(settings: Settings, dsn: str, listening: socket.socket) -> None:
    address = address_of(listening)
    settings = as_in_the_demo(settings, address)
    port = simulator_port(settings.simulate_port)
    seeded = await seeded_database(settings, dsn, f"http://{LOOPBACK}:{port}")
    pace = ["--tokens-per-s", str(TOKENS_PER_S), "--first-token-ms", str(FIRST_TOKEN_MS)]
    words = ["simulate", "--host", LOOPBACK, "--port", str(port), *pace, "--with-parent"]
    async with beside("simulator", words, told_to_children(settings)):
        await until_simulator_answers(port)
        await all_in_one(settings, dsn, listening, lambda: typer.echo(welcome(address, seeded)))


def as_in_the_demo(settings: Settings, address: str) -> Settings:
    """Somebody who tries the demo has no mail server: mails are files beside the data.

    Their links lead to where the demo listens, unless he said otherwise.
    """
    ways = {"mail_dir": settings.mail_dir or str(settings.data_dir / "mail")}
    if "public_url" not in settings.model_fields_set:
        ways["public_url"] = address
    return settings.model_copy(update=ways)


async def until_simulator_answers(port: int) -> None:
    """Wait, so that what is pasted works at once. Without a simulator the demo is still worth starting."""
    with suppress(TimeoutError):
        async with asyncio.timeout(SIMULATOR_WAIT_S_MAX):
            while not await asyncio.to_thread(is_simulator, port):  # noqa: ASYNC110 - another process's state
                await asyncio.sleep(SIMULATOR_LOOK_EVERY_S)


async def seeded_database(settings: Settings, dsn: str, simulator_url: str) -> Seeded:
    control = control_of(settings, settings.dsn_of("api", dsn), actor=cli_actor())
    try:
        return await seed(control, settings, simulator_url)
    finally:
        await control.database.close()


def simulator_port(wished: int) -> int:
    """The wished port if it is free, or if another demo's simulator has it; else a free one.

    Ours takes over from the other demo's as soon as that one ends.
    """
    return wished if is_simulator(wished) else free_port(LOOPBACK, wished)


def is_simulator(port: int) -> bool:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=HEALTH_WAIT_S)
    try:
        connection.request("GET", "/sim/health")
        return connection.getresponse().read(64) == b'{"ok":true}'
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def welcome(address: str, seeded: Seeded) -> str:
    """What the demo prints; its last line can be pasted."""
    models = "\n".join(f"  {name:28} {what}" for name, what in seeded.models.items())
    return f"""
Bursar is running. Ctrl-C stops it.

  address         {address}   (API: {address}/api/v1, its documents: {address}/docs)
  OpenAI base_url {address}/v1
  key             {seeded.secrets.key}   (opened with USD {OPENING_BALANCE})
  operator token  {seeded.secrets.operator_token}
  operator        {seeded.operator}   (to set a password: {LINK_COMMAND} {seeded.operator})

Models to try:
{models}

Paste this into another terminal:

{curl_line(address, seeded)}
"""


def curl_line(address: str, seeded: Seeded) -> str:
    simulated = [name for name, what in seeded.models.items() if what.endswith("simulated")]
    asked = {"model": simulated[0], "messages": [{"role": "user", "content": "Say hello."}]}
    words = ["curl", "-sS", "-i", f"{address}/v1/chat/completions"]
    words += ["-H", f"Authorization: Bearer {seeded.secrets.key}", "-H", "Content-Type: application/json"]
    return " ".join(map(shlex.quote, [*words, "-d", json.dumps(asked)]))
