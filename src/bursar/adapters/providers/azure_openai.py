"""OpenAI's models at Azure.

Source: Azure OpenAI's REST reference. The deployment's name is in the path and the API's version in the
query; a base URL that ends in `/v1` means the newer API, which has neither and takes the deployment's name as
the model's. The key goes in a header of its own; a token of Entra ID goes as a bearer's.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import orjson

from bursar.adapters.providers import Attempt, UpstreamRequest
from bursar.adapters.providers.openai import DISPOSITION, STYLE
from bursar.adapters.providers.openai_chat import PATH, ChatServer, bearer, refusals
from bursar.adapters.providers.openai_embeddings import Embeddings
from bursar.adapters.providers.openai_images import Images
from bursar.adapters.providers.openai_responses import ResponsesSurface

API_VERSION = "2024-10-21"
"""The newest version of the dated API that is not a preview."""
_TOKEN = "eyJ"  # noqa: S105 - how every token of Entra ID begins


def send(path: str, body: Mapping[str, Any], attempt: Attempt) -> UpstreamRequest:
    """A request to one deployment, in whichever of the two ways the base URL means."""
    if not attempt.deployment.base_url.endswith("/v1"):
        name = quote(attempt.deployment.provider_model, safe="")
        path = f"/deployments/{name}{path}?api-version={API_VERSION}"
    return UpstreamRequest(path=path, headers=_headers(attempt.secret), body=orjson.dumps(body))


def send_response(path: str, body: Mapping[str, Any], attempt: Attempt) -> UpstreamRequest:
    """Responses are of the newer API only, which every resource has: below `/v1`, without a version."""
    newer = "" if attempt.deployment.base_url.endswith("/v1") else "/v1"
    return UpstreamRequest(path=newer + path, headers=_headers(attempt.secret), body=orjson.dumps(body))


def _headers(secret: str) -> dict[str, str]:
    if secret.startswith(_TOKEN):
        return bearer(secret)
    return {"api-key": secret, "content-type": "application/json"}


class AzureOpenAI(ChatServer):
    """Provider type `azure_openai`.

    Its base URL is `https://<resource>.openai.azure.com/openai` or the same with `/v1`.
    """

    kind = "azure_openai"
    style = STYLE
    dispositions = DISPOSITION
    refused = refusals(DISPOSITION)

    embeddings = Embeddings(send)
    images = Images(send)
    responses = ResponsesSurface(send_response)

    def _request(self, body: Mapping[str, Any], attempt: Attempt) -> UpstreamRequest:
        return send(PATH, body, attempt)
