"""Authlib's OAuth 2.0 client over our own fetching.

Its integrations bring an HTTP client each (requests, httpx) that would follow the addresses of strangers
without our guard; what it knows of the protocol needs none of them.
"""

from collections.abc import Mapping
from typing import Any, Final

from authlib.common.errors import AuthlibBaseError
from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.client import OAuth2Client

from bursar.adapters.identity import Attempt, IdentityRefused, IdentityUnavailable, Source
from bursar.adapters.identity.fetching import Fetcher

FAILED: Final = 500


class Exchange(OAuth2Client):  # type: ignore[misc]  # Authlib has no types
    """One attempt at one source."""

    def __init__(self, fetcher: Fetcher, source: Source, attempt: Attempt, *, scope: str, auth: str) -> None:
        super().__init__(
            None,
            client_id=source.client_id,
            client_secret=source.client_secret,
            token_endpoint_auth_method=auth,
            scope=scope,
            redirect_uri=attempt.redirect_uri,
            code_challenge_method="S256",
        )
        self._fetcher = fetcher
        self._source = source
        self._attempt = attempt

    def authorization_url(self, endpoint: str, **more: str) -> str:
        """Where the browser goes."""
        url, _ = self.create_authorization_url(
            endpoint, state=self._attempt.state, code_verifier=self._attempt.verifier, **more
        )
        return str(url)

    async def tokens(self, endpoint: str, code: str) -> dict[str, Any]:
        """What the code is worth. Raises `IdentityRefused`, `IdentityUnavailable`."""
        try:
            found = await self.fetch_token(
                endpoint,
                grant_type="authorization_code",
                code=code,
                code_verifier=self._attempt.verifier,
            )
        except AuthlibBaseError as error:
            raise IdentityRefused(f"{self._source.key}: {error.error}") from error
        return dict(found)

    async def _fetch_token(
        self,
        url: str,
        body: str = "",
        headers: Mapping[str, str] | None = None,
        auth: ClientAuth = None,
        method: str = "POST",
    ) -> dict[str, Any]:
        """As Authlib's own asynchronous client does it."""
        url, sent, body = auth.prepare(method, url, dict(headers or {}), body)
        status, answer = await self._fetcher.post(
            url, is_guarded=self._source.is_guarded, headers=sent, body=body
        )
        if status >= FAILED or not isinstance(answer, dict):
            raise IdentityUnavailable(f"{self._source.key}: status {status} from where tokens are had")
        if "error" in answer or not isinstance(answer.get("access_token"), str):
            raise IdentityRefused(f"{self._source.key}: no token for this code")
        return answer
