"""LangChain's standard suite passes through the gateway; its environment is made by `make test`."""

import os
import re
import subprocess
from pathlib import Path

from operator_client import EVERY_MODEL, Customer

HERE = Path(__file__).parent
PYTHON = HERE.parents[1] / ".venv-suites" / "bin" / "python"
SUITE_S_MAX = 420
PASSED_MIN = 70
OPTIONS = (
    "--noconftest",
    "--quiet",
    "-c",
    os.devnull,
    "-p",
    "no:cacheprovider",
    "-o",
    "asyncio_mode=auto",
    "-o",
    "asyncio_default_test_loop_scope=session",  # its clients outlive a test's own loop
    "-o",
    "asyncio_default_fixture_loop_scope=session",
)


class TestLangChain:
    def test_standard_suite_passes(self, customer: Customer, tmp_path: Path) -> None:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "BURSAR_ADDRESS": customer.address,
            "BURSAR_KEY": customer.key,
            "BURSAR_MODELS": ",".join(f"{kind}={model}" for kind, model in EVERY_MODEL.items()),
        }
        ran = subprocess.run(
            [PYTHON, "-m", "pytest", *OPTIONS, str(HERE / "suites" / "chat_models.py")],
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
        assert {row["status"] for row in customer.usage()} == {200}
