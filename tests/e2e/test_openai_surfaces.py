"""Every surface of OpenAI's that is claimed stands requests drawn from OpenAI's own description of it."""

import json
import os
import re
import subprocess
from pathlib import Path

from operator_client import MODELS, Customer
from test_langchain import OPTIONS, PYTHON

HERE = Path(__file__).parent
DESCRIPTION = HERE.parent / "data" / "openai" / "openapi_extract.json"
SUITE_S_MAX = 170
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
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "BURSAR_ADDRESS": customer.address,
            "BURSAR_KEY": customer.key,
            "BURSAR_MODELS": json.dumps(ASKED),
            "BURSAR_DESCRIPTION": str(DESCRIPTION),
            "BURSAR_EXAMPLES": str(EXAMPLES),
        }
        ran = subprocess.run(
            [PYTHON, "-m", "pytest", *OPTIONS, str(HERE / "suites" / "openai_surfaces.py")],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=SUITE_S_MAX,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout[-8000:] + ran.stderr[-2000:]
        counted = re.search(r"(\d+) passed", ran.stdout)
        assert counted is not None
        assert int(counted[1]) == TESTS
