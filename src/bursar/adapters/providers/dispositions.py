"""The words in which adapters declare what becomes of each property of OpenAI's chat request.

A table's keys are paths: `temperature`, `stream_options.include_usage`, `messages[].content[].type=file`. A
path that ends in `=value` speaks of that one value. Tests walk the published schema and refuse a property
without an entry, and send every entry through an adapter to see it kept.
"""

from typing import Any

from bursar.adapters.providers import Disposition, Rule


def forwarded(why: str = "") -> Rule:
    """Sent as it is (or as the field of the same meaning and values)."""
    return Rule(Disposition.FORWARDED, why)


def translated(why: str) -> Rule:
    """Sent in the provider's own words."""
    return Rule(Disposition.TRANSLATED, why)


def refused(why: str, *, neutral: tuple[Any, ...] = ()) -> Rule:
    """Told to the caller as `unsupported_parameter`, unless its value is one of `neutral`."""
    return Rule(Disposition.REFUSED, why, neutral)


def ignored(why: str) -> Rule:
    """Left out, which changes nothing that the caller could notice in the answer."""
    return Rule(Disposition.IGNORED, why)
