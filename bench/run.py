"""`make bench`: what the gateway does on one core, with every request funded, settled and booked.

The gateway has core 0 to itself; upstream, PostgreSQL (fsync on), worker and load share core 1. Figures are
of one run on one machine: compare ratios, not numbers from different days.
"""

import argparse
import json
import time
from datetime import UTC, datetime

import psycopg

from latency import added_latency
from machine import HERE, commit, cpu_seconds, machine, rss_bytes, wrk
from stack import HEADERS, Stack, request_body, running, upstream

CONNECTIONS = 64
STREAM_CONNECTIONS = 64
LATENCY_RATE = 500


def measure(stack: Stack, *, stream: bool, seconds: int, kind: str = "openai") -> dict[str, float]:
    before = cpu_seconds(stack.gateway_pid)
    connections = STREAM_CONNECTIONS if stream else CONNECTIONS
    url = stack.url if kind == "openai" else stack.messages_url
    body = request_body(stream=stream, kind=kind)
    told = wrk(url, body, HEADERS, connections=connections, seconds=seconds)
    told["cpu_us_per_request"] = (cpu_seconds(stack.gateway_pid) - before) * 1e6 / told["requests"]
    return told


def booked(stack: Stack) -> int:
    with psycopg.connect(stack.dsn) as connection:
        row = connection.execute("SELECT count(*) FROM usage").fetchone()
    return int(row[0]) if row else 0


def soak(stack: Stack, minutes: float) -> float:
    """Growth of the gateway's memory in percent, from after the first tenth of the run to its end."""
    started = time.monotonic()
    first = 0
    while time.monotonic() - started < minutes * 60:
        for stream in (False, True):
            wrk(stack.url, request_body(stream=stream), HEADERS, connections=CONNECTIONS, seconds=3)
        if not first and time.monotonic() - started > minutes * 6:
            first = rss_bytes(stack.gateway_pid)
    return 100 * (rss_bytes(stack.gateway_pid) - first) / first


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=15, help="per measurement")
    parser.add_argument("--soak-minutes", type=float, default=0.0, help="10 for the figure in the README")
    options = parser.parse_args()
    with upstream() as port, running(port) as stack:
        wrk(stack.url, request_body(stream=False), HEADERS, connections=CONNECTIONS, seconds=2)  # warm up
        plain = measure(stack, stream=False, seconds=options.seconds)
        streams = measure(stack, stream=True, seconds=options.seconds)
        messages = measure(stack, stream=False, seconds=options.seconds, kind="anthropic")
        message_streams = measure(stack, stream=True, seconds=options.seconds, kind="anthropic")
        latency = added_latency(stack, rate=LATENCY_RATE, seconds=options.seconds)
        growth = soak(stack, options.soak_minutes) if options.soak_minutes else None
        rows = booked(stack)
    result = {
        "requests_per_s": round(plain["requests_per_s"]),
        "streams_per_s": round(streams["requests_per_s"]),
        "added_latency_ms_p50": latency["p50"],
        "added_latency_ms_p99": latency["p99"],
        "rss_growth_percent": None if growth is None else round(growth, 2),
        "cold_start_s": round(stack.cold_start_s, 2),
        "cpu_us_per_request": round(plain["cpu_us_per_request"], 1),
        "cpu_us_per_stream": round(streams["cpu_us_per_request"], 1),
        "p50_ms_at_saturation": plain.get("p50"),
        "anthropic_requests_per_s": round(messages["requests_per_s"]),
        "anthropic_streams_per_s": round(message_streams["requests_per_s"]),
        "anthropic_percent_of_openai": round(100 * messages["requests_per_s"] / plain["requests_per_s"], 1),
        "failed": sum(part["failed"] for part in (plain, streams, messages, message_streams)),
        "usage_rows_booked": rows,
        "soak_minutes": options.soak_minutes,
        "machine": machine(),
        "commit": commit(),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    for name, value in result.items():
        print(f"{name:>24}  {value}")
    (HERE / "results" / "latest.json").write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
