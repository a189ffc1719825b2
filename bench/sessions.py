"""`make bench-sessions`: a thousand people at the control plane at once, for five minutes.

The api has core 0 to itself; PostgreSQL (fsync on), the worker and the people share core 1. Everybody pauses
between two actions as people do; what is counted is how long an answer took and what failed.
"""

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
import sqlalchemy as sa

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from bursar.core.permissions import MemberRole
from bursar.db.embedded import attach
from bursar.db.migrate import migrate
from bursar.db.tables import app_user, membership
from bursar.entrypoints.api import control_of
from bursar.features.organisations.schemas import NewOrganisation
from bursar.features.organisations.service import create_organisation
from bursar.rest.control import Control
from bursar.rest.sign_ins import open_session
from bursar.settings import Settings
from gateway_stack import SECRET_KEY
from machine import GATEWAY_CORE, HERE, OTHER_CORE, PYTHON, commit, free_port, machine, pinned, wait_for

PER_ORGANISATION = 10
ROLES = (MemberRole.OWNER, MemberRole.ADMIN, *[MemberRole.DEVELOPER] * 6, *[MemberRole.VIEWER] * 2)
SIGNS_IN_PART = 50  # one in so many signs in by password, which takes tens of milliseconds by intention
PASSWORD = "correct horse battery staple 1837"  # noqa: S105 - of people made up here


@dataclass
class Person:
    """One session: who, where, and what he sends along."""

    organisation_id: UUID
    role: MemberRole
    email: str
    access: str
    refresh: str
    signs_in: bool
    keys: list[str] = field(default_factory=list)


@dataclass
class Told:
    """What was measured. Memory: one number an action."""

    took_ms: dict[str, list[float]] = field(default_factory=dict)
    failed: Counter[str] = field(default_factory=Counter)


