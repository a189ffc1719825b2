"""A mail from its words and values: the text, and HTML by way of MJML.

Values are put in after MJML was compiled, escaped, so that no value can be markup. Nothing is loaded from
anywhere and nothing counts who reads: no pictures, no fonts, links as they are.
"""

import html
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from itertools import groupby
from typing import Any, Final

from mjml import mjml2html

from bursar.core.brand import Brand
from bursar.core.messages import Language
from bursar.core.permissions import MemberRole
from bursar.features.mail.letters import TEMPLATES, VALUE, Block, Kind, filled, footer, letter
from bursar.rest.mails import MailValues

AS_THEY_ARE: Final = frozenset({"link", "new_email", "support", "unsubscribe", "public_url"})
"""Values that may look like a link to a mail program; the others are what somebody wrote."""

LINK_LIKE: Final = re.compile(r"(?<=[.:])(?=[^\W\d_/])|(?<=://)(?=\w)")
NO_LINK: Final = "\u200b"
"""Zero-width space: mail programs then see no address in what somebody called himself."""

PLACE: Final = re.compile(r"\{\{([a-z]+)\}\}")
MARK: Final = re.compile(r"%%([a-z_]+)%%")
LUMINANCE_MIDDLE: Final = 140_000
WHITE, BLACK = "#ffffff", "#111111"

ROLES: Final[Mapping[MemberRole, Mapping[Language, str]]] = {
    MemberRole.OWNER: {"en": "owner", "ko": "소유자", "zh": "所有者"},
    MemberRole.ADMIN: {"en": "admin", "ko": "관리자", "zh": "管理员"},
    MemberRole.BILLING: {"en": "billing", "ko": "결제 담당자", "zh": "账务"},
    MemberRole.DEVELOPER: {"en": "developer", "ko": "개발자", "zh": "开发者"},
    MemberRole.VIEWER: {"en": "viewer", "ko": "뷰어", "zh": "只读成员"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    subject: str
    text: str
    html: str


def render(
    values: MailValues, language: Language, brand: Brand, *, unsubscribe: str | None = None
) -> Rendered:
    """`unsubscribe`: a link that turns this kind of mail off, for kinds that can be."""
    shown = _shown(values, language, brand, unsubscribe)
    words = letter(values.template, language)
    blocks = [block for block in words.blocks if block.values() <= shown.keys()]
    ending = [block for block in footer(language) if block.values() <= shown.keys()]
    compiled = mjml2html(
        _filled(
            "letter",
            {
                "language": language,
                "subject": _marked(words.subject),
                "preview": _marked(words.preview),
                "color": brand.color if contrast_of(brand.color) == WHITE else BLACK,
                "blocks": _mjml(blocks, brand),
                "footer": "<br/>".join(_small(block) for block in ending),
            },
        )
    )
    return Rendered(
        subject=filled(words.subject, lambda name: shown[name]),
        text=_plain([*blocks, None, *ending], lambda name: shown[name]),
        html=MARK.sub(lambda found: html.escape(shown[found[1]]), compiled),
    )


def _shown(
    values: MailValues, language: Language, brand: Brand, unsubscribe: str | None
) -> Mapping[str, str]:
    """Each value that is there, as it is read."""
    said: dict[str, Any] = {name: getattr(values, name) for name in type(values).model_fields}
    said |= {"brand": brand.name, "support": brand.support, "footer": brand.footer}
    said |= {"public_url": brand.public_url, "unsubscribe": unsubscribe}
    return {name: _said(name, value, language) for name, value in said.items() if value not in {None, ""}}


def _said(name: str, value: object, language: Language) -> str:
    if isinstance(value, MemberRole):
        return ROLES[value][language]
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    text = str(value.value if isinstance(value, Enum) else value)
    return text if name in AS_THEY_ARE else LINK_LIKE.sub(NO_LINK, text)


def _plain(blocks: Sequence[Block | None], show: Callable[[str], str]) -> str:
    """The text part; None is the line before the footer."""
    parts = []
    for is_fact, group in groupby(blocks, lambda block: block is not None and block.kind is Kind.FACT):
        lines = [_plain_block(block) for block in group]
        parts.append(("\n" if is_fact else "\n\n").join(lines))
    return filled("\n\n".join(parts), show) + "\n"


def _plain_block(block: Block | None) -> str:
    if block is None:
        return "-- "  # how mail programs know what is no part of the message
    match block.kind:
        case Kind.BUTTON:
            return f"{block.label}:\n{block.target}"
        case Kind.FACT:
            return f"{block.label}: {block.text}"
        case Kind.PARAGRAPH | Kind.NOTE:
            return block.text


def _mjml(blocks: Sequence[Block], brand: Brand) -> str:
    parts = []
    for kind, group in groupby(blocks, lambda block: block.kind):
        if kind is Kind.FACT:
            parts.append(_filled("facts", {"rows": "".join(_row(block) for block in group)}))
        else:
            parts += [_block(block, brand) for block in group]
    return "".join(parts)


def _block(block: Block, brand: Brand) -> str:
    places = {"text": _marked(block.text), "label": _marked(block.label), "target": _marked(block.target)}
    return _filled(block.kind, {**places, "color": brand.color, "contrast": contrast_of(brand.color)})


def _row(block: Block) -> str:
    return _filled("fact", {"label": _marked(block.label), "text": _marked(block.text)})


def _small(block: Block) -> str:
    """A block of the footer: text, or a plain link."""
    if block.kind is Kind.BUTTON:
        return f'<a href="{_marked(block.target)}" style="color:inherit">{_marked(block.label)}</a>'
    return _marked(block.text)


def _marked(words: str) -> str:
    """Words as markup, with a mark wherever a value goes."""
    return VALUE.sub(r"%%\1%%", html.escape(words))


def _filled(piece: str, places: Mapping[str, str]) -> str:
    return PLACE.sub(lambda found: places[found[1]], _piece(piece))


@cache
def _piece(name: str) -> str:
    return TEMPLATES.joinpath(f"{name}.mjml").read_text("utf-8")


def contrast_of(color: str) -> str:
    """What is readable on `#rrggbb`: white or black, by how bright the eye sees it (ITU-R BT.601)."""
    red, green, blue = (int(color[at : at + 2], 16) for at in (1, 3, 5))
    return WHITE if 299 * red + 587 * green + 114 * blue < LUMINANCE_MIDDLE else BLACK
