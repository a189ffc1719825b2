"""`bursar simulate`: the simulated providers as a program of their own."""

import structlog

from bursar.entrypoints.children import until_told
from bursar.entrypoints.listening import listen, port_of
from bursar.entrypoints.serve import run_loop
from bursar.settings import Settings
from bursar.simulator.server import running
from bursar.simulator.settings import SimulatorSettings

log = structlog.get_logger()


def run_simulator(
    settings: Settings, pace: SimulatorSettings, *, port: int | None, with_parent: bool
) -> None:
    """Answer as OpenAI and Anthropic until told to stop; `port` wins over the settings.

    Raises:
        PortTaken: somebody else listens there.
    """
    wished = settings.simulate_port if port is None else port
    with listen(settings.host, wished, suggestion="bursar simulate --port {}") as probe:
        free = port_of(probe)
    run_loop(simulate(settings.host, free, pace, with_parent=with_parent))


async def simulate(host: str, port: int, pace: SimulatorSettings, *, with_parent: bool) -> None:
    async with running(pace, host=host, port=port) as simulator:
        log.info("simulator.listening", address=simulator.base_url)
        await until_told(with_parent=with_parent)
