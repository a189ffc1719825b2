"""Write `docs/permissions.md` from `core/permissions.py`; with `--check`, fail when it differs."""

import sys
from pathlib import Path

from bursar.core.permissions import (
    MEANINGS,
    RIGHTS,
    MemberRole,
    OperatorRole,
    Permission,
    may_give,
    member_permissions,
)
from generated import keep

TARGET = Path(__file__).parent.parent / "docs" / "permissions.md"
HAS, LACKS = "✓", ""
INTRODUCTION = """\
# Roles and permissions

Written by `make permissions-doc` from `src/bursar/core/permissions.py`; `make check` fails when it is out of
date. Every route under `/api/v1` names the one permission it asks for, is for whoever is signed in, or says
why it is open to everybody. Roles are looked up at each request: one that is taken away counts at once.

A member's role holds in one organisation, and he may be a member of several. Other organisations do not
exist for him: what is theirs is answered with `404`. An organisation has no members or exactly one owner. An
operator's role holds in every organisation and for what belongs to none; operators sign in with a second
factor. `support` reads only, and sees personal data masked.
"""
GIVING = """
## Who may give which role

An invitation or a change of role gives no more than the giver has, and takes no role that he could not give.
Ownership changes hands by `POST /organisations/{organisation_id}/ownership` only: the owner before becomes an
administrator. An operator invites the owner of an organisation that has no members.

"""


def row(*columns: str) -> str:
    return f"| {' | '.join(columns)} |\n"


def mark(is_there: bool) -> str:  # noqa: FBT001 - a table's cell
    return HAS if is_there else LACKS


def members_table() -> str:
    """What belongs to an organisation: members, and operators who look after them."""
    written = row("Permission", "", *MemberRole, *OperatorRole)
    written += row("---", "---", *[":-:"] * (len(MemberRole) + len(OperatorRole)))
    for permission in Permission:
        right = RIGHTS[permission]
        if right.members:
            cells = [mark(role in right.members) for role in MemberRole]
            cells += [mark(role in right.operators) for role in OperatorRole]
            written += row(f"`{permission}`", MEANINGS[permission], *cells)
    return written


def operators_table() -> str:
    """What belongs to nobody but the operator."""
    written = row("Permission", "", *OperatorRole) + row("---", "---", *[":-:"] * len(OperatorRole))
    for permission in Permission:
        right = RIGHTS[permission]
        if not right.members:
            cells = [mark(role in right.operators) for role in OperatorRole]
            written += row(f"`{permission}`", MEANINGS[permission], *cells)
    return written


def giving_table() -> str:
    written = row("", *MemberRole) + row("---", *[":-:"] * len(MemberRole))
    for giver in MemberRole:
        if Permission.MEMBERS_MANAGE in member_permissions(giver):
            written += row(f"`{giver}` gives", *[mark(may_give(giver, role)) for role in MemberRole])
    return written


def document() -> str:
    return (
        INTRODUCTION
        + "\n## In an organisation\n\n"
        + members_table()
        + "\n## Operators only\n\n"
        + operators_table()
        + GIVING
        + giving_table()
    )


if __name__ == "__main__":
    sys.exit(keep(TARGET, document().encode(), changed="permissions", command="make permissions-doc"))
