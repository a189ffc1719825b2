"""Write `docs/openapi.json` from the API; with `--check`, fail when it differs."""

import sys
from pathlib import Path

from bursar.entrypoints.api import openapi_document
from generated import keep

TARGET = Path(__file__).parent.parent / "docs" / "openapi.json"


if __name__ == "__main__":
    sys.exit(keep(TARGET, openapi_document(), changed="the API", command="make openapi"))
