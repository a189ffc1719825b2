"""Files that are written from the code: written anew, or held against it with `--check`."""

import argparse
import sys
from pathlib import Path


def keep(target: Path, document: bytes, *, changed: str, command: str) -> int:
    """The exit code of a script that writes one. `changed`: what has, when the file no longer fits."""
    parser = argparse.ArgumentParser(description=f"Write {target.name}.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when it is out of date")
    if not parser.parse_args().check:
        target.write_bytes(document)
        return 0
    if target.exists() and target.read_bytes() == document:
        return 0
    root = Path(__file__).parent.parent
    sys.stderr.write(f"{changed} changed but {target.relative_to(root)} did not; run: {command}\n")
    return 1
