"""Every knob of the simulator, in one frozen class."""

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorSettings:
    """How the simulated providers behave. The defaults suit tests: no pauses, any well-formed key.

    Attributes:
        openai_keys: accepted bearer keys; empty accepts any key that looks like one (`sk-…`, not `sk-ant-…`).
        anthropic_keys: accepted `x-api-key` values; empty accepts any `sk-ant-…`.
        gemini_keys: accepted `x-goog-api-key` or `?key=` values; empty accepts any `AIza…`.
        tokens_per_s: speed of generation; 0 answers at once.
        first_token_ms: wait before the first token (stream) or added before the answer (whole).
        answer_tokens: length of an ordinary answer; 0 picks 24 to 64 from the request's content.
        events_per_write: SSE events handed to the socket at a time when nothing else paces the stream;
            0 hands over the whole stream at once (cheapest, for benchmarks of what is in front of us).
        body_bytes_max: larger request bodies are answered with 413.
        recorded_requests_max: how many requests `/sim/requests` remembers; 0 records none.
        recorded_body_bytes_max: how much of each request body is remembered.
        connections_max: further connections are refused by closing them.
        silence_ms_max: longest silence a fault may ask for, so that nothing hangs for ever.
        idle_ms_max: a kept-alive connection without a request is closed after this long.
        control: serve `/sim/…` to loopback peers.
    """

    openai_keys: frozenset[str] = frozenset()
    anthropic_keys: frozenset[str] = frozenset()
    gemini_keys: frozenset[str] = frozenset()
    tokens_per_s: int = 0
    first_token_ms: int = 0
    answer_tokens: int = 0
    events_per_write: int = 1
    body_bytes_max: int = 128 * MIB
    recorded_requests_max: int = 1000
    recorded_body_bytes_max: int = 64 * 1024
    connections_max: int = 4096
    silence_ms_max: int = 600_000
    idle_ms_max: int = 75_000
    control: bool = True
