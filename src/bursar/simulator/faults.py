"""The fault script: how a caller, through any gateway, tells the simulator to misbehave.

Three ways to give one, merged in this order (the later wins):

1. a suffix of the model name: `gpt-4o-mini+status=503+retry_after=2`;
2. a directive in the text of the turn to be answered (any message after the last assistant message, system
and
   developer messages excepted): `Say hello [[sim: delay_ms=500 cut_after_events=3]]`;
3. a fault queued through `/sim/faults`, which may be bound to a provider, model or key.

A script is a list of words separated by blanks (by `+` in a model name): a flag (`no_usage`) or
`name=value`; a value with blanks stands in double quotes (`text="two words"`). Unknown words and bad values
are answered with 400, so a misspelt fault never passes a test by doing nothing. The fields of `Faults` are
the grammar.

On a whole (not streamed) answer the body counts as one event, and each fault that acts after N events acts
in the middle of the body.
"""

import re
from dataclasses import dataclass, field, fields, replace
from typing import Any

COUNT_MAX = 10_000_000
GENERATED_MAX = 200_000
"""Tokens a script may ask to be generated: each becomes an event held in memory."""
MS_MAX = 600_000
BYTES_MAX = 64 * 1024 * 1024
SCRIPT_CHARACTERS_MAX = 4096


class FaultScriptInvalid(Exception):
    """A word of a fault script is unknown or out of range."""


def _number(doc: str, *, low: int = 0, high: int = COUNT_MAX) -> Any:
    return field(default=None, metadata={"doc": doc, "low": low, "high": high})


def _flag(doc: str) -> Any:
    return field(default=False, metadata={"doc": doc})


def _word(doc: str) -> Any:
    return field(default=None, metadata={"doc": doc})


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """One fault script. `doc` of each field is its documentation, served at `/sim/help`."""

    # instead of an answer
    status: int | None = _number(
        "answer with this HTTP status in the provider's error shape", low=400, high=599
    )
    retry_after: int | None = _number("add Retry-After, seconds", high=86_400)
    error_type: str | None = _word("override `error.type` (Gemini: `error.status`)")
    error_code: str | None = _word("override `error.code` (OpenAI)")
    html: bool = _flag("the error body is an HTML page, as from a proxy")
    billing: bool = _flag(
        "our account is empty: OpenAI 429 insufficient_quota, Anthropic 402 billing_error, "
        "Gemini 429 RESOURCE_EXHAUSTED; others 402"
    )
    times: int | None = _number(
        "the script applies to the first N requests with this very content only", low=1
    )
    delay_ms: int | None = _number("wait before the headers", high=MS_MAX)
    silence_before_headers: bool = _flag("accept the request, then say nothing")
    rst: bool = _flag("reset the connection instead of answering")
    close: bool = _flag("close the connection (FIN) instead of answering")
    empty_body: bool = _flag("200 with an empty body")
    garbage: bool = _flag("200 with bytes that are neither JSON nor SSE")
    cut_body: bool = _flag("whole answer: promise the full length, send half, FIN")
    # the course of a stream
    delay_first_ms: int | None = _number("wait between headers and first event", high=MS_MAX)
    slow_ms_per_event: int | None = _number("wait before each event", high=MS_MAX)
    cut_after_events: int | None = _number("FIN after N events, inside the chunked body")
    cut_mid_event: int | None = _number("FIN in the middle of event N+1")
    rst_after_events: int | None = _number("RST after N events")
    silence_after_events: int | None = _number("say nothing more after N events, connection open")
    garbage_after_events: int | None = _number("after N events send bytes that are not SSE, then end")
    garbage_event: int | None = _number("after N events insert one event that is not JSON, then go on")
    error_event_after: int | None = _number("after N events send the provider's in-stream error, then end")
    no_terminal: bool = _flag("end cleanly without [DONE] / message_stop")
    no_finish: bool = _flag("never send a finish_reason / stop_reason")
    ping_every: int | None = _number(
        "a keep-alive (SSE comment; Anthropic: ping event) every N events", low=1
    )
    crlf: bool = _flag("end lines with CRLF")
    unknown_event: bool = _flag("insert an event of a type nobody knows")
    extra_fields: bool = _flag("add fields nobody knows to every chunk")
    split_utf8: bool = _flag("split socket writes in the middle of a UTF-8 character; implies `unicode`")
    split_bytes: int | None = _number("write N bytes at a time, each in its own HTTP chunk", low=1)
    big_event: int | None = _number("one delta of N bytes", high=BYTES_MAX)
    # usage
    no_usage: bool = _flag("report no usage at all")
    no_final_usage: bool = _flag(
        "Anthropic stream: usage in message_start only; Gemini stream: none in the last chunk"
    )
    zero_usage: bool = _flag("report zeros")
    running_usage: bool = _flag("OpenAI stream: usage so far on every chunk")
    wrong_total: bool = _flag("OpenAI, Gemini: the total is one too many")
    input_tokens: int | None = _number("total input tokens, cache included")
    output_tokens: int | None = _number(
        "tokens to generate (or to report, for tool calls and JSON)", high=GENERATED_MAX
    )
    reported_output: int | None = _number("output tokens to report, whatever was generated")
    cached: int | None = _number("input tokens read from cache")
    cache_write: int | None = _number("OpenAI cache_write_tokens; Anthropic 5-minute writes")
    cache_write_1h: int | None = _number("Anthropic 1-hour writes")
    cache_write_12h: int | None = _number("OpenAI responses: 12-hour writes")
    reasoning: int | None = _number("reasoning / thinking tokens", high=GENERATED_MAX)
    redacted: bool = _flag("Anthropic: a redacted_thinking block before the text")
    tool_use: int | None = _number("Gemini toolUsePromptTokenCount")
    web_search: int | None = _number("Anthropic server_tool_use.web_search_requests")
    service_tier: str | None = _word("tier reported as served")
    # content
    text: str | None = _word("answer exactly this")
    echo: bool = _flag("answer with the caller's own text")
    unicode: bool = _flag("answer with multi-byte characters in most tokens")
    tool: str | None = _word("call this tool")
    tools: int | None = _number("call the tools N times in parallel", low=1, high=64)
    content_filter: bool = _flag("cut off by the content filter (Anthropic: refusal)")
    refusal: bool = _flag("the model refuses (OpenAI: message.refusal)")
    blocked: bool = _flag("Gemini: the prompt is blocked, no candidate comes")
    finish_reason: str | None = _word("Gemini: end with this finishReason")
    length: bool = _flag("stop for length whatever was asked")
    fewer: bool = _flag("one vector or picture fewer than asked for")
    failed: bool = _flag("OpenAI responses: the response ends as failed, its usage told")


