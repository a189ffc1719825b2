"""Build a JSON value that conforms to a JSON Schema, so that typed clients can parse a simulated answer.

Understands what structured-output requests use: type (also lists), properties, required,
additionalProperties, items, prefixItems, enum, const, anyOf/oneOf/allOf, $ref into $defs or definitions
(recursive ones end at `DEPTH_MAX`), string lengths, formats and common patterns, numeric bounds and
multiples, array sizes.
"""

import re
from collections.abc import Iterator
from typing import Any

from bursar.simulator.checks import (
    Kind,
    Path,
    Problem,
    anything,
    choice,
    integer,
    list_of,
    map_of,
    nullable,
    number,
    record,
    text,
)
from bursar.simulator.prose import Dice

DEPTH_MAX = 8
"""From here on only what is required is built, and null where it may be."""
DEPTH_END = 3 * DEPTH_MAX
"""Here a schema that never ends is cut off."""
NODES_MAX = 5000
ARRAY_ITEMS = 2
ITEMS_MAX = 64
WORDS = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "harbor")
FORMATS = {
    "date-time": "2026-03-14T09:26:53Z",
    "date": "2026-03-14",
    "time": "09:26:53Z",
    "duration": "PT15M",
    "email": "ada@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.7",
    "ipv6": "2001:db8::7",
    "uri": "https://example.com/item",
    "url": "https://example.com/item",
    "uuid": "3f2b8c1e-5a4d-4c7b-9e21-0d6f1a2b3c4d",
}
PATTERN_CANDIDATES = (
    "amber", "AMBER", "Amber", "A", "a", "7", "42", "2026", "12345", "123456789", "2026-03-14", "09:26",
    "AB-1234", "ABC123", "abc123", "abc-123", "abc_123", "USD", "US", "en", "en-US", "1.2.3", "v1.2.3",
    "12.50", "#a1b2c3", "+15550100000", "555-0100", "ada@example.com", "@ada", "https://example.com/item",
)  # fmt: skip


PATH_MAX = 200
"""Deeper schemas are refused, before they exhaust the stack."""


def well_formed(value: Any, path: Path) -> None:
    """Check that a value is a JSON Schema this module understands.

    Raises:
        Problem: a keyword has a value of the wrong type.
    """
    if len(path) > PATH_MAX:
        raise Problem(Kind.LONG, path[:PATH_MAX], expected=PATH_MAX, value=path)
    if not isinstance(value, bool):
        _SCHEMA(value, path)


def _kinds(value: Any, path: Path) -> None:
    (_KINDS if isinstance(value, list) else _ONE_KIND)(value, path)


_ONE_KIND = choice("object", "array", "string", "integer", "number", "boolean", "null")
_KINDS = list_of(_ONE_KIND, least=1)
_SCHEMA = record(
    {
        "type": _kinds,
        "properties": nullable(map_of(well_formed)),
        "required": nullable(list_of(text())),
        "additionalProperties": well_formed,
        "items": well_formed,
        "prefixItems": list_of(well_formed),
        "enum": list_of(anything, least=1),
        "anyOf": list_of(well_formed, least=1),
        "oneOf": list_of(well_formed, least=1),
        "allOf": list_of(well_formed),
        "$defs": map_of(well_formed),
        "definitions": map_of(well_formed),
        "$ref": text(),
        "pattern": text(),
        "format": text(),
        "minLength": integer(0),
        "maxLength": integer(0),
        "minItems": integer(0),
        "maxItems": integer(0),
        "minimum": number(),
        "maximum": number(),
        "exclusiveMinimum": number(),
        "exclusiveMaximum": number(),
        "multipleOf": number(),
    },
    closed=False,
)


