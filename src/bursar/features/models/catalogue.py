"""The shipped catalogue, as data."""

from datetime import date
from functools import cache
from importlib.resources import files

from bursar.features.models.schemas import Catalogue, CatalogueEntry


@cache
def shipped_catalogue() -> Catalogue:
    """Read `catalogue.json` beside this module; it is checked by its schema."""
    text = files("bursar.features.models").joinpath("catalogue.json").read_text(encoding="utf-8")
    return Catalogue.model_validate_json(text)


def is_retired(entry: CatalogueEntry, today: date) -> bool:
    """Its maker answers no longer, or the announced day has come."""
    return entry.state == "retired" or (entry.retires_on is not None and entry.retires_on <= today)
