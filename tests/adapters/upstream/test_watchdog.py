import asyncio
from collections.abc import AsyncIterator

import pytest
from raw_server import until
from structlog.testing import capture_logs

from bursar.adapters.upstream.watchdog import Watchdog


@pytest.fixture
async def dog() -> AsyncIterator[Watchdog]:
    dog = Watchdog()
    yield dog
    await dog.close()


class TestWatchdog:
    async def test_barks_once_when_the_time_is_up(self, dog: Watchdog) -> None:
        barks: list[str] = []
        watch = dog.watch(lambda: barks.append("bark"))
        watch.start(0.01)
        await until(lambda: watch.expired)
        await asyncio.sleep(0.3)
        assert barks == ["bark"]
        assert dog.open == set()

    async def test_is_silent_when_stopped_in_time(self, dog: Watchdog) -> None:
        barks: list[str] = []
        stopped, control = (
            dog.watch(lambda name=name: barks.append(name)) for name in ("stopped", "control")
        )  # type: ignore[misc]  # a default binds
        stopped.start(0.01)
        stopped.stop()
        control.start(0.01)
        await until(lambda: control.expired)
        assert barks == ["control"]

    async def test_a_bark_that_fails_leaves_the_others_watched(self, dog: Watchdog) -> None:
        def fail() -> None:
            raise RuntimeError("nobody foresaw this")

        bad, good, later = dog.watch(fail), dog.watch(list), dog.watch(list)
        with capture_logs() as logs:
            bad.start(0.01)
            good.start(0.01)
            await until(lambda: bad.expired and good.expired)
            later.start(0.01)
            await until(lambda: later.expired)
        assert [entry["event"] for entry in logs] == ["watchdog.bark_failed"]
