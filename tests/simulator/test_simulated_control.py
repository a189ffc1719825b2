"""Looking inside the simulator and steering it from outside."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx2
import psutil
import pytest
from raw_http import ANTHROPIC_KEY, CHAT, MESSAGES, OPENAI_KEY, chat, exchange, message, request_bytes

from bursar.simulator import Simulator, SimulatorSettings, in_thread, running
from bursar.simulator.fault_queue import QUEUE_MAX

GPT_HEADERS = {"authorization": f"Bearer {OPENAI_KEY}"}
CLAUDE_HEADERS = {"x-api-key": ANTHROPIC_KEY, "anthropic-version": "2023-06-01"}


@pytest.fixture
def web(simulator: Simulator) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=simulator.base_url) as client:
        yield client


def queue(web: httpx2.Client, **entry: Any) -> httpx2.Response:
    return web.post("/sim/faults", json=entry)


def ask_gpt(web: httpx2.Client, *, key: str = OPENAI_KEY, **fields: Any) -> int:
    return web.post(CHAT, json=chat(**fields), headers={"authorization": f"Bearer {key}"}).status_code


def ask_claude(web: httpx2.Client) -> int:
    return web.post(MESSAGES, json=message(), headers=CLAUDE_HEADERS).status_code


class TestFaultQueue:
    def test_is_used_up_request_by_request(self, web: httpx2.Client) -> None:
        queue(web, script="status=503", count=2)
        queue(web, script="status=429")
        assert [ask_gpt(web) for _ in range(4)] == [503, 503, 429, 200]

    def test_lasts_until_cleared_when_count_is_null(self, web: httpx2.Client) -> None:
        queue(web, script="status=503", count=None)
        assert [ask_gpt(web) for _ in range(3)] == [503] * 3
        web.delete("/sim/faults")
        assert ask_gpt(web) == 200

    def test_may_wait_for_a_provider(self, web: httpx2.Client) -> None:
        queue(web, script="status=503", provider="anthropic")
        assert (ask_gpt(web), ask_claude(web), ask_claude(web)) == (200, 503, 200)

    def test_may_wait_for_a_model_or_a_key(self, web: httpx2.Client) -> None:
        queue(web, script="status=503", model="gpt-4o")
        queue(web, script="billing", key="sk-test-poor", count=None)
        assert ask_gpt(web) == 200
        assert ask_gpt(web, key="sk-test-poor") == 429
        assert ask_gpt(web, model="gpt-4o") == 503

    def test_wins_over_the_request_and_adds_to_it(self, web: httpx2.Client) -> None:
        queue(web, script="output_tokens=7")
        body = chat("[[sim: output_tokens=5 service_tier=flex]]")
        answer = web.post(CHAT, json=body, headers=GPT_HEADERS).json()
        assert (answer["usage"]["completion_tokens"], answer["service_tier"]) == (7, "flex")

    def test_shows_what_is_left_without_keys(self, web: httpx2.Client) -> None:
        queue(web, script="status=503 retry_after=2", count=3, key="sk-test-secret")
        shown = web.get("/sim/faults")
        assert shown.json()[0]["script"] == {"status": 503, "retry_after": 2}
        assert "sk-test-secret" not in shown.text

    @pytest.mark.parametrize(
        "entry",
        [{}, {"script": "nonsense"}, {"script": "rst", "count": 0}, {"script": "rst", "x": 1}, {"script": 5}],
    )
    def test_refuses_what_it_cannot_read(self, web: httpx2.Client, entry: dict[str, Any]) -> None:
        assert queue(web, **entry).status_code == 400

    def test_is_bounded(self, simulator: Simulator, web: httpx2.Client) -> None:
        for _ in range(QUEUE_MAX):
            simulator.faults.add("rst")
        assert queue(web, script="rst").status_code == 400

    def test_reaches_answers_it_has_given_before(self, web: httpx2.Client) -> None:
        assert ask_gpt(web) == 200
        queue(web, script="status=503")
        assert [ask_gpt(web), ask_gpt(web)] == [503, 200]


class TestRecord:
    def test_keeps_requests_with_their_keys_redacted(self, web: httpx2.Client) -> None:
        ask_gpt(web)
        shown = web.get("/sim/requests")
        (asked,) = [one for one in shown.json() if one["path"] == CHAT]
        assert '"Hello"' in asked["body"]
        assert (asked["status"], asked["ended"]) == (200, "complete")
        assert asked["received_ns"] <= asked["first_byte_ns"] <= asked["ended_ns"]
        assert OPENAI_KEY not in shown.text

    def test_tells_two_keys_apart(self, web: httpx2.Client) -> None:
        for key in ("sk-test-a", "sk-test-b", "sk-test-a"):
            ask_gpt(web, key=key)
        asked = [one for one in web.get("/sim/requests").json() if one["path"] == CHAT]
        first, second, third = (one["headers"]["authorization"] for one in asked)
        assert first == third != second

    def test_keeps_only_so_many_and_so_much(self) -> None:
        settings = SimulatorSettings(recorded_requests_max=2, recorded_body_bytes_max=10)
        with in_thread(settings) as simulator, httpx2.Client(base_url=simulator.base_url) as web:
            for _ in range(3):
                ask_gpt(web)
            asked = list(simulator.log.exchanges)
        assert len(asked) == 2
        assert {len(one.body) for one in asked} == {10}
        assert asked[0].body_bytes > 10

    def test_counts_connections_and_says_who_closed_them(
        self, simulator: Simulator, web: httpx2.Client
    ) -> None:
        with httpx2.Client(base_url=simulator.base_url) as other:
            ask_gpt(other)
            ask_gpt(other)
        with httpx2.Client(base_url=simulator.base_url) as other, pytest.raises(httpx2.RemoteProtocolError):
            ask_gpt(other, text="[[sim: close]]")
        links = web.get("/sim/connections").json()
        ended = {one["serial"]: (one["requests"], one["closed_by"]) for one in links}
        assert ended[1] == (2, "peer")
        assert ended[2] == (1, "us")
        assert web.get("/sim/stats").json()["connections_open"] == 1

    def test_limits_what_it_lists(self, web: httpx2.Client) -> None:
        for _ in range(5):
            ask_gpt(web)
        assert len(web.get("/sim/requests?limit=2").json()) == 2

    def test_is_forgotten_on_reset(self, web: httpx2.Client) -> None:
        queue(web, script="status=503")
        web.post("/sim/reset")
        assert web.get("/sim/faults").json() == []
        assert ask_gpt(web) == 200


class TestControl:
    def test_explains_every_fault_word(self, web: httpx2.Client) -> None:
        words = web.get("/sim/help").json()
        assert {"status", "split_utf8", "cut_mid_event", "cached"} <= set(words)
        assert all(words.values())

    def test_says_that_it_is_up(self, web: httpx2.Client) -> None:
        assert web.get("/sim/health").json() == {"ok": True}

    def test_does_not_know_other_paths(self, web: httpx2.Client) -> None:
        assert web.get("/sim/nothing").status_code == 404

    async def test_may_be_switched_off(self) -> None:
        async with running(SimulatorSettings(control=False)) as simulator:
            content = request_bytes("/sim/stats", b"", method="GET", headers={"connection": "close"})
            assert (await exchange(simulator, content, quiet_s=20)).status == 403


class TestProcess:
    def test_starts_says_where_it_listens_and_leaves_nothing_behind(self) -> None:
        command = [sys.executable, "-m", "bursar.simulator", "--port", "0", "--answer-tokens", "9"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            said = process.stdout.readline()
            base_url = said.removeprefix("listening on ").strip()
            answer = httpx2.post(f"{base_url}{CHAT}", json=chat(), headers=GPT_HEADERS).json()
            process.terminate()
            assert process.wait(20) == 0
        assert answer["usage"]["completion_tokens"] == 9
        assert not psutil.pid_exists(process.pid)

    def test_says_when_its_port_is_taken(self, simulator: Simulator) -> None:
        port = int(simulator.base_url.rpartition(":")[2])
        with pytest.raises(OSError, match="in use"), in_thread(port=port):
            pytest.fail("two servers on one port")
