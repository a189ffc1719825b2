"""Write `docs/openapi.json` from the API; with `--check`, fail when it differs."""

import argparse
import sys
from pathlib import Path

from bursar.entrypoints.api import openapi_document

TARGET = Path(__file__).parent.parent / "docs" / "openapi.json"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    document = openapi_document()
    if parser.parse_args().check:
        if TARGET.exists() and TARGET.read_bytes() == document:
            return 0
        sys.stderr.write("the API changed but docs/openapi.json did not; run: make openapi\n")
        return 1
    TARGET.write_bytes(document)
    return 0


if __name__ == "__main__":
    sys.exit(main())
