"""The demo as its reader tries it: official clients against what it prints, twice in the same folder."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from bursar_process import Program, running

from bursar.entrypoints.listening import listen, port_of

ASKED: list[Any] = [{"role": "user", "content": "Say hello. [[sim: output_tokens=12]]"}]
MODELS = ("gpt-4.1-mini", "claude-haiku-4-5", "gemini-3.5-flash-lite")


class Printed:
    """What the demo told on its standard output."""

    def __init__(self, program: Program) -> None:
        text = program.until_said("\ncurl ")
        self.address = self._found(r"address +(\S+)", text)
        self.base_url = self._found(r"OpenAI base_url (\S+)", text)
        self.key = self._found(r"\n +key +(\S+)", text)
        self.token = self._found(r"operator token +(\S+)", text)

    @staticmethod
    def _found(pattern: str, text: str) -> str:
        match = re.search(pattern, text)
        assert match is not None, text
        return match[1]


@contextmanager
def demo(folder: Path) -> Iterator[Printed]:
    """`bursar demo` in an empty folder or one it has been in before, on ports nobody else has."""
    settings = {"BURSAR_SIMULATE_PORT": str(free_port())}
    with running(folder, "demo", "--port", "0", settings=settings) as program:
        yield Printed(program)
        assert program.stop() == 0, program.logged


def free_port() -> int:
    with listen("127.0.0.1", 0) as taken:
        return port_of(taken)


def stream(printed: Printed, model: str) -> tuple[str, dict[str, Any]]:
    """The words of one streamed answer and the figures at its end."""
    with openai.OpenAI(api_key=printed.key, base_url=printed.base_url, max_retries=0) as client:
        chunks = list(
            client.chat.completions.create(
                model=model, messages=ASKED, stream=True, stream_options={"include_usage": True}
            )
        )
    assert chunks[-1].usage is not None
    words = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    return words, {**(chunks[-1].usage.model_extra or {}), "id": chunks[-1].id}


class TestDemoClients:
    @pytest.mark.timeout(120)
    def test_streams_cost_and_books_outlast_a_restart(self, tmp_path: Path) -> None:
        left = Decimal(100)
        with demo(tmp_path) as first:
            for model in MODELS:
                words, told = stream(first, model)
                left -= Decimal(told["cost"])
                assert words
                assert Decimal(told["cost"]) > 0
                assert Decimal(told["balance"]) == left
        with demo(tmp_path) as second:
            assert (second.key, second.token) == (first.key, first.token)
            _, told = stream(second, MODELS[0])
            left -= Decimal(told["cost"])
            assert Decimal(told["balance"]) == left
            rows = self._usage(second)
        assert [row["model"] for row in rows] == [MODELS[0], *reversed(MODELS)]
        assert Decimal(100) - sum(Decimal(row["sale"]) for row in rows) == left
        assert {row["outcome"] for row in rows} == {"completed"}

    @staticmethod
    def _usage(printed: Printed) -> list[dict[str, Any]]:
        """The demo's usage rows, newest first, as its operator reads them."""
        headers = {"authorization": f"Bearer {printed.token}"}
        with httpx2.Client(base_url=f"{printed.address}/api/v1", headers=headers, timeout=30) as http:
            [organisation] = http.get("/organisations").json()["items"]
            rows = http.get(f"/organisations/{organisation['id']}/usage").json()["items"]
        assert isinstance(rows, list)
        return rows
