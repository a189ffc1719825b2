"""What members and invitations look like from outside."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field, StringConstraints

from bursar.core.messages import Language
from bursar.core.permissions import MemberRole
from bursar.rest.fields import Body, Email

# A token is shorter; anything longer is not one and need not be hashed.
TOKEN_LENGTH_MAX = 200

InvitationStatus = Literal["open", "accepted", "revoked", "expired"]
LowerEmail = Annotated[Email, AfterValidator(str.lower)]


class Member(BaseModel):
    user_id: UUID
    name: str
    email: str
    role: MemberRole
    joined_at: datetime
    two_factor: bool = Field(description="Signs in with a second factor.")


class RoleChange(Body):
    role: MemberRole = Field(description="Any but `owner`: ownership is transferred.")


class Removed(BaseModel):
    user_id: UUID
    keys_revoked: int = Field(description="Of the keys he made; the others work on.")


class Transfer(Body):
    user_id: UUID = Field(description="A member. The owner before him becomes an administrator.")


class NewInvitation(Body):
    email: LowerEmail
    role: MemberRole = Field(
        description="No more than your own. `owner`: by an operator, for an organisation without members."
    )
    locale: Language | None = Field(default=None, description="Of the mail. Absent: your own.")


class Invitation(BaseModel):
    id: UUID
    organisation_id: UUID
    email: str
    role: MemberRole
    status: InvitationStatus
    invited_by: UUID | None = Field(description="A member; null: the operator.")
    created_at: datetime
    sent_at: datetime = Field(description="When its mail was last asked for.")
    expires_at: datetime


class InvitationToken(Body):
    token: Annotated[str, StringConstraints(min_length=1, max_length=TOKEN_LENGTH_MAX)] = Field(
        description="What the link in the mail ends in."
    )


class InvitationOffer(BaseModel):
    """What an invitation offers, for whoever holds its token."""

    organisation_id: UUID
    organisation_name: str
    email: str = Field(description="The one address whose owner may accept it.")
    role: MemberRole
    inviter: str | None
    expires_at: datetime


class Joined(BaseModel):
    """A membership, new."""

    organisation_id: UUID
    user_id: UUID
    role: MemberRole
    joined_at: datetime
