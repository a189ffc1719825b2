"""Work that comes round: run, pause, run. One that fails is reported and tried again, later each time."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog

log = structlog.get_logger()

PAUSE_S_MAX = 30.0
DOUBLINGS_MAX = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """`run` does what is to do now and says whether more is waiting; then there is no pause."""

    name: str
    every_ms: int
    run: Callable[[], Awaitable[bool]]


async def go_round(rounds: Sequence[Round], stop: asyncio.Event) -> None:
    """Run all rounds beside each other until `stop`; each finishes what it is doing."""
    async with asyncio.TaskGroup() as group:
        for work in rounds:
            group.create_task(repeat(work, stop), name=f"round {work.name}")


async def repeat(work: Round, stop: asyncio.Event) -> None:
    failures = 0
    while not stop.is_set():
        more = False
        try:
            more = await work.run()
            if failures:
                log.info("round.recovered", round=work.name, failures=failures)
            failures = 0
        except Exception:
            failures += 1
            log.exception("round.failed", round=work.name, failures=failures)
        if not more:
            await pause(pause_s(work.every_ms, failures), stop)


def pause_s(every_ms: int, failures: int) -> float:
    """Seconds until the next try: the usual pause, doubled per failure in a row, up to a limit."""
    usual = every_ms / 1000
    return min(usual * (1 << min(failures, DOUBLINGS_MAX)), max(PAUSE_S_MAX, usual))


async def pause(seconds: float, stop: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        pass  # the pause is over
