"""Compose the assistant's turn, before any provider's shape is put on it."""

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import orjson

from bursar.simulator import tokens
from bursar.simulator.faults import Faults
from bursar.simulator.prose import THOUGHTS, UNICODE, Dice, write
from bursar.simulator.schema import Builder

CALL_OVERHEAD_TOKENS = 8
ECHO_CHARACTERS_MAX = 262_144
RESULT_CHARACTERS_MAX = 400
HINTS_MAX = 4
HINT_CHARACTERS_MAX = 4096
JSON_ANSWER_TOKENS = 12
LENGTH_MIN, LENGTH_SPREAD = 24, 41
TOOL_WORD_LETTERS = 4
REFUSAL = "I'm sorry, but I can't help with that."

_DIRECTIVE = re.compile(r"\s*\[\[sim:[^\]]*\]\]")
_PROPER = re.compile(r"(?<=[a-z,] )[A-Z][A-Za-z]{2,}")
_QUOTED = re.compile(r"(?<!\w)'([^'\n]{1,60})'(?!\w)")
_NUMBER = re.compile(r"(?<![\w.,-])[0-9]{1,9}(?![\w.,]*[0-9])")
_KEY = re.compile(r"['`]([A-Za-z_]{1,40})['`](?=(?: and ['`]\w+['`])* (?:keys?|fields?|propert))")
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|[0-9]+")


class Finish(StrEnum):
    STOP = "stop"
    LENGTH = "length"
    TOOL = "tool"
    FILTER = "filter"
    STOP_SEQUENCE = "stop_sequence"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A tool the caller offers; `schema` describes its input, `custom` ones take free text."""

    name: str
    schema: Any
    custom: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What a request asks for, whichever provider it came to.

    Attributes:
        seed: digest of everything that decides the answer.
        said: text of the turn to be answered.
        results: texts of tool results in that turn.
        tool_mode: `none`, `auto`, or `required`.
        tool_name: the one tool the caller insists on.
        schema: JSON Schema the answer must conform to.
        json_object: any JSON object will do.
        thinking: tokens to think before answering.
        answer_tokens: ordinary length; 0 lets the seed decide.
    """

    seed: bytes
    said: str
    faults: Faults
    max_tokens: int
    results: tuple[str, ...] = ()
    tools: tuple[Tool, ...] = ()
    tool_mode: str = "auto"
    tool_name: str | None = None
    parallel: bool = True
    schema: Any = None
    json_object: bool = False
    stop: tuple[str, ...] = ()
    thinking: int = 0
    answer_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One tool call; `arguments` is JSON text, or free text for a custom tool."""

    letters: str
    name: str
    arguments: str
    custom: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One composed answer. `thinking` and `text` are lists of tokens; `output_tokens` includes thinking."""

    text: tuple[str, ...] = ()
    thinking: tuple[str, ...] = ()
    calls: tuple[Call, ...] = ()
    finish: Finish = Finish.STOP
    stop_sequence: str | None = None
    refused: bool = False
    output_tokens: int = 0


def compose(ask: Ask, choice: int = 0) -> Turn:
    """The answer to a request; `choice` tells the answers of `n > 1` apart."""
    dice = Dice(ask.seed + choice.to_bytes(2, "big"))
    wanted = ask.faults.reasoning if ask.faults.reasoning is not None else ask.thinking
    thinking = tuple(write(dice, min(wanted, ask.max_tokens), sentences=THOUGHTS))
    room = ask.max_tokens - len(thinking)
    if room <= 0:
        return Turn(thinking=thinking, finish=Finish.LENGTH, output_tokens=len(thinking))
    calls = () if ask.faults.refusal else _calls(ask, dice)
    turn = _call_turn(calls, room) if calls else _text_turn(ask, dice, room)
    if ask.faults.output_tokens is not None and (calls or ask.schema or ask.json_object):
        turn = replace(turn, output_tokens=ask.faults.output_tokens)
    used = turn.output_tokens + len(thinking)
    reported = ask.faults.reported_output
    return replace(turn, thinking=thinking, output_tokens=used if reported is None else reported)


def _call_turn(calls: tuple[Call, ...], room: int) -> Turn:
    used = sum(CALL_OVERHEAD_TOKENS + tokens.count(call.name + call.arguments) for call in calls)
    if used <= room:
        return Turn(calls=calls, finish=Finish.TOOL, output_tokens=used)
    last = calls[0]
    kept = "".join(tokens.pieces(last.arguments)[: max(room - CALL_OVERHEAD_TOKENS, 0)])
    return Turn(calls=(replace(last, arguments=kept),), finish=Finish.LENGTH, output_tokens=room)


