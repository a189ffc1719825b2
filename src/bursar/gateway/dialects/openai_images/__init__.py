"""OpenAI's image generations."""

from bursar.adapters.providers import Attempt, PassThrough, Provider
from bursar.gateway.dialects import Call, Exchange
from bursar.gateway.dialects.openai_chat.errors import error_body
from bursar.gateway.dialects.openai_images.passing import PassThroughImages
from bursar.gateway.dialects.openai_images.reading import DIALECT, read


class OpenAIImages:
    """`POST /v1/images/generations`."""

    name = DIALECT
    read = staticmethod(read)
    error_body = staticmethod(error_body)

    def passing(self, call: Call, provider: Provider, surface: PassThrough, attempt: Attempt) -> Exchange:
        return PassThroughImages(call, provider, surface, attempt)
