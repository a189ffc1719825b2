"""Find what a person names: an id, or a name that means one thing."""

from uuid import UUID

from bursar.db.engine import ReadSession, Transaction
from bursar.entrypoints.commands.session import EXIT_USAGE, id_in, refuse
from bursar.features.limits import service as limits
from bursar.features.organisations import service as organisations
from bursar.features.projects import service as projects
from bursar.features.providers import service as providers


async def organisation_id(read: ReadSession | Transaction, named: str) -> UUID:
    """Raises `OrganisationNotFound` or `OrganisationAmbiguous`."""
    return id_in(named) or await organisations.find_organisation(read, named)


def only_one(**named: str | None) -> dict[str, str]:
    """What was named of `--member`, `--project`, `--team` and `--key`: one of them at most."""
    given = {kind: text for kind, text in named.items() if text is not None}
    if len(given) > 1:
        refuse("invalid_request", f"--{' and --'.join(given)}: name one of them", EXIT_USAGE)
    return given


async def group_of(
    read: ReadSession | Transaction, organisation: UUID, given: dict[str, str]
) -> limits.Group | None:
    """The member, project or team that `only_one` found named. Raises what says that there is none."""
    for kind in limits.NOT_FOUND:
        if kind in given:
            found = id_in(given[kind])
            if found is not None:
                return limits.Group(kind, organisation, found)
            return await limits.find_group(read, kind, organisation, given[kind])
    return None


async def team_id(read: ReadSession | Transaction, organisation: UUID, named: str) -> UUID:
    """Raises `TeamNotFound`."""
    return id_in(named) or await projects.find_team(read, organisation, named)


async def project_id(read: ReadSession | Transaction, organisation: UUID, named: str) -> UUID:
    """Raises `ProjectNotFound`."""
    return id_in(named) or await projects.find_project(read, organisation, named)


async def provider_id(read: ReadSession | Transaction, named: str) -> UUID:
    """Raises `ProviderNotFound`."""
    return id_in(named) or (await providers.find_provider(read, named)).id