def _text_turn(ask: Ask, dice: Dice, room: int) -> Turn:
    written = _text(ask, dice)
    text = "".join(written)
    finish, matched = Finish.STOP, None
    places = [(text.find(stop), stop) for stop in ask.stop if stop in text]
    if places:
        at, matched = min(places)
        written, finish = tokens.pieces(text[:at]), Finish.STOP_SEQUENCE
    if len(written) > room:
        written, finish, matched = written[:room], Finish.LENGTH, None
    if ask.faults.length:
        finish, matched = Finish.LENGTH, None
    if ask.faults.content_filter:
        written, finish, matched = written[: len(written) // 2], Finish.FILTER, None
    return Turn(
        text=tuple(_with_big_event(written, ask.faults.big_event)),
        finish=finish,
        stop_sequence=matched,
        refused=ask.faults.refusal,
        output_tokens=max(len(written), 1) + (ask.faults.big_event or 0) // 5,
    )


def _with_big_event(written: list[str], size: int | None) -> list[str]:
    return [*written[:1], "x" * size, *written[1:]] if size else written


def _text(ask: Ask, dice: Dice) -> list[str]:
    faults = ask.faults
    given = REFUSAL if faults.refusal else faults.text
    if given is None and ask.schema is not None:
        given = orjson.dumps(_builder(ask.schema, ask, dice).build()).decode()
    if given is None and ask.json_object:
        keys = _KEY.findall(plain(ask.said)[:HINT_CHARACTERS_MAX])[:HINTS_MAX] or ["answer"]
        given = orjson.dumps({key: "".join(write(dice, JSON_ANSWER_TOKENS)) for key in keys}).decode()
    if given is None and faults.echo:
        given = plain(ask.said)[:ECHO_CHARACTERS_MAX]
    return tokens.pieces(given) if given is not None else _prose(ask, dice)


def _prose(ask: Ask, dice: Dice) -> list[str]:
    faults, ordinary = ask.faults, ask.answer_tokens or LENGTH_MIN + dice.below(LENGTH_SPREAD)
    length = ordinary if faults.output_tokens is None else faults.output_tokens
    if faults.unicode or faults.split_utf8:
        return write(dice, length, sentences=(UNICODE,))
    if not ask.results:
        return write(dice, length)
    said = tokens.pieces(f"The tool says: {' | '.join(ask.results)[:RESULT_CHARACTERS_MAX]} ")
    return (said + write(dice, length))[: max(length, len(said))]


def plain(text: str) -> str:
    """A text without its fault directives."""
    return _DIRECTIVE.sub("", text).strip()


def _builder(schema: Any, ask: Ask, dice: Dice) -> Builder:
    """Builds what fits `schema`, of what the prompt speaks of where it can.

    That is what stands in quotes, else capitalised words inside sentences (likely the place or person a tool
    is asked about), and whole numbers.
    """
    said = plain(ask.said)[:HINT_CHARACTERS_MAX]
    names = _QUOTED.findall(said) or _PROPER.findall(said)
    numbers = [int(number) for number in _NUMBER.findall(said)]
    return Builder(schema, dice, tuple(names[:HINTS_MAX]), tuple(numbers[:HINTS_MAX]))


def _calls(ask: Ask, dice: Dice) -> tuple[Call, ...]:
    tools = _called(ask)
    times = ask.faults.tools
    if times and tools:
        tools = [tools[at % len(tools)] for at in range(times)]
    if not ask.parallel:
        tools = tools[:1]
    return tuple(_call(tool, ask, dice) for tool in tools)


def _called(ask: Ask) -> list[Tool]:
    """Which tools the turn calls.

    The one insisted on; else, unless results just came back, those whose name (or a word of it of four
    letters or more) occurs in the caller's text; `required` calls the first when none does.
    """
    wanted = ask.tool_name or ask.faults.tool
    if ask.tool_mode == "none" or not ask.tools:
        return []
    if wanted:
        return [tool for tool in ask.tools if tool.name == wanted][:1]
    said = plain(ask.said).lower()
    named = [] if ask.results else [tool for tool in ask.tools if _mentioned(tool.name, said)]
    if not named and (ask.tool_mode == "required" or (ask.faults.tools and not ask.results)):
        return [ask.tools[0]]
    return named


def _mentioned(name: str, said: str) -> bool:
    words = [word.lower() for word in _WORDS.findall(name)]
    return name.lower() in said or any(len(word) >= TOOL_WORD_LETTERS and word in said for word in words)


def _call(tool: Tool, ask: Ask, dice: Dice) -> Call:
    letters = dice.letters(24)
    if tool.custom:
        return Call(letters=letters, name=tool.name, arguments="".join(write(dice, 12)), custom=True)
    value = _builder(tool.schema, ask, dice).build() if tool.schema else {}
    return Call(letters=letters, name=tool.name, arguments=orjson.dumps(value).decode())
