"""Official Anthropic clients of a customer, towards the server under test."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import anthropic
from operator_client import CALL_S_MAX, Customer


@contextmanager
def claude_client(customer: Customer, **options: Any) -> Iterator[anthropic.Anthropic]:
    """The blocking client; it never retries."""
    with anthropic.Anthropic(
        api_key=customer.key, base_url=customer.address, max_retries=0, timeout=CALL_S_MAX, **options
    ) as client:
        yield client


def async_claude_client(customer: Customer) -> anthropic.AsyncAnthropic:
    """The asynchronous client; use it with `async with`."""
    return anthropic.AsyncAnthropic(
        api_key=customer.key, base_url=customer.address, max_retries=0, timeout=CALL_S_MAX
    )


def text_of(message: Any) -> str:
    """The words of a message."""
    return "".join(block.text for block in message.content if block.type == "text")