async def make_people(control: Control, number: int) -> list[Person]:
    hashed = await control.passwords.hash(PASSWORD)
    people: list[Person] = []
    for place in range(-(-number // PER_ORGANISATION)):
        async with control.database.transaction(operator=True) as tx:
            wanted = NewOrganisation(name=f"Company {place}")
            organisation = await create_organisation(tx, wanted, edge=control.edge)
        async with control.database.transaction(accounts=True) as tx:
            people += [
                await _join(control, tx, organisation.id, role, hashed=hashed, number=len(people) + at)
                for at, role in enumerate(ROLES)
            ]
    return people[:number]


async def _join(  # noqa: PLR0913 - who, where and as what
    control: Control, tx: Any, organisation_id: UUID, role: MemberRole, *, hashed: str, number: int
) -> Person:
    user_id, now, email = control.edge.new_id(), control.edge.now(), f"person{number}@bench.example"
    await tx.execute(
        sa.insert(app_user).values(
            id=user_id,
            email=email,
            name=f"Person {number}",
            created_at=now,
            email_verified_at=now,
            password_hash=hashed,
        )
    )
    row = {"organisation_id": organisation_id, "user_id": user_id, "role": role.value, "created_at": now}
    await tx.execute(sa.insert(membership).values(**row))
    signed_in = await open_session(tx, control, user_id, user_agent="bench", address="127.0.0.1")
    return Person(
        organisation_id=organisation_id,
        role=role,
        email=email,
        access=signed_in.access_token,
        refresh=signed_in.refresh_token,
        signs_in=number % SIGNS_IN_PART == 0,
    )


class Visitor:
    """Does what people do, one thing at a time."""

    def __init__(self, http: aiohttp.ClientSession, url: str, person: Person, told: Told) -> None:
        self.http, self.url, self.person, self.told = http, url, person, told
        self.own = f"/organisations/{person.organisation_id}"

    async def stay(self, until: float, pause_s: float) -> None:
        await asyncio.sleep(random.uniform(0, pause_s))
        while time.monotonic() < until:
            await self.act()
            await asyncio.sleep(random.uniform(0.5, 1.5) * pause_s)

    async def act(self) -> None:
        looks = ["/me", self.own, f"{self.own}/keys", f"{self.own}/usage", f"{self.own}/usage/summary"]
        looks += [f"{self.own}/members", f"{self.own}/budgets", f"{self.own}/projects"]
        if self.person.role is not MemberRole.DEVELOPER:
            looks.append(f"{self.own}/wallet")
        chance = random.random()
        writes = self.person.role is not MemberRole.VIEWER
        if chance < 0.03:
            await self.refresh()
        elif chance < 0.06 and self.person.signs_in:
            body = {"email": self.person.email, "password": PASSWORD, "tokens_in": "body"}
            await self.ask("POST", "/auth/log-in", body, name="log_in", signed=False)
        elif chance < 0.15 and writes:
            await self.manage_keys()
        else:
            path = random.choice(looks)
            await self.ask("GET", path, name=f"get {path.removeprefix(self.own) or '/organisation'}")

    async def manage_keys(self) -> None:
        keys = f"{self.own}/keys"
        if len(self.person.keys) < 3:
            made = await self.ask("POST", keys, {"name": "bench"}, name="create_key")
            if made:
                self.person.keys.append(made["id"])
            return
        key_id = self.person.keys.pop()
        await self.ask("POST", f"{keys}/{key_id}/revoke", {}, name="revoke_key")

    async def refresh(self) -> None:
        asked = {"refresh_token": self.person.refresh}
        got = await self.ask("POST", "/auth/refresh", asked, name="refresh", signed=False)
        if got:
            self.person.access, self.person.refresh = got["access_token"], got["refresh_token"]

    async def ask(
        self, method: str, path: str, body: Any = None, *, name: str, signed: bool = True
    ) -> dict[str, Any] | None:
        headers = {"authorization": f"Bearer {self.person.access}"} if signed else {}
        started = time.monotonic()
        try:
            asked = self.http.request(method, f"{self.url}/api/v1{path}", json=body, headers=headers)
            async with asked as answer:
                content = await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            self.told.failed[f"{name}: {type(error).__name__}"] += 1
            return None
        self.told.took_ms.setdefault(name, []).append((time.monotonic() - started) * 1000)
        if answer.status >= 400:
            self.told.failed[f"{name}: {answer.status} {content[:200].decode()}"] += 1
            return None
        found: dict[str, Any] = json.loads(content)
        return found


async def visit(url: str, people: list[Person], seconds: float, pause_s: float) -> Told:
    told = Told()
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=60)
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as http:
        until = time.monotonic() + seconds
        visitors = [Visitor(http, url, person, told) for person in people]
        await asyncio.gather(*(visitor.stay(until, pause_s) for visitor in visitors))
    return told


@contextmanager
def api(folder: Path) -> Iterator[tuple[str, Settings, str]]:
    os.sched_setaffinity(0, {OTHER_CORE})  # what this process starts inherits it: PostgreSQL too
    with attach(folder / "postgres") as postgres:
        migrate(postgres.dsn)
        port = free_port()
        env = {
            "BURSAR_DATABASE_URL": postgres.dsn,
            "BURSAR_DATA_DIR": str(folder),
            "BURSAR_SECRET_KEY": SECRET_KEY,
            "BURSAR_PORT": str(port),
            "BURSAR_LOG_LEVEL": "warning",
        }
        os.environ.update(env)
        log = folder / "api.log"
        bursar = [PYTHON, "-m", "bursar.entrypoints.cli"]
        with (
            pinned(GATEWAY_CORE, [*bursar, "api"], env=env, log=log) as process,
            pinned(OTHER_CORE, [*bursar, "worker"], env=env, log=folder / "worker.log"),
        ):
            try:
                wait_for(f"http://127.0.0.1:{port}/api/v1/openapi.json", process)
                yield f"http://127.0.0.1:{port}", Settings.load(), postgres.dsn
            finally:
                said = log.read_text()
                if said:
                    print(said[-4000:], file=sys.stderr)


def percentile(values: list[float], part: float) -> float:
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * part))], 1)


def report(told: Told, options: argparse.Namespace) -> dict[str, Any]:
    every = [ms for values in told.took_ms.values() for ms in values]
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": machine(),
        "sessions": options.sessions,
        "seconds": options.seconds,
        "actions": len(every),
        "per_s": round(len(every) / options.seconds, 1),
        "p50_ms": percentile(every, 0.50),
        "p95_ms": percentile(every, 0.95),
        "p99_ms": percentile(every, 0.99),
        "failed": dict(told.failed),
        "p95_ms_of": {name: percentile(values, 0.95) for name, values in sorted(told.took_ms.items())},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=1_000)
    parser.add_argument("--seconds", type=int, default=300)
    parser.add_argument("--pause-s", type=float, default=10.0, help="between two actions of one person")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="bursar-bench-", ignore_cleanup_errors=True) as name,
        api(Path(name)) as (url, settings, dsn),
    ):

        async def run() -> Told:
            control = control_of(settings, dsn)
            people = await make_people(control, options.sessions)
            await control.close()
            return await visit(url, people, options.seconds, options.pause_s)

        told = asyncio.run(run())
    found = report(told, options)
    (HERE / "results" / "sessions.json").write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2))
    if found["failed"]:
        raise SystemExit("some actions failed")


if __name__ == "__main__":
    main()
