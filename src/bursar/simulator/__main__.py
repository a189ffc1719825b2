"""`python -m bursar.simulator`: the simulator as a process of its own.

Prints `listening on http://host:port` when ready; ends on SIGTERM or SIGINT.
"""

import argparse
import asyncio
import signal
import sys

import uvloop

from bursar.simulator.server import running
from bursar.simulator.settings import SimulatorSettings


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bursar.simulator", description="Simulated AI providers.")
    defaults = SimulatorSettings()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--tokens-per-s", type=int, default=defaults.tokens_per_s, help="0: no pauses")
    parser.add_argument("--first-token-ms", type=int, default=defaults.first_token_ms)
    parser.add_argument(
        "--answer-tokens", type=int, default=defaults.answer_tokens, help="0: 24-64, by content"
    )
    parser.add_argument(
        "--events-per-write", type=int, default=defaults.events_per_write, help="0: whole stream"
    )
    parser.add_argument("--recorded-requests", type=int, default=defaults.recorded_requests_max)
    return parser.parse_args()


async def _main(given: argparse.Namespace) -> None:
    settings = SimulatorSettings(
        tokens_per_s=given.tokens_per_s,
        first_token_ms=given.first_token_ms,
        answer_tokens=given.answer_tokens,
        events_per_write=given.events_per_write,
        recorded_requests_max=given.recorded_requests,
    )
    over = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, over.set)
    async with running(settings, host=given.host, port=given.port) as simulator:
        sys.stdout.write(f"listening on {simulator.base_url}\n")
        sys.stdout.flush()
        await over.wait()


if __name__ == "__main__":
    uvloop.run(_main(_arguments()))
