"""Simulated AI providers over real HTTP: OpenAI, Anthropic, Gemini and OpenAI-compatible, with faults.

Start one in a test:

* `async with running() as simulator:` on the test's own loop;
* `with in_thread() as simulator:` for blocking clients;
* `python -m bursar.simulator --port 0` as a process (prints `listening on http://…`);
* `await serve(host, port, settings=…)` from an entry point.

`simulator.base_url` is `http://host:port`: OpenAI clients take `base_url + "/v1"`, Anthropic and Gemini
clients `base_url`, OpenAI-compatible ones `base_url + "/compat/v1"`, or a path of `variants`. Any `sk-…` key
is good for OpenAI, any `sk-ant-…` for Anthropic and any `AIza…` for Gemini. How to misbehave is written in
`faults`, how to look inside in `control`. Nothing here is shared with the code under test, so that an error
is not made twice the same way.
"""

from bursar.simulator.server import Simulator, in_thread, running, serve
from bursar.simulator.settings import SimulatorSettings

__all__ = ["Simulator", "SimulatorSettings", "in_thread", "running", "serve"]
