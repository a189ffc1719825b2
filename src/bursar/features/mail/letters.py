"""What mails say: the files `templates/<language>/<template>.txt`, read into blocks.

A file begins with the lines `Subject:` and `Preview:` (what an inbox shows after the subject). Blocks follow,
separated by empty lines:

    a paragraph, which may go over several lines
    [Label]({link})          a button
    - Label: {value}         facts, a line each
    ~ a note in small print

`{name}` stands for a value. A line that names an absent value is left out.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Final

from bursar.core.messages import Language

TEMPLATES: Final = files("bursar.features.mail").joinpath("templates")
VALUE: Final = re.compile(r"\{([a-z_]+)\}")
BUTTON: Final = re.compile(r"^\[([^\]]+)\]\(([^)\s]+)\)$")
CJK: Final = re.compile("[\u3000-\u9fff\uff00-\uffef]")


class Kind(StrEnum):
    PARAGRAPH = "paragraph"
    BUTTON = "button"
    FACT = "fact"
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A part of a mail. `target`: where a button leads. `label`: a button's or a fact's."""

    kind: Kind
    text: str = ""
    label: str = ""
    target: str = ""

    def values(self) -> frozenset[str]:
        """The values it names."""
        return frozenset(VALUE.findall(f"{self.text} {self.label} {self.target}"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """What one template says in one language."""

    subject: str
    preview: str
    blocks: Sequence[Block]

    def values(self) -> frozenset[str]:
        """Every value it names anywhere."""
        named = frozenset(VALUE.findall(f"{self.subject} {self.preview}"))
        return named.union(*(block.values() for block in self.blocks))


@cache
def letter(template: str, language: Language) -> Letter:
    """Read a template's words. They are part of the program, so a file that is missing or wrong is a bug."""
    return parsed(TEMPLATES.joinpath(language, f"{template}.txt").read_text("utf-8"))


@cache
def footer(language: Language) -> Sequence[Block]:
    return _blocks(TEMPLATES.joinpath(language, "footer.txt").read_text("utf-8"))


def parsed(text: str) -> Letter:
    head, _, body = text.partition("\n\n")
    said = dict(line.split(": ", 1) for line in head.splitlines())
    return Letter(subject=said["Subject"], preview=said["Preview"], blocks=_blocks(body))


def _blocks(body: str) -> tuple[Block, ...]:
    found: list[Block] = []
    for part in re.split(r"\n{2,}", body.strip()):
        lines = part.splitlines()
        found += [_fact(line) for line in lines] if part.startswith("- ") else [_block(lines)]
    return tuple(found)


def _fact(line: str) -> Block:
    label, _, text = line.removeprefix("- ").partition(": ")
    return Block(kind=Kind.FACT, label=label, text=text)


def _block(lines: Sequence[str]) -> Block:
    button = BUTTON.match(lines[0])
    if button:
        return Block(kind=Kind.BUTTON, label=button[1], target=button[2])
    joined = _joined(lines)
    if joined.startswith("~ "):
        return Block(kind=Kind.NOTE, text=joined.removeprefix("~ "))
    return Block(kind=Kind.PARAGRAPH, text=joined)


def _joined(lines: Sequence[str]) -> str:
    """One line of several; Chinese goes on without a blank."""
    text = lines[0]
    for line in lines[1:]:
        text += line if CJK.match(text[-1]) and CJK.match(line[0]) else f" {line}"
    return text


def filled(text: str, show: Callable[[str], str]) -> str:
    """Put values in the places that name them."""
    return VALUE.sub(lambda found: show(found[1]), text)
