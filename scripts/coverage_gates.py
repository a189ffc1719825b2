"""Fail when branch coverage is below the house limits; prints each. Reads the data that `make test` left."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
PERCENT_MIN = {
    "src/bursar/core": 90,
    "src/bursar/gateway": 90,
    "src/bursar/db": 90,
    "src/bursar": 80,
}
COUNTED = ("num_statements", "covered_lines", "num_branches", "covered_branches")


def totals_of(files: dict[str, dict[str, dict[str, int]]], folder: str) -> dict[str, int]:
    """Sums over the files of one folder."""
    mine = [entry["summary"] for name, entry in files.items() if name.startswith(folder + "/")]
    return {name: sum(summary[name] for summary in mine) for name in COUNTED}


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "coverage.json"
        subprocess.run(
            [sys.executable, "-m", "coverage", "json", "--quiet", "-o", str(report)], check=True, cwd=ROOT
        )
        files = json.loads(report.read_text())["files"]
    low = 0
    for folder_name, least in PERCENT_MIN.items():
        total = totals_of(files, folder_name)
        whole = total["num_statements"] + total["num_branches"]
        percent = 100 * (total["covered_lines"] + total["covered_branches"]) / whole if whole else 100.0
        verdict = "ok" if percent >= least else "TOO LOW"
        low += percent < least
        sys.stdout.write(
            f"branch coverage {folder_name:22} {percent:6.2f} % (at least {least} %)  {verdict}\n"
        )
    return 1 if low else 0


if __name__ == "__main__":
    sys.exit(main())
