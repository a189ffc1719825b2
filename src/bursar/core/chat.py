"""The canonical form of a chat: what every dialect is read into and written from when it is translated."""


class BadRequest(ValueError):
    """The caller's request cannot be served as written; told to him in his own dialect's error shape."""

    def __init__(
        self, message: str, *, code: str = "invalid_request", param: str | None = None, status: int = 422
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.param = param
        self.message = message
