"""Logs are events: one name, then facts. Secrets never get in; what looks like one is masked."""

import logging
import re
import sys
from typing import Literal

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

MASK = "[hidden]"
# Names of facts that are secrets whatever they look like.
SECRET_NAMES = re.compile(
    r"secret|password|passwd|authorization|api_key$|token$|cookie|^(prompt|body|messages|content)$",
    re.IGNORECASE,
)
# Shapes that are secrets wherever they appear: keys as we and the providers write them, our tokens and the
# ends of our links, secrets of webhooks, passwords in URLs.
SECRET_SHAPES = re.compile(
    r"\b(?:llm_)?sk[-_][A-Za-z0-9_-]{8,}|\bbursar_[a-z]+_[A-Za-z0-9]{20,}|\bwhsec_[A-Za-z0-9+/=]{8,}"
    r"|\bBearer\s+\S+|\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9._-]+|(?<=://)[^/@\s:]+:[^/@\s]+(?=@)",
    re.IGNORECASE,
)


def without_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Hide facts by name, and anything inside a text that has the shape of a key."""
    return {
        name: MASK
        if SECRET_NAMES.search(name) and name != "event"
        else SECRET_SHAPES.sub(MASK, value)
        if isinstance(value, str)
        else value
        for name, value in event.items()
    }


def set_up(level: str, style: Literal["auto", "json", "text"]) -> None:
    """Send our events and the libraries' records to standard error, one line each."""
    text = style == "text" or (style == "auto" and sys.stderr.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        without_secrets,
    ]
    last: Processor = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
        if text
        else structlog.processors.JSONRenderer(sort_keys=False)
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for quiet in ("uvicorn.error", "aiohttp.access", "alembic", "asyncio"):
        logging.getLogger(quiet).setLevel(max(logging.WARNING, root.level))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *[step for step in shared if not isinstance(step, structlog.stdlib.ExtraAdder)],
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
