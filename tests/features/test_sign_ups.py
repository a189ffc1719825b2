"""From a stranger's sign-up to a working key."""

from dataclasses import replace
from decimal import Decimal

import httpx2
import pytest
from account_story import EMAIL, PASSWORD, Story, new_account

from bursar.rest.control import Control, SignUpPolicy
from scratch_database import ScratchDatabase


@pytest.fixture
def story(control: Control, database: ScratchDatabase, anonymous: httpx2.AsyncClient) -> Story:
    return Story(control, database, anonymous)


class TestSignUp:
    async def test_opens_an_organisation_with_a_key(self, story: Story) -> None:
        opened = await story.opened()
        assert opened["key"]["secret"].startswith("llm_sk_")
        await story.signed_in()
        answer = await story.http.get("/api/v1/me")
        print(answer.json())
