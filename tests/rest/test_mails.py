"""Mails are asked for by type: who forgets a value learns it from the type checker, not from a customer."""

import ast
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src" / "bursar"


def topics_published(path: Path) -> set[str]:
    """Topics written as text where an event is published."""
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    named = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "publish"]
    return {
        str(argument.value) for call in named for argument in call.args if isinstance(argument, ast.Constant)
    }


class TestAskForMail:
    def test_is_the_only_way_to_one(self) -> None:
        untyped = [path for path in SOURCE.rglob("*.py") if "mail" in topics_published(path)]
        assert untyped == []
