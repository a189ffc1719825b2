"""Personal data made unreadable, for eyes that need the rest of an answer only.

Mail addresses and network addresses are found by their shape, wherever they stand; names of people by what
stands beside them, because a name has no shape. What is masked stays recognisable to who knows it:
`ann@acme.example` is `a***@a***.example`.
"""

import re
from collections.abc import Mapping, Sequence
from ipaddress import ip_address, ip_network
from typing import Any, Final

EMAIL: Final = re.compile(r"[^\s@<>()\[\],;:\\\"]{1,64}@(?:[\w-]{1,63}\.)+[\w-]{2,63}")
IPV4: Final = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?:/\d{1,2})?(?![\w.]*\d)")
IPV6: Final = re.compile(r"(?<![\w:.])(?:[0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F.]{0,15}(?:/\d{1,3})?(?![\w:])")
NAME: Final = "name"
PEOPLE_HAVE: Final = frozenset({"email", "address", "user_agent"})
"""An object with one of these is a person, a sign-in or an actor: its name is somebody's."""

PEOPLE_ARE: Final = frozenset({"app_user", "sign_up", "invitation", "linked_identity", "operator_token"})
"""Subjects of the audit log: what changed of them is somebody's, even a name that stands alone."""

HIDDEN: Final = "***"


def masked(value: Any, *, is_somebody: bool = False) -> Any:
    """The same JSON with what is personal masked. `is_somebody`: a name in it is a person's."""
    match value:
        case str():
            return masked_text(value)
        case Mapping():
            is_somebody = (
                is_somebody or value.get("subject") in PEOPLE_ARE or bool(PEOPLE_HAVE & value.keys())
            )
            return {key: _masked_member(key, one, is_somebody) for key, one in value.items()}
        case Sequence():
            return [masked(one, is_somebody=is_somebody) for one in value]
        case _:
            return value


def _masked_member(key: str, value: Any, is_somebody: bool) -> Any:  # noqa: FBT001 - as `masked` takes it
    if is_somebody and key == NAME and isinstance(value, str):
        return masked_name(value)
    return masked(value, is_somebody=is_somebody)


def masked_text(text: str) -> str:
    """Mask every mail address and network address in a text."""
    if "@" in text:
        text = EMAIL.sub(lambda found: _masked_email(found.group()), text)
    if "." in text:
        text = IPV4.sub(lambda found: _masked_address(found.group()), text)
    return IPV6.sub(lambda found: _masked_address(found.group()), text) if ":" in text else text


def masked_name(name: str) -> str:
    return name[:1] + HIDDEN if name else ""


def _masked_email(email: str) -> str:
    local, _, domain = email.rpartition("@")
    return f"{local[:1]}{HIDDEN}@{domain[:1]}{HIDDEN}.{domain.rpartition('.')[2]}"


def _masked_address(text: str) -> str:
    """What only looks like an address, such as a time of day, stays."""
    try:
        (ip_network(text, strict=False) if "/" in text else ip_address(text))
    except ValueError:
        return text
    mark = ":" if ":" in text else "."
    return text.partition(mark)[0] + mark + HIDDEN
