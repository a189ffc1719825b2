"""`make bench-peers`: the same load on LiteLLM proxy and Portkey gateway, same upstream, same core, one run.

Neither peer keeps books in this set-up: no balance, no hold, no durable usage row per request. Bursar does
all of that. Peers live in environments of their own under bench/.peers, from the package registries.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from machine import GATEWAY_CORE, HERE, PYTHON, commit, free_port, machine, pinned, wait_for, wrk
from stack import HEADERS, request_body, running, upstream

PEERS = HERE / ".peers"
LITELLM = "litellm[proxy]==1.106.2"
PORTKEY = "@portkey-ai/gateway@1.15.2"
MODEL = "gpt-4o-mini"

Target = tuple[str, dict[str, str]]


def litellm_command() -> Path:
    python = PEERS / "litellm" / "bin" / "python"
    command = PEERS / "litellm" / "bin" / "litellm"
    if not command.exists():
        subprocess.run([sys.executable, "-m", "venv", PEERS / "litellm"], check=True)
        subprocess.run([PYTHON, "-m", "uv", "pip", "install", "-q", "-p", python, LITELLM], check=True)
    return command


def portkey_script() -> Path:
    script = PEERS / "portkey/node_modules/@portkey-ai/gateway/build/start-server.js"
    if not script.exists():
        target = ["--prefix", str(PEERS / "portkey"), PORTKEY]
        subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund", *target], check=True)
    return script


@contextlib.contextmanager
def litellm(upstream_port: int) -> Iterator[Target]:
    config = PEERS / "litellm.json"
    served = {
        "model": f"openai/{MODEL}",
        "api_base": f"http://127.0.0.1:{upstream_port}/v1",
        "api_key": "sk-x",
    }
    settings = {
        "model_list": [{"model_name": MODEL, "litellm_params": served}],
        "general_settings": {"master_key": "sk-peer"},
        "litellm_settings": {"telemetry": False},
    }
    config.write_text(json.dumps(settings))
    port = free_port()
    options = ["--config", str(config), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
    env = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR", "HOME": str(PEERS)}
    with pinned(
        GATEWAY_CORE, [str(litellm_command()), *options], env=env, log=PEERS / "litellm.log"
    ) as process:
        wait_for(f"http://127.0.0.1:{port}/health/liveliness", process)
        headers = {"authorization": "Bearer sk-peer", "content-type": "application/json"}
        yield f"http://127.0.0.1:{port}/v1/chat/completions", headers


@contextlib.contextmanager
def portkey(upstream_port: int) -> Iterator[Target]:
    port = free_port()
    command = ["node", str(portkey_script()), f"--port={port}", "--headless"]
    env = {"TRUSTED_CUSTOM_HOSTS": "127.0.0.1,localhost", "NODE_ENV": "production"}
    with pinned(GATEWAY_CORE, command, env=env, log=PEERS / "portkey.log") as process:
        wait_for(f"http://127.0.0.1:{port}/", process)
        headers = {
            "authorization": "Bearer sk-x",
            "content-type": "application/json",
            "x-portkey-provider": "openai",
            "x-portkey-custom-host": f"http://127.0.0.1:{upstream_port}/v1",
        }
        yield f"http://127.0.0.1:{port}/v1/chat/completions", headers


@contextlib.contextmanager
def bursar(upstream_port: int) -> Iterator[Target]:
    with running(upstream_port) as stack:
        yield stack.url, HEADERS


GATEWAYS: dict[str, Callable[[int], contextlib.AbstractContextManager[Target]]] = {
    "bursar": bursar,
    "litellm": litellm,
    "portkey": portkey,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=15, help="per measurement")
    parser.add_argument("--connections", type=int, default=64)
    options = parser.parse_args()
    PEERS.mkdir(exist_ok=True)
    everything = os.sched_getaffinity(0)
    figures: dict[str, dict[str, float]] = {}
    with upstream() as port:
        for name, started in GATEWAYS.items():
            os.sched_setaffinity(0, everything)
            with started(port) as (url, headers):
                load = {"connections": options.connections, "seconds": options.seconds}
                wrk(url, request_body(stream=False), headers, connections=options.connections, seconds=3)
                plain = wrk(url, request_body(stream=False), headers, **load)
                streams = wrk(url, request_body(stream=True), headers, **load)
            figures[name] = {
                "requests_per_s": plain["requests_per_s"],
                "streams_per_s": streams["requests_per_s"],
                "failed": plain["failed"] + streams["failed"],
            }
    print(f"{'':>10} {'requests/s':>12} {'ratio':>8} {'streams/s':>12} {'ratio':>8} {'failed':>8}")
    ours = figures["bursar"]
    for name, figure in figures.items():
        ratios = [ours[what] / figure[what] for what in ("requests_per_s", "streams_per_s")]
        print(
            f"{name:>10} {figure['requests_per_s']:>12.1f} {ratios[0]:>8.1f}"
            f" {figure['streams_per_s']:>12.1f} {ratios[1]:>8.1f} {figure['failed']:>8.0f}"
        )
    result = {
        "figures": figures,
        "versions": {"litellm": LITELLM, "portkey": PORTKEY},
        "machine": machine(),
        "commit": commit(),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    (HERE / "results" / "peers.json").write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
