"""Every story about the books, told against the real functions under the real roles."""

import pytest
import stories_of_budgets  # noqa: F401 -- registers its stories
import stories_of_flushes  # noqa: F401 -- registers its stories
import stories_of_leases  # noqa: F401 -- registers its stories
import stories_of_money  # noqa: F401 -- registers its stories
from desk import Desk
from stories import STORIES

from scratch_database import ScratchDatabase


class TestTheBooks:
    @pytest.mark.parametrize("name", STORIES)
    def test_tell_that(self, database: ScratchDatabase, name: str) -> None:
        with Desk(database) as desk:
            STORIES[name](desk)
