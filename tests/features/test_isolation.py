"""Every route, called with what belongs to another organisation, by people of every role.

Organisation A has a row in every table there is; people of B name these rows in paths, queries and bodies.
None may be found, shown or changed. Routes and tables are found, not listed: a new one is covered unasked.
"""

import re
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import cycle, islice
from typing import Any
from uuid import UUID

import httpx2
import people
import psycopg
import pytest
from psycopg import sql
from walked_routes import NOBODY, IdOf, Walked, walked_routes

from bursar.core.permissions import MemberRole, OperatorRole, member_may, operator_may
from bursar.features.organisations import service as organisations
from bursar.features.organisations.schemas import NewOrganisation
from bursar.rest.callers import May, Public, SignedIn
from bursar.rest.control import Control
from planted_rows import MARK, Plot, Table, of_somebody, plant, tables
from scratch_database import ScratchDatabase

# Addresses and names as `people` makes them.
PERSONAL = re.compile(r"[\w.-]+@people\.example|Person [0-9a-f]{4}\b")
STRANGER, ANONYMOUS = "stranger", "anonymous"
# What a walk may end of its own callers, put back after each change: /auth/logout ends a sign-in.
OWN_TABLES = ("organisation", "app_user", "session", "membership")


@dataclass(eq=False)
class World:
    """Organisation A and all that is its own, and the people of B."""

    http: httpx2.AsyncClient
    administrator: psycopg.Connection[Any]
    routes: tuple[Walked, ...]
    theirs: Plot
    tables: Mapping[str, Table]
    organisation_id: UUID
    tokens: dict[str, str]
    kept: dict[str, list[Any]] = field(default_factory=dict)
    before: dict[str, Any] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    answers: Counter[int] = field(default_factory=Counter)

    async def call(
        self, caller: str, route: Walked, organisation_id: object, id_of: IdOf | None = None
    ) -> httpx2.Response:
        """Call a route as somebody, naming rows by `id_of`; without it no body is sent."""
        token = self.tokens.get(caller)
        headers = {"authorization": f"Bearer {token}"} if token else {}
        headers["idempotency-key"] = f"{caller}-{sum(self.answers.values())}"
        answer = await self.http.request(
            route.method,
            route.url(organisation_id, id_of or (lambda name: self.theirs_named(name)[0])),
            json=None if id_of is None else route.body(id_of),
            headers=headers,
        )
        self.answers[answer.status_code] += 1
        if answer.status_code < 300 and route.method not in {"GET", "HEAD"}:
            self.put_back()
        sees_all = caller in set(OperatorRole) and not route.in_organisation
        if answer.status_code >= 500 or (MARK in answer.text and not sees_all):
            self.note(caller, route, answer)
        return answer

    def note(self, caller: str, route: Walked, answer: httpx2.Response) -> None:
        """Something is wrong; all of it is told at the end."""
        self.wrong.append(f"{caller} {route.name}: {answer.status_code} {answer.text[:300]}")

    @cache  # noqa: B019 - a world lives as long as its test
    def theirs_named(self, name: str) -> list[Any]:
        """What a parameter of this name may be called in A: ids of the table it is named after, or all."""
        stem = name.removesuffix("_id")
        keys = {
            table.name: self.theirs.rows[table.name][column]
            for table in self.tables.values()
            if table.name in self.theirs.rows
            for column in table.key_columns
            if column in {"id", name, "user_id"}
        }
        named = [key for table, key in keys.items() if table.startswith(stem) or table.endswith(f"_{stem}")]
        return named or sorted({str(key) for key in keys.values() if isinstance(key, UUID)}) or [NOBODY]

    def ways(self, route: Walked) -> Iterator[IdOf]:
        """Every way to name rows of A: each row the path may mean, each optional id alone."""
        most = max((len(self.theirs_named(name)) for name in route.ids), default=1)
        for number in range(most):
            for optional in route.optional_ids or [""]:

                def id_of(name: str, number: int = number, optional: str = optional) -> Any:
                    found = self.theirs_named(name)
                    return found[number % len(found)] if name in {*route.ids, optional} else None

                yield id_of

    def state(self) -> dict[str, Any]:
        """What A has, table by table."""
        return {
            table.name: self.administrator.execute(
                sql.SQL("SELECT array_agg(t::text ORDER BY t::text) FROM {} AS t WHERE {} = %s").format(
                    sql.Identifier(table.name), sql.Identifier(str(table.owner_column))
                ),
                [self.theirs.owner(table)],
            ).fetchone()
            for table in self.tables.values()
        }

    def keep(self) -> None:
        self.before = self.state()
        for name in OWN_TABLES:
            question = sql.SQL("SELECT to_jsonb(t) FROM {} AS t").format(sql.Identifier(name))
            self.kept[name] = [row for (row,) in self.administrator.execute(question)]

    def put_back(self) -> None:
        """The walk's own people as they were."""
        self.administrator.execute("SET session_replication_role = replica")
        for name, rows in self.kept.items():
            table = self.tables[name]
            columns = [column for column, known in table.columns.items() if not known.untouchable]
            statement = sql.SQL(
                "INSERT INTO {0} ({1}) SELECT {1} FROM jsonb_populate_recordset(NULL::{0}, %s)"
                " ON CONFLICT ({2}) DO UPDATE SET ({1}) = ROW ({3})"
            ).format(
                sql.Identifier(name),
                sql.SQL(", ").join(map(sql.Identifier, columns)),
                sql.SQL(", ").join(map(sql.Identifier, table.key_columns)),
                sql.SQL(", ").join(sql.SQL("excluded.{}").format(sql.Identifier(one)) for one in columns),
            )
            self.administrator.execute(statement, [psycopg.types.json.Jsonb(rows)])
        self.administrator.execute("SET session_replication_role = origin")

    def check(self) -> None:
        """Nothing was told, broken or changed."""
        assert self.wrong == []
        after = self.state()
        assert {name for name, rows in after.items() if rows != self.before[name]} == set()


