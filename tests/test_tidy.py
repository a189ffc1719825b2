"""House style that no linter checks. Every rule reads the tracked and not yet tracked files of this tree."""

import ast
import io
import re
import subprocess
import tokenize
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "bursar"

FUNCTION_LINES_MAX = 60
FILE_LINES_MAX = 500
VAGUE_NAMES = {"utils.py", "util.py", "helpers.py", "helper.py", "common.py", "base.py", "misc.py"}
# Written in pieces, so that this file does not break its own rule.
UNFINISHED = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME"]) + r")\b|#\s*" + "X" * 3 + r"\b")
MACHINE = re.compile("/(" + "|".join(["work/" + "shared", "work/" + r"\.library", "tmp/" + "plan"]) + ")")
REGISTRY = re.compile(
    "|".join(
        re.escape(host)
        for host in (
            "py" + "pi.org",
            "python" + "hosted.org",
            "npm" + "js.org",
            "npm" + "js.com",
            "yarn" + "pkg.com",
        )
    )
)
NOQA = re.compile(r"#\s*(ruff:\s*)?noqa")
NOQA_WITH_REASON = re.compile(r"#\s*(ruff:\s*)?noqa: [A-Z]+[0-9]+(, [A-Z]+[0-9]+)*\s+(--?|#)\s*\w")
IGNORE = re.compile(r"#\s*type:\s*ignore")
IGNORE_WITH_REASON = re.compile(r"#\s*type: ignore\[[a-z-]+(, ?[a-z-]+)*\]\s+#\s*\w")
TEXT_SUFFIXES = {".py", ".md", ".toml", ".sql", ".sh", ".lua", ".ini", ".yaml", ".yml", ".txt", ".mako", ""}
# Test folders that follow whole journeys instead of one package.
JOURNEYS = {"e2e", "chaos", "mutants"}


@cache
def files() -> tuple[Path, ...]:
    """Everything git tracks or would track."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return tuple(path for name in listed.stdout.splitlines() if (path := ROOT / name).is_file())


def python_files() -> list[Path]:
    return [path for path in files() if path.suffix == ".py"]


def text_files() -> list[Path]:
    return [path for path in files() if path.suffix in TEXT_SUFFIXES]


def where(path: Path, line: int) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


def lines_matching(paths: list[Path], pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{where(path, number)}: {line.strip()}"
        for path in paths
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if pattern.search(line)
    ]


def comments(path: Path) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def unexplained(pattern: re.Pattern[str], complete: re.Pattern[str]) -> list[str]:
    return [
        f"{where(path, line)}: {comment}"
        for path in python_files()
        for line, comment in comments(path)
        if pattern.search(comment) and not complete.search(comment)
    ]


def floats(tree: ast.AST) -> Iterator[int]:
    """Lines where a float is named, written, or made by a division."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id="float") | ast.Constant(value=float()) | ast.BinOp(op=ast.Div()):
                yield node.lineno
            case ast.AugAssign(op=ast.Div()):
                yield node.lineno


def is_silent(handler: ast.ExceptHandler, lines: list[str]) -> bool:
    """A handler without a type, or one that does nothing and says nothing about why."""
    if handler.type is None:
        return True
    idle = all(
        isinstance(node, ast.Pass | ast.Continue)
        or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        for node in handler.body
    )
    said = lines[handler.lineno - 1 : handler.end_lineno]
    return idle and not any("#" in line for line in said)


