"""Fail when a locked package has a known vulnerability.

Asks the package index's advisories through `pip-audit`, which takes no account of the installed environment:
what is in the locks is what is looked up. Where the advisories cannot be reached (no network, or an index
without them), that is said and nothing is checked: a build on a train must not fail for it.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
LOCKS = ("locks/dev.txt", "locks/suites.txt")
SECONDS_MAX = 120
# Advisory → why it does not concern us. Each is looked at again when the locks are renewed.
ACCEPTED: dict[str, str] = {}


def say(line: str) -> None:
    sys.stdout.write(line + "\n")


def audited(lock: str) -> list[dict[str, Any]]:
    """What pip-audit found of each package of a lock: its `vulns`, or why it was skipped."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", lock, "--no-deps", "--disable-pip"]
    ran = subprocess.run(
        [*command, "--format", "json", "--progress-spinner", "off", "--timeout", "10"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    try:
        found: list[dict[str, Any]] = json.loads(ran.stdout)["dependencies"]
    except (json.JSONDecodeError, KeyError, TypeError):
        last = ran.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        say(f"{lock}: advisories cannot be reached, nothing was checked ({last[0][:200]})")
        return []
    return found


def main() -> int:
    vulnerable = set()
    for lock in LOCKS:
        packages = audited(lock)
        skipped = [package["name"] for package in packages if "vulns" not in package]
        if skipped and len(skipped) == len(packages):
            say(f"{lock}: advisories cannot be reached, nothing was checked")
        elif skipped:
            say(f"{lock}: no advisories for {', '.join(skipped)}")
        vulnerable |= {
            f"{package['name']} {package['version']}: {one['id']}, mended in {one['fix_versions'] or 'none'}"
            for package in packages
            for one in package.get("vulns", ())
            if one["id"] not in ACCEPTED
        }
    for line in sorted(vulnerable):
        sys.stderr.write(line + "\n")
    return 1 if vulnerable else 0


if __name__ == "__main__":
    raise SystemExit(main())
