"""The routes of an application as a walker of all of them needs them: path, policy, and a body that fits.

Everything is read from the application and its OpenAPI document, so that a new route is walked unasked.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts

from bursar.entrypoints.api import build_api
from bursar.rest.callers import May, Public, SignedIn

Policy = May | SignedIn | Public
IdOf = Callable[[str], Any]
"""The id a path, query or body is to name, by the parameter's name; None leaves one out that is optional."""

ORGANISATION = "organisation_id"
IN_BRACES = re.compile(r"{(\w+)(?::\w+)?}")
NOBODY = "00000000-0000-7000-8000-000000000001"
# Tried in this order where a schema asks for a pattern.
FITTING = (
    "1",
    "10.00",
    "a",
    "ab",
    "abc",
    "abc-def",
    "a" * 8,
    "a" * 32,
    "123456",
    "192.0.2.0/24",
    "https://x.example/",
)


@dataclass(frozen=True)
class Walked:
    """One operation."""

    method: str
    path: str
    policies: tuple[Policy, ...]
    document: dict[str, Any]

    @property
    def policy(self) -> Policy:
        return self.policies[0]

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def parameters(self) -> list[str]:
        return IN_BRACES.findall(self.path)

    @property
    def in_organisation(self) -> bool:
        return ORGANISATION in self.parameters

    @property
    def ids(self) -> list[str]:
        """The path's parameters that name a row, but for the organisation."""
        return [name for name in self.parameters if name.endswith("_id") and name != ORGANISATION]

    @cached_property
    def operation(self) -> dict[str, Any]:
        path = IN_BRACES.sub(r"{\1}", self.path)
        found: dict[str, Any] = self.document["paths"].get(path, {}).get(self.method.lower(), {})
        return found

    def url(self, organisation_id: object, id_of: IdOf) -> str:
        """Where to call: `id_of` names the rows, also those of the query's filters."""

        def one(match: re.Match[str]) -> str:
            name = match.group(1)
            return str(organisation_id if name == ORGANISATION else id_of(name))

        url = IN_BRACES.sub(one, self.path)
        said = {name: id_of(name) for name in self._asked_ids()}
        asked = "&".join(f"{name}={one}" for name, one in said.items() if one is not None)
        return f"{url}?{asked}" if asked else url

    def _asked_ids(self) -> list[str]:
        """The query's filters that name rows."""
        return [
            parameter["name"]
            for parameter in self.operation.get("parameters", ())
            if parameter["in"] == "query" and is_id(self.resolved(parameter["schema"]))
        ]

    def body(self, id_of: IdOf) -> Any:
        """What the schema takes: all that is required, and every id it lets a caller name."""
        content = self.operation.get("requestBody", {}).get("content", {})
        if "application/json" not in content:
            return None
        return self._value("body", content["application/json"]["schema"], id_of)

    @cached_property
    def optional_ids(self) -> list[str]:
        """Rows a caller may name besides those of the path: in filters, or in the body."""
        named = self._asked_ids()
        self.body(named.append)
        return sorted({*named} - {*self.parameters})

    def resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Follow a reference, and take the first alternative that is something."""
        while "$ref" in schema or "anyOf" in schema or "oneOf" in schema or "allOf" in schema:
            if "$ref" in schema:
                schema = self.document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
                continue
            several = schema.get("anyOf") or schema.get("oneOf") or schema["allOf"]
            schema = next(one for one in several if one.get("type") != "null")
        return schema

    def _value(self, name: str, schema: dict[str, Any], id_of: IdOf) -> Any:
        said = schema
        schema = self.resolved(schema)
        if is_id(schema):
            return str(id_of(name) or NOBODY)
        known = {**schema, **said}
        if examples := known.get("examples") or known.get("enum"):
            return examples[0]
        kind = known.get("type")
        if kind == "object":
            return self._object(schema, id_of)
        if kind == "array":
            return [self._value(name, schema["items"], id_of)] * schema.get("minItems", 0)
        plain = {"integer": max(known.get("minimum", 1), 1), "number": 1, "boolean": True}
        return known.get("const") or plain.get(kind) or text_for(name, schema)

    def _object(self, schema: dict[str, Any], id_of: IdOf) -> dict[str, Any]:
        needed = schema.get("required", [])
        return {
            name: self._value(name, one, id_of)
            for name, one in schema.get("properties", {}).items()
            if name in needed or (is_id(self.resolved(one)) and id_of(name) is not None)
        }


def is_id(schema: dict[str, Any]) -> bool:
    return bool(schema.get("format") == "uuid")


def text_for(name: str, schema: dict[str, Any]) -> str:
    """A text of the length and pattern asked for; the name says what the validators of our own look for."""
    if schema.get("format") == "date-time":
        return "2099-01-01T00:00:00Z"
    if "email" in name or name == "to":
        return "walker@strangers.example"
    if "url" in name or "issuer" in name:
        return "https://strangers.example/"
    pattern = schema.get("pattern")
    if pattern is not None:
        return next((text for text in FITTING if re.search(pattern, text)), "a")
    return "walked" + "x" * (schema.get("minLength", 0) - len("walked"))


@cache
def walked_routes() -> tuple[Walked, ...]:
    """Every operation, hidden ones too."""
    return tuple(_walked(build_api(None)))


def _walked(app: FastAPI) -> Iterator[Walked]:
    document = app.openapi()
    for context in iter_route_contexts(app.routes):
        if isinstance(context.original_route, APIRoute):
            assert context.path is not None
            policies = tuple(policies_of(context.dependant))
            for method in sorted(context.methods or ()):
                yield Walked(method, context.path, policies, document)


def policies_of(dependant: Dependant) -> Iterator[Policy]:
    """The policies a route names, in its own dependencies or by way of another."""
    if isinstance(dependant.call, May | SignedIn | Public):
        yield dependant.call
    for one in dependant.dependencies:
        yield from policies_of(one)
