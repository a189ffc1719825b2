import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest
from starlette.types import Receive, Scope, Send

from bursar.entrypoints.listening import listen, port_of
from bursar.entrypoints.serve import OnePort, run_server
from bursar.settings import Settings
from scratch_database import ScratchDatabase

WAIT_S_MAX = 20


class Says:
    """An application that answers with its name, after it was allowed to."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.asked = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        self.asked.set()
        await self.may_answer.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": self.name.encode()})


async def get(port: int, path: str) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    answer = (await reader.read()).decode().removesuffix("\r\n0\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    return answer


class TestOnePort:
    async def test_gives_each_path_to_its_plane(self) -> None:
        app = OnePort(gateway=Says("gateway"), api=Says("api"))
        taken = listen("127.0.0.1", 0)
        server = asyncio.create_task(run_server(app, taken, Settings()))
        async with asyncio.timeout(WAIT_S_MAX):
            said = [
                (await get(port_of(taken), path)).rsplit("\r\n", 1)[1]
                for path in ("/v1/models", "/api/v1/keys", "/", "/v10", "/v1")
            ]
            os.kill(os.getpid(), signal.SIGTERM)
            await server
        assert said == ["gateway", "api", "api", "api", "api"]

    async def test_says_nothing_about_itself(self) -> None:
        taken = listen("127.0.0.1", 0)
        server = asyncio.create_task(run_server(Says("it"), taken, Settings()))
        async with asyncio.timeout(WAIT_S_MAX):
            answer = await get(port_of(taken), "/")
            os.kill(os.getpid(), signal.SIGINT)
            await server
        assert "server:" not in answer.lower()


class TestStopping:
    async def test_waits_for_an_answer_under_way(self) -> None:
        app = Says("slow")
        app.may_answer.clear()
        taken = listen("127.0.0.1", 0)
        server = asyncio.create_task(run_server(app, taken, Settings()))
        async with asyncio.timeout(WAIT_S_MAX):
            asked = asyncio.create_task(get(port_of(taken), "/"))
            await app.asked.wait()
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(0.3)
            assert not server.done()
            app.may_answer.set()
            assert (await asked).endswith("slow")
            await server


class TestPrograms:
    @pytest.mark.parametrize(
        ("command", "answers"),
        [
            ("serve", {"/v1/models": 401, "/api/v1/providers": 401, "/docs": 200}),
            ("gateway", {"/v1/models": 401, "/docs": 401}),
            ("api", {"/v1/models": 404, "/api/v1/providers": 401, "/docs": 200}),
        ],
    )
    def test_serve_their_own_paths_and_stop_in_order(
        self, database: ScratchDatabase, tmp_path: Path, command: str, answers: dict[str, int]
    ) -> None:
        program = subprocess.Popen(
            [sys.executable, "-m", "bursar.entrypoints.cli", command, "--port", "0"],
            stderr=subprocess.PIPE,
            text=True,
            env={
                "BURSAR_DATABASE_URL": database.url,
                "BURSAR_DATA_DIR": str(tmp_path),
                "BURSAR_LOG_FORMAT": "json",
            },
        )
        assert program.stderr is not None
        listening = next(line for line in program.stderr if "server.listening" in line)
        address = json.loads(listening)["address"]
        found = {path: httpx2.get(address + path).status_code for path in answers}
        program.send_signal(signal.SIGTERM)
        said = program.stderr.read()
        program.stderr.close()
        assert program.wait(WAIT_S_MAX) == 0
        assert found == answers
        assert "server.stopped" in said
        assert "Traceback" not in said
