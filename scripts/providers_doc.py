"""Write `docs/providers.md` from what the provider contracts find; with `--check`, fail when it differs."""

import inspect
import runpy
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bursar.adapters.providers import Provider
from bursar.entrypoints.adapters import provider_adapters
from bursar.features.providers.kinds import KINDS, PLACES
from generated import keep

ROOT = Path(__file__).parent.parent
TARGET = ROOT / "docs" / "providers.md"
HEADINGS = {
    "chat": "Chat",
    "stream": "Stream",
    "usage": "Usage",
    "errors": "Errors",
    "tools": "Tools",
    "vision": "Vision",
    "json_schema": "JSON schema",
    "reasoning": "Reasoning",
    "caching": "Caching",
    "embeddings": "Embeddings",
    "images": "Images",
}
BRONZE = ("chat", "stream", "usage", "errors")
SILVER = (*BRONZE, "tools", "vision", "json_schema")
PAYLOADS_MIN = 10
THERE, LACKING, MISSING = "✓", "-", "✗"
INTRODUCTION = """\
# Providers

Written by `make providers-doc` from what `tests/provider_contracts.py` finds; `make check` fails when it is
out of date. Every cell is a test: callers of every dialect ask, the provider answers in its own words (as its
documentation and recordings have them; none of this runs against the provider itself), and what reaches the
provider, the caller and the meter is looked at.

* **✓** works for callers of every dialect. Where callers speak the provider's own dialect, requests pass
  through; others are translated.
* **-** is not in the provider's API. Translated callers are refused by the name of the property they used,
  before anything is sent or charged.
* **✗** is in the provider's API and not here yet; it is refused likewise.

**Bronze** is chat, streams, usage and errors. **Silver** adds tools, vision and JSON schemas. **Gold** is all
that the provider's API has of this table, and a meter held to at least ten usage payloads that somebody
published (`tests/data/usages`), each read and priced as
[genai-prices](https://github.com/pydantic/genai-prices) does, or with the difference explained. It has
no reader for Together, Ollama and vLLM, whose usage is held to its reader of OpenAI's, and no prices for the
last two.

"""
MIDDLE = """
## Addresses and hang-ups

The address is the default of `base_url`. Where a hang-up stops the provider's meter, an answer that nobody
waits for is cut off; elsewhere it is read to its end, so that what is charged is what it cost.
`aborts_stop_billing` changes either.

"""


def level(met: Mapping[str, str], recorded: int) -> str:
    """The best level whose every demand is met."""
    missing = {capability for capability, cell in met.items() if cell == MISSING}
    if missing.intersection(BRONZE):
        return "-"
    if missing.intersection(SILVER):
        return "bronze"
    return "silver" if missing or recorded < PAYLOADS_MIN else "gold"


def cells(contracts: Mapping[str, Any], kind: str, outcomes: Mapping[str, str]) -> dict[str, str]:
    lacks = contracts["LACKS"].get(kind, ())
    refused = {capability: LACKING if capability in lacks else MISSING for capability in outcomes}
    return {
        capability: THERE if outcome == contracts["YES"] else refused[capability]
        for capability, outcome in outcomes.items()
    }


def row(*columns: str) -> str:
    return f"| {' | '.join(columns)} |\n"


def table(contracts: Mapping[str, Any]) -> str:
    outcomes, recorded = contracts["outcomes"](), contracts["recorded_counts"]()
    written = row("Kind", "Level", *HEADINGS.values(), "Usage payloads") + row(*["---"] * (len(HEADINGS) + 3))
    for kind in KINDS:
        met = cells(contracts, kind, outcomes[kind])
        marks = [met[capability] for capability in HEADINGS]
        count = recorded[kind]
        written += row(f"`{kind}`", level(met, count), *marks, str(count) if count else "-")
    return written


def places() -> str:
    written = row("Kind", "Address", "A hang-up stops its meter") + row("---", "---", "---")
    for kind in KINDS:
        place = PLACES[kind]
        address = f"`{place.base_url}`" if place.base_url else "yours"
        written += row(f"`{kind}`", address, "yes" if place.aborts_stop_billing else "no")
    return written


def particulars(adapters: Mapping[str, Provider]) -> str:
    """What the adapters' authors found worth saying."""
    told: dict[str, list[str]] = {}
    for kind in KINDS:
        module = inspect.getmodule(type(adapters[kind]))
        told.setdefault(inspect.getdoc(module) or "", []).append(f"`{kind}`")
    return "\n## Particulars\n" + "".join(
        f"\n### {', '.join(kinds)}\n\n{words}\n" for words, kinds in told.items()
    )


def document() -> str:
    sys.path.insert(0, str(ROOT / "tests"))
    contracts = runpy.run_path(str(ROOT / "tests" / "provider_contracts.py"))
    return INTRODUCTION + table(contracts) + MIDDLE + places() + particulars(provider_adapters())


if __name__ == "__main__":
    sys.exit(keep(TARGET, document().encode(), changed="providers", command="make providers-doc"))
