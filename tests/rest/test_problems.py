"""Failures become problem+json with stable codes, without a database."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated

import httpx2
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy.exc import DataError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from bursar.rest import problems
from bursar.rest.body_limit import BodyLimit
from bursar.rest.fields import Body, Email, ModelName, Moment, Name
from bursar.rest.paging import Paging, bigint, read_cursor, uuid_key, write_cursor


class Thing(Body):
    name: Name
    email: Email | None = None
    model: ModelName | None = None
    when: Moment | None = None
    secret: Annotated[SecretStr | None, None] = None


class Odd(problems.Conflict):
    code = "odd"


def make_app() -> FastAPI:
    app = FastAPI()
    app.add_middleware(BodyLimit, bytes_max=1000)
    problems.install(app)
    failures: dict[str, Exception] = {
        "refused": Odd("It is odd.", parity=1),
        "unforeseen": RuntimeError("secret detail"),
        "data": DataError("select 1", {}, ValueError("x")),
        "integrity": IntegrityError("insert", {}, ValueError("x")),
        "operational": OperationalError("select", {}, OSError("no route to 10.0.0.5")),
        "pool": PoolTimeoutError("pool"),
    }

    @app.post("/things")
    async def make(thing: Thing) -> dict[str, str]:
        return {"name": thing.name}

    @app.get("/fail/{how}")
    async def fail(how: str) -> None:
        raise failures[how]

    @app.get("/page")
    async def page(paging: Paging) -> dict[str, int | None]:
        return {"limit": paging.limit, "after": paging.after(bigint)}

    return app


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=make_app(), raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


class TestProblems:
    @pytest.mark.parametrize(
        ("path", "status", "code"),
        [
            ("/fail/refused", 409, "odd"),
            ("/fail/unforeseen", 500, "internal_error"),
            ("/fail/data", 422, "invalid_request"),
            ("/fail/integrity", 409, "conflict"),
            ("/fail/operational", 503, "books_unavailable"),
            ("/fail/pool", 503, "books_unavailable"),
            ("/nowhere", 404, "not_found"),
            ("/things", 405, "method_not_allowed"),
            ("/page?limit=0", 422, "invalid_request"),
            ("/page?limit=201", 422, "invalid_request"),
            ("/page?limit=many", 422, "invalid_request"),
            ("/page?limit=99999999999999999999999", 422, "invalid_request"),
            ("/page?cursor=@@@", 422, "invalid_cursor"),
            ("/page?cursor=" + "A" * 300, 422, "invalid_request"),
            ("/page?cursor=" + write_cursor("-1"), 422, "invalid_cursor"),
            ("/page?cursor=" + write_cursor(2**63), 422, "invalid_cursor"),
            ("/page?cursor=%C3%A9", 422, "invalid_cursor"),
        ],
    )
    async def test_each_failure_has_its_code(
        self, client: httpx2.AsyncClient, path: str, status: int, code: str
    ) -> None:
        answer = await client.get(path)
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        body = answer.json()
        assert (body["code"], body["status"], body["type"]) == (code, status, f"urn:bursar:problem:{code}")
        assert "10.0.0.5" not in answer.text
        assert "secret detail" not in answer.text

    async def test_members_of_a_refusal_are_shown(self, client: httpx2.AsyncClient) -> None:
        body = (await client.get("/fail/refused")).json()
        assert (body["detail"], body["parity"]) == ("It is odd.", 1)

    async def test_an_unreachable_database_says_when_to_retry(self, client: httpx2.AsyncClient) -> None:
        assert (await client.get("/fail/operational")).headers["retry-after"] == "2"

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{",
            b"[]",
            b"null",
            b'"x"',
            b"{}",
            b'{"name": 1}',
            b'{"name": ""}',
            b'{"name": "   "}',
            b'{"name": "a\\u0000b"}',
            b'{"name": "a\\ud800b"}',
            b'{"name": "ok", "email": "no at"}',
            b'{"name": "ok", "email": "a@b"}',
            b'{"name": "ok", "model": "a b"}',
            b'{"name": "ok", "model": "\'; drop table x"}',
            b'{"name": "ok", "when": "yesterday"}',
            b'{"name": "ok", "when": "2026-01-01T00:00:00"}',
            b'{"name": "ok", "when": "0001-01-01T00:00:00Z"}',
            b'{"name": "ok", "nmae": "misspelt"}',
            b'{"name": "' + b"n" * 101 + b'"}',
            b"\xff\xfe",
            b"[" * 400,
            b'{"name": ' + b"9" * 900 + b"}",
        ],
    )
    async def test_a_body_that_does_not_fit_is_refused(self, client: httpx2.AsyncClient, body: bytes) -> None:
        answer = await client.post("/things", content=body, headers={"content-type": "application/json"})
        assert answer.status_code in {400, 422}
        assert answer.json()["code"] == "invalid_request"

    async def test_a_secret_is_never_echoed(self, client: httpx2.AsyncClient) -> None:
        answer = await client.post("/things", json={"name": "ok", "secret": ["sk-very-secret"]})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["at"] == "body.secret"
        assert "sk-very-secret" not in answer.text

    async def test_a_long_body_is_refused(self, client: httpx2.AsyncClient) -> None:
        answer = await client.post("/things", content=b'{"name": "' + b"x" * 1000 + b'"}')
        assert (answer.status_code, answer.json()["code"]) == (413, "request_too_large")

    async def test_a_long_body_without_a_length_is_refused(self, client: httpx2.AsyncClient) -> None:
        async def endless() -> AsyncIterator[bytes]:
            for _ in range(100):
                yield b"x" * 100

        answer = await client.post("/things", content=endless())
        assert answer.status_code == 413

    async def test_a_body_in_pieces_is_read_whole(self, client: httpx2.AsyncClient) -> None:
        async def pieces() -> AsyncIterator[bytes]:
            for piece in (b'{"na', b'me": "', b"ok", b'"}'):
                yield piece

        answer = await client.post("/things", content=pieces(), headers={"content-type": "application/json"})
        assert answer.json() == {"name": "ok"}


class TestCursors:
    def test_come_back_as_they_went(self) -> None:
        assert read_cursor(write_cursor(42), bigint) == 42

    def test_of_another_listing_are_refused(self) -> None:
        with pytest.raises(problems.Refusal) as refused:
            read_cursor(write_cursor(42), uuid_key)
        assert refused.value.code == "invalid_cursor"


class TestMoments:
    @pytest.mark.parametrize("unix_ms", [0, 1, 999, 1_700_000_000_123, 4_102_444_800_000])
    def test_keep_their_milliseconds(self, unix_ms: int) -> None:
        from bursar.rest.fields import moment_of_ms, ms_of_moment

        moment = moment_of_ms(unix_ms)
        assert isinstance(moment, datetime)
        assert ms_of_moment(moment) == unix_ms
