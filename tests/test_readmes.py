"""The three READMEs say the same: the same commands, links and number of paragraphs under each heading."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ENGLISH = "README.md"
TRANSLATIONS = ("README.ko.md", "README.zh.md")
FENCED = re.compile(r"^```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMENT = re.compile(r"\s+# .*$", re.MULTILINE)
INLINE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)]+)\)")
HEADING = re.compile(r"^(#+) ", re.MULTILINE)


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def commands(text: str) -> list[str]:
    """The code in the fences, without its comments: those are for people."""
    return [COMMENT.sub("", block) for block in FENCED.findall(text)]


@pytest.mark.parametrize("name", TRANSLATIONS)
class TestTranslations:
    def test_have_the_same_commands(self, name: str) -> None:
        assert commands(text_of(name)) == commands(text_of(ENGLISH))

    def test_name_the_same_things(self, name: str) -> None:
        said = {which: INLINE.findall(FENCED.sub("", text_of(which))) for which in (name, ENGLISH)}
        assert sorted(said[name]) == sorted(said[ENGLISH])

    def test_have_the_same_headings_and_links(self, name: str) -> None:
        assert HEADING.findall(text_of(name)) == HEADING.findall(text_of(ENGLISH))
        after_languages = [LINK.findall(text_of(which).partition("\n")[2]) for which in (name, ENGLISH)]
        assert after_languages[0] == after_languages[1]

    def test_are_linked_from_the_others(self, name: str) -> None:
        for other in {ENGLISH, *TRANSLATIONS} - {name}:
            assert f"]({name})" in text_of(other).partition("\n")[0]
            assert f"]({other})" in text_of(name).partition("\n")[0]
