"""What aiohttp's connections must do beyond aiohttp: close at once, and never mix up answers.

`ResponseHandler` and the connector's `_factory` are not aiohttp's public interface; the contract tests of the
clients fail when an update changes them.
"""

import asyncio
from functools import partial
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler

from bursar.adapters.upstream.connection import drop_unsent

OK_MIN = 200


class Handler(ResponseHandler):
    """Knows whether an answer is due: bytes that nobody asked for end the connection."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._is_due = False
        self._has_bytes = False

    def set_response_params(self, **params: Any) -> None:
        self._is_due = True
        self._has_bytes = False
        super().set_response_params(**params)

    def data_received(self, data: bytes) -> None:
        if data and not self._is_due and (self._payload is None or self._payload.is_eof()):
            self.abort()
            return
        self._has_bytes = True
        super().data_received(data)

    def feed_data(self, item: Any, size: int = 0) -> None:
        if not self._is_due:  # a second answer to the only request
            self.force_close()
            return
        self._is_due = item[0].code < OK_MIN
        super().feed_data(item, size)

    def set_exception(self, exc: Any, *cause: Any) -> None:
        if self._has_bytes and isinstance(exc, (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)):
            exc = aiohttp.ClientPayloadError("the answer broke off")  # so that nobody sends the request again
        super().set_exception(exc, *cause)

    def abort(self) -> None:
        if self.transport is not None:
            drop_unsent(self.transport)
        super().abort()

    def close(self) -> None:
        """At once, unsent bytes and farewells of TLS or not."""
        self.abort()


class Connector(aiohttp.TCPConnector):
    """Makes connections of the kind above."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._factory = partial(Handler, loop=self._loop)  # type: ignore[assignment]  # a subclass's maker
