"""One sentence in every language the program speaks."""

import re
from functools import cache
from typing import Final, Literal, NamedTuple

Language = Literal["en", "ko", "zh"]

_PARAMETER: Final = re.compile(r"{([a-z_]+)}")


class Words(NamedTuple):
    """The same sentence three times; parameters are written `{name}` and are the same in each."""

    en: str
    ko: str
    zh: str

    def in_language(self, language: Language) -> str:
        return {"en": self.en, "ko": self.ko, "zh": self.zh}[language]

    def retold(self, english: str, language: Language) -> str | None:
        """`english` in `language`, with its own values; None when this is another sentence."""
        found = _pattern(self.en).fullmatch(english)
        return None if found is None else self.in_language(language).format(**found.groupdict())


@cache
def _pattern(template: str) -> re.Pattern[str]:
    """What matches every sentence made from `template`; a parameter named twice has one value."""
    pieces = _PARAMETER.split(template)
    seen: set[str] = set()
    pattern = re.escape(pieces[0])
    for name, after in zip(pieces[1::2], pieces[2::2], strict=True):
        pattern += f"(?P={name})" if name in seen else f"(?P<{name}>.+?)"
        pattern += re.escape(after)
        seen.add(name)
    return re.compile(pattern, re.DOTALL)
