"""LangChain's standard suite passes through the gateway over the Responses API, whatever the provider."""

import os
import re
import subprocess
from pathlib import Path

from operator_client import MODELS, Customer
from test_langchain import OPTIONS, PYTHON

HERE = Path(__file__).parent
SUITE_S_MAX = 240
PASSED_MIN = 60


class TestLangChainOverResponses:
    def test_standard_suite_passes(self, customer: Customer, tmp_path: Path) -> None:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "BURSAR_ADDRESS": customer.address,
            "BURSAR_KEY": customer.key,
            "BURSAR_MODELS": ",".join(f"{kind}={model}" for kind, model in MODELS.items()),
        }
        ran = subprocess.run(
            [PYTHON, "-m", "pytest", *OPTIONS, str(HERE / "suites" / "response_models.py")],
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
        assert int(counted[1]) >= PASSED_MIN, ran.stdout[-1000:]
        booked = customer.usage()
        assert {row["status"] for row in booked} == {200}
        assert {row["endpoint"] for row in booked} == {"/v1/responses"}
