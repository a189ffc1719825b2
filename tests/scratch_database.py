"""The database that the fixture `database` hands to a test."""

from dataclasses import dataclass

from bursar.db.connect import Role, conninfo_as


@dataclass(frozen=True, slots=True, kw_only=True)
class ScratchDatabase:
    """A migrated database. ``url`` connects as the administrator: to set up, never to assert."""

    name: str
    url: str

    def conninfo(self, role: Role) -> str:
        return conninfo_as(self.url, role)
