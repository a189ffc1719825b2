"""Every wrong version of the code around the books is noticed."""

import asyncio
from pathlib import Path
from typing import Final

import pytest
from limit_mutants import LIMITS
from message_mutants import MESSAGES
from message_scenes import STACK_SCENES
from office import office
from picture_mutants import PICTURES
from python_mutants import MUTANTS, STACK_MUTANTS, PythonMutant
from routing_mutants import ROUTING
from scenes import SCENES
from swap import source_of, swapped, wrong_codes

from bursar.db.checks import check_books, is_clean
from bursar.db.connect import Role
from bursar.db.engine import Database
from bursar.gateway.treasury import Unfunded
from gateway_stack import running_stack
from scratch_database import ScratchDatabase

SCENE_S_MAX: Final = 20
NOTICES: Final = (AssertionError, pytest.fail.Exception, Unfunded, TimeoutError)
"""What a scene raises when it does not end as it must; anything else is a mutant that proves nothing."""
ON_STAGE: Final = (*STACK_MUTANTS, *PICTURES, *LIMITS, *ROUTING, *MESSAGES)
ALL: Final = (*MUTANTS, *ON_STAGE)


async def is_noticed_on_stage(database: ScratchDatabase, folder: Path, scene: str) -> bool:
    """By a scene that needs a whole gateway."""
    async with running_stack(database, folder) as stack, asyncio.timeout(SCENE_S_MAX):
        try:
            await STACK_SCENES[scene](stack)
        except NOTICES:
            return True
        return False


async def is_noticed(database: ScratchDatabase, folder: Path, scene: str) -> bool:
    """By the scene's own assertions, or by the books check afterwards."""
    async with office(database, folder) as opened:
        try:
            async with asyncio.timeout(SCENE_S_MAX):
                await SCENES[scene](opened)
        except NOTICES:
            return True
    books = Database(database.url, Role.WORKER)
    findings = await check_books(books)
    await books.close()
    return not is_clean(findings)


class TestPythonMutants:
    @pytest.mark.parametrize("mutant", ALL, ids=lambda mutant: mutant.name)
    def test_still_fit_the_source(self, mutant: PythonMutant) -> None:
        assert source_of(mutant.module).count(mutant.old) == 1
        assert len(wrong_codes(mutant.module, mutant.old, mutant.new)) == 1

    def test_have_names_of_their_own(self) -> None:
        assert len({mutant.name for mutant in ALL}) == len(ALL)

    @pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
    async def test_are_noticed(self, emptied: ScratchDatabase, tmp_path: Path, mutant: PythonMutant) -> None:
        with swapped(mutant.module, mutant.old, mutant.new):
            assert await is_noticed(emptied, tmp_path, mutant.scene)

    @pytest.mark.parametrize("scene", SCENES)
    async def test_true_code_is_not(self, emptied: ScratchDatabase, tmp_path: Path, scene: str) -> None:
        async with office(emptied, tmp_path) as opened:
            await SCENES[scene](opened)

    @pytest.mark.parametrize("mutant", ON_STAGE, ids=lambda mutant: mutant.name)
    async def test_are_noticed_by_callers(
        self, emptied: ScratchDatabase, tmp_path: Path, mutant: PythonMutant
    ) -> None:
        with swapped(mutant.module, mutant.old, mutant.new):
            assert await is_noticed_on_stage(emptied, tmp_path, mutant.scene)

    @pytest.mark.parametrize("scene", STACK_SCENES)
    async def test_true_code_is_not_by_callers(
        self, emptied: ScratchDatabase, tmp_path: Path, scene: str
    ) -> None:
        async with running_stack(emptied, tmp_path) as stack:
            await STACK_SCENES[scene](stack)
