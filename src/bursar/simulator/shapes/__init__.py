"""Response shapes of the real providers, as data; each file names its public sources under `_source`."""

from importlib import resources
from typing import Any

import orjson


def load(name: str) -> dict[str, Any]:
    """Read one shape file, without its `_source`."""
    shape: dict[str, Any] = orjson.loads(resources.files(__name__).joinpath(f"{name}.json").read_bytes())
    shape.pop("_source")
    return shape
