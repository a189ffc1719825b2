"""What an entry of the audit log looks like from outside."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

ActorKind = Literal["member", "operator", "token", "cli", "system", "visitor", "database"]
Action = Literal["insert", "update", "delete", "import", "erase"]
Format = Literal["json", "csv"]


class Actor(BaseModel):
    """Who did it. An organisation sees of an operator only that it was one."""

    kind: str = Field(
        description="member, operator, token (of an operator), cli, system, visitor (not signed in yet) or "
        "database (somebody with SQL)."
    )
    id: UUID | None = Field(description="The person's, or the token's.")
    name: str | None = Field(description="A mail address, a token's name, or an account and its machine.")
    address: str | None = Field(description="Where from.")


class AuditEntry(BaseModel):
    """One change of one row, or one import."""

    id: int
    at: datetime
    organisation_id: UUID | None
    actor: Actor
    action: Action
    subject: str = Field(description="What kind of thing, as its table is called.", examples=["api_key"])
    subject_id: str
    before: dict[str, Any] = Field(description="Of what changed; secrets are `***`.")
    after: dict[str, Any]
    erased: bool = Field(description="Names and addresses were here, and were erased.")
    seq: int | None = Field(description="Its number in the chain; absent for a second after it was written.")
    hash: str | None = Field(description="Of this entry and all before it.")
