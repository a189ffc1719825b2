"""A worker's post office over a real database, with servers that fail as they are told."""

from collections.abc import AsyncIterator

import pytest
from control_client import SettableClock
from post import Post

from bursar.adapters.mail.fake import FakeMailer
from bursar.core.brand import Brand
from bursar.db.connect import Role
from bursar.db.engine import Database
from bursar.features.mail.office import PostOffice, Servers
from bursar.rest.control import Control
from scratch_database import ScratchDatabase


@pytest.fixture
def servers() -> list[FakeMailer]:
    return [FakeMailer("primary"), FakeMailer("fallback")]


@pytest.fixture
async def post(
    database: ScratchDatabase, control: Control, clock: SettableClock, servers: list[FakeMailer]
) -> AsyncIterator[Post]:
    worker = Database(database.url, Role.WORKER)
    office = PostOffice(
        edge=control.edge,
        seal=control.seal,
        brand=Brand(sender="no-reply@bursar.example", public_url="https://bursar.example"),
        servers=Servers(servers),
    )
    yield Post(worker=worker, office=office, clock=clock, url=database.url)
    await worker.close()
