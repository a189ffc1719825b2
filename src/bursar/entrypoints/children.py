"""Programs of ours that run beside a server: the worker, the simulated providers."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import structlog

log = structlog.get_logger()

RESTART_WAIT_S_MIN = 0.5
RESTART_WAIT_S_MAX = 30.0
# A child that lived so long was well; its next death starts counting anew.
WELL_AFTER_S = 60.0
STOP_WAIT_S_MAX = 15.0


@asynccontextmanager
async def beside(name: str, words: Sequence[str], environment: Mapping[str, str]) -> AsyncIterator[None]:
    """Run `bursar WORDS` while the block lasts; start it again when it ends by itself.

    The child gets a session of its own, so that Ctrl-C reaches only us and we stop it in order. Its
    standard input is a pipe that closes when we die, however we die; `until_parent_dies` watches it there.
    """
    async with asyncio.TaskGroup() as group:  # a keeper that fails takes the block down: nothing fails unseen
        keeper = group.create_task(keep(name, words, environment), name=f"child {name}")
        try:
            yield
        finally:
            keeper.cancel()


async def keep(name: str, words: Sequence[str], environment: Mapping[str, str]) -> None:
    wait_s = RESTART_WAIT_S_MIN
    clock = asyncio.get_running_loop().time
    while True:
        began = clock()
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "bursar.entrypoints.cli",
            *words,
            stdin=asyncio.subprocess.PIPE,
            env={**os.environ, **environment},
            start_new_session=True,
        )
        try:
            code = await child.wait()
        finally:
            await end(child)
        wait_s = RESTART_WAIT_S_MIN if clock() - began > WELL_AFTER_S else min(wait_s * 2, RESTART_WAIT_S_MAX)
        log.error("child.ended", child=name, code=code, restart_in_s=wait_s)
        await asyncio.sleep(wait_s)


async def end(child: asyncio.subprocess.Process) -> None:
    """Ask the child to stop, wait, insist."""
    if child.returncode is not None:
        return
    child.terminate()
    try:
        async with asyncio.timeout(STOP_WAIT_S_MAX):
            await child.wait()
    except TimeoutError:
        log.warning("child.killed", pid=child.pid)
        child.kill()
        await child.wait()


async def until_told(*, with_parent: bool) -> None:
    """Return at SIGINT or SIGTERM, or, for a child, when the parent is gone."""
    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    for sign in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(sign, told.set)
    waits: list[asyncio.Task[object]] = [asyncio.create_task(told.wait())]
    if with_parent:
        waits.append(asyncio.create_task(until_parent_dies()))
    _, others = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for other in others:
        other.cancel()
    await asyncio.gather(*others, return_exceptions=True)


async def until_parent_dies() -> None:
    """Return when standard input closes. For programs that `beside` started."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    try:
        while await reader.read(1024):
            pass  # nobody writes there; only the end matters
    finally:
        transport.close()
