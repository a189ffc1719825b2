"""What API keys look like from outside."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints

from bursar.rest.fields import MODEL_LENGTH_MAX, Body, Moment, Name

# One key is for one program; a longer list is better said with a pattern.
ALLOWED_MODELS_MAX = 200
REQUESTS_PER_MINUTE_MAX = 1_000_000
GRACE_PERIOD_S_DEFAULT = 24 * 3600
GRACE_PERIOD_S_MAX = 30 * 24 * 3600

ModelPattern = Annotated[
    str,
    StringConstraints(
        min_length=1, max_length=MODEL_LENGTH_MAX, pattern=r"^[A-Za-z0-9*?][A-Za-z0-9._:/@+*?-]*$"
    ),
    Field(description="A model's name or alias, or a pattern such as `claude-*`.", examples=["gpt-4o"]),
]
AllowedModels = Annotated[list[ModelPattern], Field(max_length=ALLOWED_MODELS_MAX)]
RequestsPerMinute = Annotated[int, Field(ge=1, le=REQUESTS_PER_MINUTE_MAX)]


class NewKey(Body):
    name: Name
    project_id: UUID | None = Field(
        default=None, description="Absent: the project `Default`, made when first needed."
    )
    allowed_models: AllowedModels | None = Field(default=None, description="Absent: every model.")
    requests_per_minute: RequestsPerMinute | None = Field(
        default=None, description="Absent: the installation's default."
    )
    expires_at: Moment | None = Field(default=None, description="Absent: never.")


class KeyChange(Body):
    """Only what is given changes; `null` lifts a restriction."""

    name: Name | None = None
    project_id: UUID | None = Field(
        default=None, description="Another project: what was used until now stays with the old one."
    )
    allowed_models: AllowedModels | None = None
    requests_per_minute: RequestsPerMinute | None = None
    expires_at: Moment | None = None


class Rotation(Body):
    grace_period_s: int = Field(
        default=GRACE_PERIOD_S_DEFAULT,
        ge=0,
        le=GRACE_PERIOD_S_MAX,
        description="How long the old key still works, in seconds.",
    )


class Key(BaseModel):
    id: UUID
    organisation_id: UUID
    project_id: UUID | None = Field(description="`null`: a key of before there were projects.")
    name: str
    visible: str = Field(description="The first 13 characters, to recognise it by.")
    active: bool = Field(description="Not revoked. An expired key stays active and opens nothing.")
    allowed_models: list[str] | None
    requests_per_minute: int | None
    created_at: datetime
    created_by: UUID | None = Field(description="Whose it is; null: an operator made it.")
    expires_at: datetime | None
    revoked_at: datetime | None
    rotated_from: UUID | None


class IssuedKey(Key):
    secret: str = Field(description="The key itself. Shown this once; only its hash is kept.")