async def organisation_named(control: Control, name: str) -> UUID:
    async with control.database.transaction(operator=True) as tx:
        made = await organisations.create_organisation(tx, NewOrganisation(name=name), edge=control.edge)
    return made.id


@pytest.fixture
def planted() -> bool:
    """Whether A has a row in every table, whatever is in it; else only what routes make is there."""
    return True


@pytest.fixture
async def world(
    control: Control, anonymous: httpx2.AsyncClient, database: ScratchDatabase, *, planted: bool
) -> AsyncIterator[World]:
    theirs, ours = await organisation_named(control, MARK), await organisation_named(control, "ours")
    user_id = await people.make_person(control, email=f"{MARK}@people.example")
    plot = Plot(organisation_id=theirs, user_id=user_id)
    everybody = {
        **{
            role.value: await people.make_person(control, organisation_id=ours, role=role)
            for role in MemberRole
        },
        **{role.value: await people.make_person(control, operator_role=role) for role in OperatorRole},
        STRANGER: await people.make_person(control),
    }
    tokens = {
        name: (await people.sign_in(control, person, two_factor=True)).access_token
        for name, person in everybody.items()
    }
    with psycopg.connect(database.url, autocommit=True) as administrator:
        found = plant(administrator, plot) if planted else of_somebody(tables(administrator))
        world = World(
            http=anonymous,
            administrator=administrator,
            routes=walked_routes(),
            theirs=plot,
            tables={name: table for name, table in found.items() if table.owner_column},
            organisation_id=ours,
            tokens=tokens,
        )
        world.keep()
        yield world
        world.check()


def may(caller: str, route: Walked) -> bool:
    """Whether the table of rights lets somebody of B call a route."""
    if not isinstance(route.policy, May):
        return caller != ANONYMOUS or isinstance(route.policy, Public)
    permission = route.policy.permission
    if caller in set(OperatorRole):
        return operator_may(OperatorRole(caller), permission)
    return caller in set(MemberRole) and member_may(MemberRole(caller), permission)


def changes_by_id(route: Walked) -> bool:
    """Whether it would write the id of a row that the path does not name."""
    return route.method not in {"GET", "HEAD"} and bool(route.optional_ids)


