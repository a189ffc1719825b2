"""Strict request checks in neutral terms; each provider words the problem in its own way.

A check is a function `(value, path) -> None` that raises `Problem` at the first thing a real provider would
refuse.
"""

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

Path = tuple[str | int, ...]
Check = Callable[[Any, Path], None]


class Kind(StrEnum):
    MISSING = "missing"
    UNKNOWN = "unknown"
    TYPE = "type"
    BELOW = "below"
    ABOVE = "above"
    CHOICE = "choice"
    SHORT = "short"
    LONG = "long"
    PATTERN = "pattern"


class Problem(Exception):
    """What is wrong with a request and where.

    Attributes:
        expected: the type word, the bound, or the list of allowed values, by kind.
        value: what was found.
    """

    def __init__(self, kind: Kind, path: Path, *, expected: Any = None, value: Any = None) -> None:
        super().__init__(kind, path, expected)
        self.kind = kind
        self.path = path
        self.expected = expected
        self.value = value


def anything(_value: Any, _path: Path) -> None:
    """Accept every value."""


def boolean(value: Any, path: Path) -> None:
    if not isinstance(value, bool):
        raise Problem(Kind.TYPE, path, expected="boolean", value=value)


def mapping(value: Any, path: Path) -> None:
    if not isinstance(value, dict):
        raise Problem(Kind.TYPE, path, expected="object", value=value)


def _bounds(value: Any, path: Path, low: Any, high: Any) -> None:
    if low is not None and value < low:
        raise Problem(Kind.BELOW, path, expected=low, value=value)
    if high is not None and value > high:
        raise Problem(Kind.ABOVE, path, expected=high, value=value)


def integer(low: int | None = None, high: int | None = None) -> Check:
    def check(value: Any, path: Path) -> None:
        if isinstance(value, bool) or not isinstance(value, int):
            raise Problem(Kind.TYPE, path, expected="integer", value=value)
        _bounds(value, path, low, high)

    return check


def number(low: int | None = None, high: int | None = None) -> Check:
    def check(value: Any, path: Path) -> None:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise Problem(Kind.TYPE, path, expected="decimal", value=value)
        _bounds(value, path, low, high)

    return check


def text(*, shortest: int = 0, longest: int | None = None, pattern: str | None = None) -> Check:
    compiled = re.compile(pattern) if pattern else None

    def check(value: Any, path: Path) -> None:
        if not isinstance(value, str):
            raise Problem(Kind.TYPE, path, expected="string", value=value)
        if len(value) < shortest:
            raise Problem(Kind.SHORT, path, expected=shortest, value=value)
        if longest is not None and len(value) > longest:
            raise Problem(Kind.LONG, path, expected=longest, value=value)
        if compiled and not compiled.fullmatch(value):
            raise Problem(Kind.PATTERN, path, expected=pattern, value=value)

    return check


def choice(*allowed: str) -> Check:
    def check(value: Any, path: Path) -> None:
        if not isinstance(value, str):
            raise Problem(Kind.TYPE, path, expected="string", value=value)
        if value not in allowed:
            raise Problem(Kind.CHOICE, path, expected=allowed, value=value)

    return check


def nullable(inner: Check) -> Check:
    def check(value: Any, path: Path) -> None:
        if value is not None:
            inner(value, path)

    return check


def list_of(inner: Check, *, least: int = 0, most: int | None = None) -> Check:
    def check(value: Any, path: Path) -> None:
        if not isinstance(value, list):
            raise Problem(Kind.TYPE, path, expected="array", value=value)
        if len(value) < least:
            raise Problem(Kind.SHORT, path, expected=least, value=value)
        if most is not None and len(value) > most:
            raise Problem(Kind.LONG, path, expected=most, value=value)
        for at, item in enumerate(value):
            inner(item, (*path, at))

    return check


def map_of(inner: Check, *, most: int | None = None) -> Check:
    """An object with free names, such as `metadata`."""

    def check(value: Any, path: Path) -> None:
        mapping(value, path)
        if most is not None and len(value) > most:
            raise Problem(Kind.LONG, path, expected=most, value=value)
        for name, item in value.items():
            inner(item, (*path, name))

    return check


def record(fields: Mapping[str, Check], *, required: tuple[str, ...] = (), closed: bool = True) -> Check:
    """An object with these names; others are refused, or ignored when it is not `closed`."""

    def check(value: Any, path: Path) -> None:
        mapping(value, path)
        for name in required:
            if name not in value:
                raise Problem(Kind.MISSING, (*path, name))
        for name, item in value.items():
            if name in fields:
                fields[name](item, (*path, name))
            elif closed:
                raise Problem(Kind.UNKNOWN, (*path, name), value=item)

    return check


def text_or(inner: Check, *, shortest: int = 0) -> Check:
    """A string, or whatever `inner` accepts."""
    string = text(shortest=shortest)

    def check(value: Any, path: Path) -> None:
        (string if isinstance(value, str) else inner)(value, path)

    return check


def tagged(tag: str, kinds: Mapping[str, Check], *, label: bool = False, default: str | None = None) -> Check:
    """An object whose `tag` says which check applies.

    Args:
        tag: name of the deciding property.
        kinds: check by value of that property.
        label: add the value to the path, as Anthropic does (`messages.0.content.1.tool_use.id`).
        default: value assumed when the property is absent; None makes it required.
    """

    def check(value: Any, path: Path) -> None:
        mapping(value, path)
        kind = value.get(tag, default)
        if kind is None:
            raise Problem(Kind.MISSING, (*path, tag))
        if not isinstance(kind, str):
            raise Problem(Kind.TYPE, (*path, tag), expected="string", value=kind)
        if kind not in kinds:
            raise Problem(Kind.CHOICE, (*path, tag), expected=tuple(kinds), value=kind)
        kinds[kind](value, (*path, kind) if label else path)

    return check