NONE = Faults()
_FIELDS = {f.name: f for f in fields(Faults)}
_WORD = re.compile(r'([a-z0-9_]+)(?:=(?:"([^"]*)"|([^\s"+\]]+)))?(?=[\s+]|$)')
_DIRECTIVE = re.compile(r"\[\[sim:([^\]]*)\]\]")


def _value(name: str, raw: str | None) -> Any:
    known = _FIELDS.get(name)
    if known is None:
        raise FaultScriptInvalid(f"sim: unknown word {name!r}")
    if "low" in known.metadata:
        low, high = known.metadata["low"], known.metadata["high"]
        if raw is None or not raw.isascii() or not raw.isdigit() or not low <= int(raw) <= high:
            raise FaultScriptInvalid(f"sim: {name} needs a number from {low} to {high}")
        return int(raw)
    if known.default is False:
        if raw is not None:
            raise FaultScriptInvalid(f"sim: {name} takes no value")
        return True
    if not raw:
        raise FaultScriptInvalid(f"sim: {name} needs a value")
    return raw


def read(script: str, *, onto: Faults = NONE) -> Faults:
    """Read a fault script.

    Raises:
        FaultScriptInvalid: unknown word, missing or bad value, or a script too long.
    """
    if len(script) > SCRIPT_CHARACTERS_MAX:
        raise FaultScriptInvalid("sim: script too long")
    found: dict[str, Any] = {}
    at = 0
    while at < len(script):
        if script[at] in " +\t\n":
            at += 1
            continue
        word = _WORD.match(script, at)
        if word is None:
            raise FaultScriptInvalid(f"sim: cannot read {script[at : at + 40]!r}")
        name, quoted, plain = word.groups()
        found[name] = _value(name, plain if quoted is None else quoted)
        at = word.end()
    return replace(onto, **found)


def merged(faults: Faults, queued: Faults) -> Faults:
    """A script with what the queue adds to it."""
    return replace(faults, **{name: getattr(queued, name) for name in given(queued)})


def given(faults: Faults) -> list[str]:
    """Which words a script uses."""
    return [name for name, f in _FIELDS.items() if getattr(faults, name) != f.default]


def in_model(model: str) -> tuple[str, str]:
    """Split `name+script` into the model's name and the script."""
    name, _, script = model.partition("+")
    return name, script


def in_text(text: str) -> str:
    """All directives of a text, joined to one script."""
    return " ".join(_DIRECTIVE.findall(text)) if "[[sim:" in text else ""


def grammar() -> dict[str, str]:
    """Each word with its meaning."""
    return {name: str(f.metadata["doc"]) for name, f in _FIELDS.items()}
