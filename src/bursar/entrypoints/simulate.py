"""`bursar simulate`: the simulated providers as a program of their own."""

import asyncio
from contextlib import AsyncExitStack

import structlog

from bursar.entrypoints.children import until_told
from bursar.entrypoints.listening import listen, port_of
from bursar.entrypoints.serve import run_loop
from bursar.settings import Settings
from bursar.simulator.server import running
from bursar.simulator.settings import SimulatorSettings

log = structlog.get_logger()

TURN_POLL_S = 0.5


def run_simulator(
    settings: Settings, pace: SimulatorSettings, *, port: int | None, with_parent: bool
) -> None:
    """Answer as OpenAI and Anthropic until told to stop; `port` wins over the settings.

    Raises:
        PortTaken: somebody else listens there.
    """
    wished = settings.simulate_port if port is None else port
    if with_parent:
        run_loop(simulate_in_turn(settings.host, wished, pace))
        return
    with listen(settings.host, wished, suggestion="bursar simulate --port {}") as probe:
        free = port_of(probe)
    run_loop(simulate(settings.host, free, pace))


async def simulate(host: str, port: int, pace: SimulatorSettings) -> None:
    async with running(pace, host=host, port=port) as simulator:
        log.info("simulator.listening", address=simulator.base_url)
        await until_told(with_parent=False)


async def simulate_in_turn(host: str, port: int, pace: SimulatorSettings) -> None:
    """For a demo beside another one: wait for its simulator to give up the port, then answer there."""
    told = asyncio.create_task(until_told(with_parent=True))
    async with AsyncExitStack() as stack:
        while not told.done():
            try:
                await stack.enter_async_context(running(pace, host=host, port=port))
            except OSError:
                await asyncio.wait([told], timeout=TURN_POLL_S)
            else:
                await told
