"""Every surface of OpenAI's that is claimed stands requests drawn from OpenAI's own description of it."""

import json
from pathlib import Path

from operator_client import MODELS, Customer
from suite_runner import passed_in

DESCRIPTION = Path(__file__).parents[1] / "data" / "openai" / "openapi_extract.json"
TESTS = 6 + 1
EXAMPLES = 60
CHATS = list(MODELS.values())
ASKED = {
    "/chat/completions": CHATS,
    "/responses": CHATS,
    "/embeddings": ["text-embedding-3-small", "text-embedding-3-large"],
    "/images/generations": ["gpt-image-1", "gpt-image-1-mini"],
}


class TestOpenAISurfaces:
    def test_answer_or_refuse_whatever_their_description_draws(
        self, customer: Customer, tmp_path: Path
    ) -> None:
        passed = passed_in(
            "openai_surfaces.py",
            customer.address,
            tmp_path,
            seconds_max=170,
            key=customer.key,
            models=json.dumps(ASKED),
            description=str(DESCRIPTION),
            examples=str(EXAMPLES),
        )
        assert passed == TESTS