class Builder:
    """Builds values for one schema; `hints`, `numbers`: of the prompt, worth repeating (a city, a sum)."""

    def __init__(
        self, root: Any, dice: Dice, hints: tuple[str, ...] = (), numbers: tuple[int, ...] = ()
    ) -> None:
        self._root = root
        self._dice = dice
        self._hints = hints
        self._numbers = list(numbers)
        self._nodes = 0

    def build(self) -> Any:
        return self._value(self._root, 0)

    def _resolve(self, schema: dict[str, Any]) -> dict[str, Any]:
        for _ in range(DEPTH_MAX):
            ref = schema.get("$ref")
            if not isinstance(ref, str) or not ref.startswith("#"):
                return schema
            target: Any = self._root
            for part in ref[1:].split("/"):
                if part and isinstance(target, dict):
                    target = target.get(part.replace("~1", "/").replace("~0", "~"), {})
            rest = {name: value for name, value in schema.items() if name != "$ref"}
            schema = {**target, **rest} if isinstance(target, dict) else rest
        return schema

    def _deep(self, depth: int) -> bool:
        return depth >= DEPTH_MAX or self._nodes > NODES_MAX

    def _merged(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        """One schema in place of `allOf`."""
        self._nodes += 1
        merged = {name: value for name, value in schema.items() if name != "allOf"}
        for part in () if self._deep(depth) else schema.get("allOf", ()):
            resolved = self._merged(self._resolve(part), depth + 1) if isinstance(part, dict) else {}
            for name, value in resolved.items():
                if name == "properties":
                    merged[name] = {**merged.get(name, {}), **value}
                elif name == "required":
                    merged[name] = [*merged.get(name, []), *value]
                else:
                    merged.setdefault(name, value)
        return merged

    def _value(self, schema: Any, depth: int) -> Any:
        if depth > DEPTH_END or self._nodes > 2 * NODES_MAX:
            return None
        if not isinstance(schema, dict):
            return self._text({})
        schema = self._merged(self._resolve(schema), depth)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return schema["enum"][self._dice.below(len(schema["enum"]))]
        for union in ("anyOf", "oneOf"):
            if schema.get(union):
                rest = {name: value for name, value in schema.items() if name != union}
                picked = self._pick(schema[union], depth)
                return self._value({**rest, **picked} if isinstance(picked, dict) else rest, depth + 1)
        return self._typed(schema, depth)

    def _pick(self, options: list[Any], depth: int) -> Any:
        """The first option that is not null; deep down, null if there is one."""
        nulls = [option for option in options if isinstance(option, dict) and option.get("type") == "null"]
        if self._deep(depth) and nulls:
            return nulls[0]
        return next((option for option in options if option not in nulls), options[0])

    def _typed(self, schema: dict[str, Any], depth: int) -> Any:
        value: Any = None
        match _kind(schema, deep=self._deep(depth)):
            case "object":
                value = self._object(schema, depth)
            case "array":
                value = self._array(schema, depth)
            case "integer":
                value = self._number(schema, whole=True)
            case "number":
                value = self._number(schema, whole=False)
            case "boolean":
                value = self._dice.below(2) == 0
            case "string":
                value = self._text(schema)
        return value

    def _object(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        properties = schema.get("properties") or {}
        required = set(schema.get("required") or ())
        built = {
            name: self._value(inner, depth + 1)
            for name, inner in properties.items()
            if not self._deep(depth) or name in required
        }
        extra = schema.get("additionalProperties")
        if isinstance(extra, dict) and not properties and not self._deep(depth):
            built[WORDS[self._dice.below(len(WORDS))]] = self._value(extra, depth + 1)
        return built

    def _array(self, schema: dict[str, Any], depth: int) -> list[Any]:
        prefix = [self._value(inner, depth + 1) for inner in schema.get("prefixItems", ())]
        items = schema.get("items", {})
        least, most = int(schema.get("minItems", 0)), int(schema.get("maxItems", ITEMS_MAX))
        wanted = min(max(least, 0 if self._deep(depth) else ARRAY_ITEMS), most, ITEMS_MAX)
        built = list(prefix)
        for _ in range(ITEMS_MAX):
            if len(built) >= wanted or items is False:
                break
            value = self._value(items, depth + 1)
            if not schema.get("uniqueItems") or value not in built:
                built.append(value)
        return built

    def _number(self, schema: dict[str, Any], *, whole: bool) -> int | float:
        step = abs(schema.get("multipleOf", 1)) or 1
        low, high = schema.get("minimum"), schema.get("maximum")
        if "exclusiveMinimum" in schema:
            low = schema["exclusiveMinimum"] + (step if whole else step / 2)
        if "exclusiveMaximum" in schema:
            high = schema["exclusiveMaximum"] - (step if whole else step / 2)
        if self._numbers and "multipleOf" not in schema:
            given = self._numbers[0]
            if (low is None or low <= given) and (high is None or given <= high):
                return self._numbers.pop(0)
        value: int | float = (low if low is not None else min(0, high or 0)) + self._dice.below(40) * step
        if low is not None and value % step:
            value += step - value % step
        if high is not None and value > high:
            value = high - high % step if low is None or high - high % step >= low else high
        return int(value) if whole else value

    def _text(self, schema: dict[str, Any]) -> str:
        if schema.get("format") in FORMATS:
            return FORMATS[schema["format"]]
        if isinstance(schema.get("pattern"), str):
            return self._matching(schema["pattern"])
        least, most = int(schema.get("minLength", 0)), int(schema.get("maxLength", 1_000_000))
        text = (
            self._hints[self._dice.below(len(self._hints))]
            if self._hints
            else WORDS[self._dice.below(len(WORDS))]
        )
        while len(text) < least:
            text += " " + WORDS[self._dice.below(len(WORDS))]
        return text[:most]

    def _matching(self, pattern: str) -> str:
        try:
            compiled = re.compile(pattern)
        except re.error:
            return PATTERN_CANDIDATES[0]
        return next((one for one in PATTERN_CANDIDATES if compiled.search(one)), PATTERN_CANDIDATES[0])


def _kind(schema: dict[str, Any], *, deep: bool) -> str:
    """The one type to build: the first that is not null, except deep down."""
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if not isinstance(kind, list):
        return str(kind)
    usable = [one for one in kind if one != "null"]
    return "null" if not usable or (deep and "null" in kind) else str(usable[0])


def strict_fault(schema: Any, where: tuple[str, ...] = ()) -> str | None:
    """Why OpenAI's strict mode refuses this schema, or None.

    Rule (structured outputs guide): every object says `additionalProperties: false` and requires all its
    properties.
    """
    if not isinstance(schema, dict):
        return None
    if fault := _object_fault(schema, where):
        return fault
    return next(
        (fault for path, inner in _inner(schema, where) if (fault := strict_fault(inner, path))), None
    )


def _object_fault(schema: dict[str, Any], where: tuple[str, ...]) -> str | None:
    if schema.get("type") != "object" and "properties" not in schema:
        return None
    if schema.get("additionalProperties") is not False:
        return f"In context={where!r}, 'additionalProperties' is required to be supplied and to be false."
    missing = [name for name in schema.get("properties", {}) if name not in schema.get("required", ())]
    if not missing:
        return None
    return (
        f"In context={where!r}, 'required' is required to be supplied and to be an array including every "
        f"key in properties. Missing '{missing[0]}'."
    )


def _inner(schema: dict[str, Any], where: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The schemas inside a schema, each with its path."""
    for name in ("properties", "$defs", "definitions"):
        for key, inner in (schema.get(name) or {}).items():
            yield (*where, name, key), inner
    for name in ("anyOf", "oneOf", "allOf"):
        for at, inner in enumerate(schema.get(name) or ()):
            yield (*where, name, str(at)), inner
    if "items" in schema:
        yield (*where, "items"), schema["items"]
