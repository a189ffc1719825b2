"""The whole control plane stands requests drawn from its own description, by everybody who may call."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest
import sqlalchemy as sa
from bursar_process import running
from suite_runner import passed_in

from bursar.core.permissions import MemberRole, OperatorRole
from bursar.db.connect import Role
from bursar.db.engine import Database
from bursar.db.secrets import SecretBox
from bursar.db.tables import app_user, membership
from bursar.features.organisations.schemas import NewOrganisation
from bursar.features.organisations.service import create_organisation
from bursar.rest.control import Control, Policy
from bursar.rest.edge import Edge, SystemClock
from bursar.rest.sign_ins import open_session
from scratch_database import ScratchDatabase

DESCRIPTION = Path(__file__).parents[2] / "docs" / "openapi.json"
SECRET_KEY = "5e" * 32
EXAMPLES = 1


@pytest.fixture
async def control(database: ScratchDatabase) -> AsyncIterator[Control]:
    made = Control(
        database=Database(database.url, Role.API),
        edge=Edge(SystemClock()),
        seal=SecretBox(bytes.fromhex(SECRET_KEY)),
        policy=Policy(),
    )
    yield made
    await made.close()


@dataclass(frozen=True)
class Town:
    """One organisation and somebody of each role."""

    organisation_id: UUID
    tokens: dict[str, str]


@pytest.fixture
async def town(control: Control) -> Town:
    async with control.database.transaction(operator=True) as tx:
        organisation = await create_organisation(tx, NewOrganisation(name="Acme"), edge=control.edge)
    tokens = {"stranger": ""}
    for role in (*MemberRole, *OperatorRole):
        async with control.database.transaction(accounts=True) as tx:
            user_id, now = control.edge.new_id(), control.edge.now()
            row = {"id": user_id, "email": f"{role.value}@people.example", "name": role.value}
            row |= {"created_at": now, "email_verified_at": now}
            if isinstance(role, OperatorRole):
                row |= {"operator_role": role.value}
            await tx.execute(sa.insert(app_user).values(**row))
            if isinstance(role, MemberRole):
                await tx.execute(
                    sa.insert(membership).values(
                        organisation_id=organisation.id, user_id=user_id, role=role.value, created_at=now
                    )
                )
            signed_in = await open_session(tx, control, user_id, two_factor=True)
        tokens[role.value] = signed_in.access_token
    return Town(organisation.id, tokens)


class TestControlPlane:
    @pytest.mark.timeout(400)
    def test_answers_or_refuses_whatever_its_description_draws_to_every_role(
        self, database: ScratchDatabase, town: Town, tmp_path: Path
    ) -> None:
        settings = {
            "BURSAR_DATABASE_URL": database.url,
            "BURSAR_DATA_DIR": str(tmp_path / "data"),
            "BURSAR_SECRET_KEY": SECRET_KEY,
        }
        with running(tmp_path / "api", "api", "--port", "0", settings=settings) as program:
            passed = passed_in(
                "control_plane.py",
                program.listening(),
                tmp_path,
                seconds_max=380,
                tokens=json.dumps(town.tokens),
                organisation=str(town.organisation_id),
                description=str(DESCRIPTION),
                examples=str(EXAMPLES),
            )
        operations = [
            method for path in json.loads(DESCRIPTION.read_text())["paths"].values() for method in path
        ]
        assert passed == len(operations) + 1
