"""What teams and projects look like from outside."""

from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field, StringConstraints

from bursar.rest.fields import Body, Name, printable

TAGS_MAX: Final = 20
TAG_NAME_LENGTH_MAX: Final = 40
TAG_TEXT_LENGTH_MAX: Final = 100

TagName = Annotated[
    str,
    StringConstraints(
        min_length=1, max_length=TAG_NAME_LENGTH_MAX, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]*$"
    ),
]
TagText = Annotated[str, StringConstraints(max_length=TAG_TEXT_LENGTH_MAX), AfterValidator(printable)]
Tags = Annotated[
    dict[TagName, TagText],
    Field(
        max_length=TAGS_MAX,
        description="For whoever adds up costs; given as a whole.",
        examples=[{"cost-center": "42"}],
    ),
]
Archived = Annotated[bool, Field(description="`true`: out of use. `false`: back in use.")]


class NewTeam(Body):
    name: Name
    tags: Tags = Field(default_factory=dict)


class TeamChange(Body):
    """Only what is given changes."""

    name: Name | None = None
    tags: Tags | None = None
    archived: Archived | None = None


class Team(BaseModel):
    id: UUID
    organisation_id: UUID
    name: str = Field(description="No other team in use has it.")
    tags: dict[str, str]
    created_at: datetime
    archived_at: datetime | None


class NewProject(Body):
    name: Name
    team_id: UUID | None = Field(
        default=None, description="Absent: the team `Default`, made when first needed."
    )
    tags: Tags = Field(default_factory=dict)


class ProjectChange(TeamChange):
    team_id: UUID | None = Field(
        default=None, description="Another team: what was used until now stays with the old one."
    )


class Project(Team):
    team_id: UUID
    name: str = Field(description="No other project of the organisation in use has it.")
