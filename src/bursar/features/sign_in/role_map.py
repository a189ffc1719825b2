"""What somebody is in an organisation, by what its issuer says of him. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from bursar.core.permissions import GIVEN_ROLES, MemberRole

RANK: Final = (MemberRole.ADMIN, MemberRole.DEVELOPER, MemberRole.BILLING, MemberRole.VIEWER)
"""Who has several roles gets the first of these."""


def role_of(
    claims: Mapping[str, Any], *, claim: str, mapped: Mapping[str, str], default: MemberRole | None
) -> MemberRole | None:
    """None: he is nothing there. Nobody becomes an owner by a claim, whatever the map says.

    `claim`: its name, such as `groups`; one text or a list of them.
    """
    said = claims.get(claim) if claim else None
    values = said if isinstance(said, list) else [said]
    roles = {mapped[value] for value in values if isinstance(value, str) and value in mapped}
    return next((role for role in RANK if role.value in roles and role in GIVEN_ROLES), default)
