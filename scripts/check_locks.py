"""Fail when the locks no longer hold what `pyproject.toml` asks for. Needs no network.

Checked against the installed packages' own metadata: every direct requirement is pinned at a version it
allows, every pin's requirements are pinned too, and what is installed is what is pinned.
"""

import sys
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent


def pins(lock: Path) -> dict[str, str]:
    """Name to version of every pin that applies on this machine."""
    found: dict[str, str] = {}
    for line in lock.read_text().splitlines():
        if line[:1].isalnum():
            requirement = Requirement(line.rstrip("\\ "))
            if requirement.marker is None or requirement.marker.evaluate():
                found[canonicalize_name(requirement.name)] = str(requirement.specifier).removeprefix("==")
    return found


def applying(wanted: list[str], extras: set[str]) -> Iterator[Requirement]:
    """The requirements that hold on this machine with these extras."""
    for need in map(Requirement, wanted):
        if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield need


def unmet(wanted: list[str], pinned: dict[str, str], who: str, extras: set[str]) -> Iterator[str]:
    """Requirements of `who` that the pins do not satisfy."""
    for need in applying(wanted, extras):
        version = pinned.get(canonicalize_name(need.name))
        if version is None:
            yield f"{who} needs {need.name}, which is not pinned"
        elif not need.specifier.contains(version, prereleases=True):
            yield f"{who} needs {need.name}{need.specifier}, pinned is {version}"


def extras_of(wanted: list[str]) -> dict[str, set[str]]:
    return {canonicalize_name(need.name): need.extras for need in map(Requirement, wanted)}


def needed(wanted: list[str]) -> set[str]:
    """Names of everything that `wanted` needs, directly or through others, as far as it is installed."""
    found: dict[str, set[str]] = {}
    waiting = list(applying(wanted, set()))
    while waiting:
        need = waiting.pop()
        name = canonicalize_name(need.name)
        if name in found and need.extras <= found[name]:
            continue
        found[name] = found.get(name, set()) | need.extras
        with suppress(metadata.PackageNotFoundError):  # reported elsewhere
            waiting += applying(metadata.distribution(name).requires or [], found[name])
    return set(found)


def problems(lock: Path, wanted: list[str]) -> Iterator[str]:
    pinned = pins(lock)
    extras = extras_of(wanted)
    yield from unmet(wanted, pinned, "pyproject.toml", set())
    for name in sorted(set(pinned) - needed(wanted)):
        yield f"{name} is pinned but nothing needs it"
    for name, version in pinned.items():
        try:
            installed = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            yield f"{name} {version} is pinned but not installed; run: make setup"
            continue
        if installed.version != version:
            yield f"{name} {version} is pinned but {installed.version} is installed; run: make setup"
        yield from unmet(installed.requires or [], pinned, name, extras.get(name, set()))


def main() -> int:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    runtime = project["project"]["dependencies"]
    dev = runtime + project["dependency-groups"]["dev"]
    found = [
        f"{lock}: {problem}"
        for lock, wanted in (("locks/runtime.txt", runtime), ("locks/dev.txt", dev))
        for problem in problems(ROOT / lock, wanted)
    ]
    sys.stderr.writelines(f"{line}\n" for line in found)
    if found:
        sys.stderr.write("the locks are out of date; run: make lock\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