class TestTidy:
    def test_no_function_is_longer_than_a_screen(self) -> None:
        long = [
            f"{where(path, node.lineno)} {node.name}: {node.end_lineno - node.lineno + 1} lines"
            for path in python_files()
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and node.end_lineno is not None
            and node.end_lineno - node.lineno + 1 > FUNCTION_LINES_MAX
        ]
        assert long == []

    def test_no_file_is_longer_than_a_sitting(self) -> None:
        lengths = {path: len(path.read_text().splitlines()) for path in python_files()}
        assert [f"{where(path, 1)} {n}" for path, n in lengths.items() if n > FILE_LINES_MAX] == []

    def test_no_module_has_a_name_that_says_nothing(self) -> None:
        assert [where(path, 1) for path in python_files() if path.name in VAGUE_NAMES] == []

    def test_core_knows_no_float(self) -> None:
        found = [
            where(path, line)
            for path in python_files()
            if path.is_relative_to(SOURCE / "core")
            for line in floats(ast.parse(path.read_text()))
        ]
        assert found == []

    def test_nothing_is_left_unfinished(self) -> None:
        assert lines_matching(text_files(), UNFINISHED) == []

    def test_no_exception_is_swallowed_in_silence(self) -> None:
        silent = [
            where(path, node.lineno)
            for path in python_files()
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.ExceptHandler) and is_silent(node, path.read_text().splitlines())
        ]
        assert silent == []

    def test_every_exception_from_lint_names_its_rule_and_reason(self) -> None:
        assert unexplained(NOQA, NOQA_WITH_REASON) == []

    def test_every_exception_from_types_names_its_rule_and_reason(self) -> None:
        assert unexplained(IGNORE, IGNORE_WITH_REASON) == []

    def test_no_file_names_this_machine_or_a_package_registry(self) -> None:
        assert lines_matching(text_files(), MACHINE) == []
        assert lines_matching(text_files(), REGISTRY) == []

    def test_tests_mirror_the_source(self) -> None:
        strays = [
            where(path, 1)
            for path in python_files()
            if path.is_relative_to(ROOT / "tests") and path.name.startswith("test_")
            if (folder := path.parent.relative_to(ROOT / "tests")).parts[:1]
            not in {(name,) for name in JOURNEYS}
            if not (SOURCE / folder).is_dir()
        ]
        assert strays == []

    def test_no_two_test_files_share_a_name(self) -> None:
        """Pytest imports them by their bare name."""
        names = Counter(path.name for path in python_files() if path.name.startswith("test_"))
        assert [name for name, times in names.items() if times > 1] == []

    def test_every_package_has_tests(self) -> None:
        packages = {
            path.relative_to(SOURCE).parts[0] for path in python_files() if path.parent.parent == SOURCE
        }
        tested = {
            path.relative_to(ROOT / "tests").parts[0]
            for path in python_files()
            if path.is_relative_to(ROOT / "tests") and path.name.startswith("test_")
        }
        assert packages - tested == set()


class TestTidyItself:
    """The rules catch what they are for."""

    @pytest.mark.parametrize("code", ["x = 0.5", "x: float", "x = 1 / 2", "x /= 2"])
    def test_sees_a_float(self, code: str) -> None:
        assert list(floats(ast.parse(code))) == [1]

    def test_sees_no_float_in_integers(self) -> None:
        assert list(floats(ast.parse("x = 7 // 2"))) == []

    @pytest.mark.parametrize(
        ("handler", "silent"),
        [
            ("except OSError:\n    pass", True),
            ("except:\n    stop()", True),
            ("except OSError:\n    pass  # gone already", False),
            ("except OSError:\n    stop()", False),
        ],
    )
    def test_sees_silence(self, handler: str, silent: bool) -> None:  # noqa: FBT001 - a table's column
        code = f"try:\n    go()\n{handler}"
        (found,) = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.ExceptHandler)]
        assert is_silent(found, code.splitlines()) is silent

    @pytest.mark.parametrize(
        ("comment", "complete"),
        [
            ("# noqa: S603 - our own program", True),
            ("# noqa: S603", False),
            ("# noqa", False),
        ],
    )
    def test_sees_a_reason(self, comment: str, complete: bool) -> None:  # noqa: FBT001 - a table's column
        assert bool(NOQA_WITH_REASON.search(comment)) is complete