class TestEveryRoute:
    def test_names_exactly_one_policy(self) -> None:
        routes = walked_routes()
        assert {route.name: route.policies for route in routes if len(route.policies) != 1} == {}
        assert len(routes) > 60

    def test_that_is_open_to_strangers_says_why(self) -> None:
        routes = walked_routes()
        assert all(len(route.policy.why) > 10 for route in routes if isinstance(route.policy, Public))


@pytest.mark.broken_books
class TestRoutes:
    async def test_find_tell_and_change_nothing_of_others(self, world: World) -> None:
        for route, role in zip(world.routes, cycle(MemberRole), strict=False):
            if route.in_organisation:
                await self.do_not_exist_for_people_of_another(
                    world, route, {MemberRole.OWNER, role, STRANGER}
                )
                await self.find_no_row_of_another(world, route)
                continue
            match route.policy:
                case May():
                    await self.is_closed_to_whom_it_is_not_for(world, route)
                case SignedIn():
                    await self.finds_nothing_of_others(world, route)
                case Public():
                    for id_of in world.ways(route):
                        await world.call(ANONYMOUS, route, NOBODY, id_of)

    async def do_not_exist_for_people_of_another(
        self, world: World, route: Walked, outside: set[str]
    ) -> None:
        for caller in sorted(outside):
            answer = await world.call(caller, route, world.theirs.organisation_id)
            if (answer.status_code, answer.json()["code"]) != (404, "organisation_not_found"):
                world.note(caller, route, answer)
        if not isinstance(route.policy, Public):
            answer = await world.call(ANONYMOUS, route, world.theirs.organisation_id)
            if answer.status_code != 401:
                world.note(ANONYMOUS, route, answer)

    async def find_no_row_of_another(self, world: World, route: Walked) -> None:
        for caller in (*MemberRole, *OperatorRole):
            if not may(caller, route):
                answer = await world.call(caller, route, world.organisation_id)
                if answer.status_code != 403:
                    world.note(caller, route, answer)
            elif caller in {MemberRole.OWNER, OperatorRole.SUPERADMIN}:
                await self.names_theirs(world, caller, route, world.ways(route))
            elif route.ids:
                await self.names_theirs(world, caller, route, islice(world.ways(route), 1))

    async def names_theirs(self, world: World, caller: str, route: Walked, ways: Iterable[IdOf]) -> None:
        for id_of in ways:
            answer = await world.call(caller, route, world.organisation_id, id_of)
            status = answer.status_code
            if not (status == 404 if route.ids else status >= 400 or not changes_by_id(route)):
                world.note(caller, route, answer)

    async def is_closed_to_whom_it_is_not_for(self, world: World, route: Walked) -> None:
        for caller in (*MemberRole, *OperatorRole, STRANGER, ANONYMOUS):
            if not may(caller, route):
                answer = await world.call(caller, route, NOBODY)
                if answer.status_code != (401 if caller == ANONYMOUS else 403):
                    world.note(caller, route, answer)

    async def finds_nothing_of_others(self, world: World, route: Walked) -> None:
        answer = await world.call(ANONYMOUS, route, NOBODY)
        if answer.status_code != 401:
            world.note(ANONYMOUS, route, answer)
        for caller in (MemberRole.OWNER, STRANGER):
            for id_of in world.ways(route):
                answer = await world.call(caller, route, NOBODY, id_of)
                if route.ids and answer.status_code != 404:
                    world.note(caller, route, answer)


class TestAnswersToSupport:
    @pytest.mark.parametrize("planted", [False])
    async def test_name_nobody(self, world: World) -> None:
        told = dict.fromkeys((OperatorRole.SUPPORT, OperatorRole.SUPERADMIN), 0)
        for route in world.routes:
            reads = route.method == "GET" and isinstance(route.policy, May)
            for caller in told if reads and may(OperatorRole.SUPPORT, route) else ():
                answer = await world.call(caller, route, world.organisation_id)
                named = PERSONAL.findall(answer.text)
                told[caller] += len(named)
                if named and caller is OperatorRole.SUPPORT:
                    world.note(caller, route, answer)
        assert told[OperatorRole.SUPERADMIN] > 5
        assert told[OperatorRole.SUPPORT] == 0
