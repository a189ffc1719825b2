"""Run a service from the command line: settings, database, one transaction, and failures as one line."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, NoReturn, TypeVar
from uuid import UUID

import orjson
import typer
from pydantic import BaseModel, ValidationError
from sqlalchemy.exc import DBAPIError

from bursar.db.engine import ReadSession, Transaction
from bursar.entrypoints import logs
from bursar.entrypoints.api import control_of
from bursar.entrypoints.database import database
from bursar.rest.control import Control
from bursar.rest.paging import PageAsked
from bursar.rest.problems import Refusal, refusal_of
from bursar.settings import Settings

EXIT_REFUSED = 1
EXIT_USAGE = 2

Result = TypeVar("Result")
Asked = TypeVar("Asked", bound=BaseModel)


def transact(work: Callable[[Control, Transaction], Awaitable[Result]]) -> Result:
    """Run `work` as the operator in one transaction."""

    async def run(control: Control) -> Result:
        async with control.database.transaction(operator=True) as tx:
            return await work(control, tx)

    return _run(run)


def look(work: Callable[[Control, ReadSession], Awaitable[Result]]) -> Result:
    """Run `work` as the operator; it can only read."""

    async def run(control: Control) -> Result:
        async with control.database.read(operator=True) as read:
            return await work(control, read)

    return _run(run)


def asked(kind: type[Asked], **values: Any) -> Asked:
    """Check what was typed as a request body is checked; absent options stay absent."""
    given = {name: value for name, value in values.items() if value is not None}
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        refuse(
            "invalid_request", f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}", EXIT_USAGE
        )


def page(limit: int, cursor: str | None) -> PageAsked:
    return PageAsked(limit=limit, cursor=cursor)


def id_in(text: str) -> UUID | None:
    """The id that `text` is, or None when it must be a name."""
    try:
        return UUID(text)
    except ValueError:
        return None


def a_uuid(text: str, what: str) -> UUID:
    """The id that `text` must be."""
    found = id_in(text)
    if found is None:
        refuse("invalid_request", f"{what} must be an id", EXIT_USAGE)
    return found


def refuse(code: str, detail: str, exit_code: int = EXIT_REFUSED) -> NoReturn:
    """Say it on standard error: a line for people, JSON when `--json` was asked for."""
    if "--json" in sys.argv:
        typer.echo(orjson.dumps({"code": code, "detail": detail}).decode(), err=True)
    else:
        typer.echo(f"bursar: {detail}", err=True)
    raise typer.Exit(exit_code)


def _run(work: Callable[[Control], Awaitable[Result]]) -> Result:
    settings = Settings.load()
    logs.set_up(settings.log_level, settings.log_format)
    with database(settings) as dsn:
        try:
            return asyncio.run(_with_control(settings, settings.dsn_of("api", dsn), work))
        except (Refusal, DBAPIError) as error:
            refusal = refusal_of(error)
            if refusal is None:
                raise
            refuse(refusal.code, refusal.detail)


async def _with_control(settings: Settings, url: str, work: Callable[[Control], Awaitable[Result]]) -> Result:
    async with _control(settings, url) as control:
        return await work(control)


@asynccontextmanager
async def _control(settings: Settings, url: str) -> AsyncIterator[Control]:
    control = control_of(settings, url)
    try:
        yield control
    finally:
        await control.database.close()
