"""Problems in the language the caller reads; what programs read is the same in all of them."""

from collections.abc import AsyncIterator

import httpx2
import pytest
from fastapi import FastAPI

from bursar.features.keys.service import KeyNotFound
from bursar.rest import problems
from bursar.rest.body_limit import BodyLimit
from bursar.rest.callers import NotAuthenticated


def make_app() -> FastAPI:
    app = FastAPI()
    app.add_middleware(BodyLimit, bytes_max=100)
    problems.install(app)

    @app.get("/key")
    async def key() -> None:
        raise KeyNotFound

    @app.get("/secret")
    async def secret() -> None:
        raise NotAuthenticated

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("a bug")

    @app.get("/limit")
    async def limit(limit: int) -> int:
        return limit

    return app


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=make_app(), raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


class TestProblemLanguages:
    @pytest.mark.parametrize(
        ("accept", "language", "title", "detail"),
        [
            (None, "en", "Not Found", "This organisation has no key with this id."),
            ("fr", "en", "Not Found", "This organisation has no key with this id."),
            ("ko-KR,ko;q=0.9", "ko", "찾을 수 없음", "이 조직에는 해당 ID의 API Key가 없습니다."),
            ("zh-CN,zh;q=0.9,en;q=0.8", "zh", "未找到", "此组织没有该 ID 的密钥。"),
        ],
    )
    async def test_title_and_detail_are_in_the_callers_language(
        self, client: httpx2.AsyncClient, accept: str | None, language: str, title: str, detail: str
    ) -> None:
        answer = await client.get("/key", headers={"accept-language": accept} if accept else {})
        body = answer.json()
        assert (body["title"], body["detail"]) == (title, detail)
        assert (body["code"], body["type"]) == ("key_not_found", "urn:bursar:problem:key_not_found")
        assert (answer.headers["content-language"], answer.headers["vary"]) == (language, "accept-language")

    @pytest.mark.parametrize(
        ("path", "detail"),
        [
            ("/nowhere", "찾을 수 없습니다."),
            ("/broken", "예상하지 못한 오류가 발생했으며 기록되었습니다."),
            ("/limit", "요청이 올바르지 않습니다. (query.limit: Field required)"),
        ],
    )
    async def test_every_way_to_fail_is_told(
        self, client: httpx2.AsyncClient, path: str, detail: str
    ) -> None:
        answer = await client.get(path, headers={"accept-language": "ko"})
        assert answer.json()["detail"] == detail

    async def test_a_long_body_is_told(self, client: httpx2.AsyncClient) -> None:
        answer = await client.post("/key", content=b"x" * 101, headers={"accept-language": "zh"})
        assert (answer.status_code, answer.json()["detail"]) == (413, "请求体超过 100 字节。")

    async def test_headers_of_a_refusal_stay(self, client: httpx2.AsyncClient) -> None:
        answer = await client.get("/secret", headers={"accept-language": "zh"})
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.headers["content-language"] == "zh"
