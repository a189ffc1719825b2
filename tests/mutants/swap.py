"""Put a wrong version of a module's code in the place of the true one, for everybody who has imported it."""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any


def source_of(module_name: str) -> str:
    module = importlib.import_module(module_name)
    assert module.__file__ is not None
    return Path(module.__file__).read_text(encoding="utf-8")


def functions(space: Any, module_name: str, prefix: str = "") -> Iterator[tuple[str, FunctionType]]:
    """Functions and methods written in the module, by qualified name."""
    for name, value in list(vars(space).items()):
        path = f"{prefix}{name}"
        if isinstance(value, type) and value.__module__ == module_name:
            yield from functions(value, module_name, f"{path}.")
            continue
        if isinstance(value, property):
            value = value.fget  # noqa: PLW2901 - what is inside counts
        value = getattr(value, "__wrapped__", getattr(value, "__func__", value))  # noqa: PLW2901 - the same
        if isinstance(value, FunctionType) and value.__module__ == module_name:
            yield path, value


def codes(module: ModuleType) -> dict[str, FunctionType]:
    return dict(functions(module, module.__name__))


def compiled(module_name: str, source: str) -> dict[str, CodeType]:
    """The code of every function of a version of a module."""
    version = ModuleType(module_name)
    exec(compile(source, f"<{version.__name__}>", "exec"), version.__dict__)  # noqa: S102 - our own source
    return {path: function.__code__ for path, function in codes(version).items()}


def wrong_codes(module_name: str, old: str, new: str) -> dict[str, CodeType]:
    """The code of every function that the replacement changes."""
    source = source_of(module_name)
    true = compiled(module_name, source)
    wrong = compiled(module_name, source.replace(old, new))
    return {path: code for path, code in wrong.items() if differs(code, true[path])}


def differs(one: CodeType, other: CodeType) -> bool:
    """Whether they do something else; where a line stands does not matter."""
    if (one.co_code, one.co_names) != (other.co_code, other.co_names):
        return True
    if len(one.co_consts) != len(other.co_consts):
        return True
    return any(
        differs(mine, its) if isinstance(mine, CodeType) and isinstance(its, CodeType) else mine != its
        for mine, its in zip(one.co_consts, other.co_consts, strict=True)
    )


@contextmanager
def swapped(module_name: str, old: str, new: str) -> Iterator[None]:
    """Functions keep their identity and get the wrong code while the block lasts."""
    true = codes(importlib.import_module(module_name))
    wrong = wrong_codes(module_name, old, new)
    kept = {path: true[path].__code__ for path in wrong}
    for path, code in wrong.items():
        true[path].__code__ = code
    try:
        yield
    finally:
        for path, code in kept.items():
            true[path].__code__ = code
