"""Reading a whole answer within a limit: the same for every client."""

from typing import Protocol

from bursar.adapters.upstream import UpstreamTooLarge


class Chunked(Protocol):
    """An answer that comes in chunks; `is_done` after its last one."""

    is_done: bool

    async def chunk(self) -> bytes: ...
    def close(self) -> None: ...


async def read_within(answer: Chunked, declared_bytes: int | None, limit_bytes: int) -> bytes:
    """The whole body; closes the answer and raises `UpstreamTooLarge` when it passes the limit."""
    if declared_bytes is not None and declared_bytes > limit_bytes:
        answer.close()
        raise UpstreamTooLarge(f"answer of {declared_bytes} bytes", sent=True)
    parts = []
    size = 0
    while not answer.is_done:
        part = await answer.chunk()
        size += len(part)
        if size > limit_bytes:
            answer.close()
            raise UpstreamTooLarge(f"answer of more than {limit_bytes} bytes", sent=True)
        parts.append(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)
