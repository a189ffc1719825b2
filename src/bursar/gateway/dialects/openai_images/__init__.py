"""OpenAI's image generations."""

from collections.abc import Mapping
from typing import Any

from bursar.adapters.providers import Attempt, PassThrough, Provider
from bursar.gateway.dialects import Asked, Call, Exchange
from bursar.gateway.dialects.openai_chat.errors import error_body
from bursar.gateway.dialects.openai_images.passing import PassThroughImages
from bursar.gateway.dialects.openai_images.reading import DIALECT, read


class OpenAIImages:
    """`POST /v1/images/generations`."""

    name = DIALECT

    def read(self, body: bytes, asked: Asked) -> Call:
        return read(body, asked)

    def passing(self, call: Call, provider: Provider, surface: PassThrough, attempt: Attempt) -> Exchange:
        return PassThroughImages(call, provider, surface, attempt)

    def error_body(
        self,
        status: int,
        code: str,
        message: str,
        param: str | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> bytes:
        return error_body(status, code, message, param, extra)
