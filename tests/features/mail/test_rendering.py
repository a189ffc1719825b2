"""Every mail in every language: complete, escaped, readable without HTML, and loading nothing."""

import re
from html.parser import HTMLParser
from typing import get_args

import pytest
from pydantic import ValidationError

from bursar.core.brand import Brand
from bursar.core.messages import Language
from bursar.features.mail.letters import TEMPLATES, footer, letter
from bursar.features.mail.rendering import BLACK, NO_LINK, WHITE, contrast_of, render
from bursar.features.mail.samples import sample
from bursar.rest.mails import KINDS, Invite, LowBalance, ResetPassword

LANGUAGES: tuple[Language, ...] = get_args(Language)
BRAND = Brand(
    name="Kiwi & Sons",
    color="#fafa00",
    sender="hello@kiwi.example",
    support="help@kiwi.example",
    footer="Kiwi & Sons Ltd, 1 Hill Road",
    public_url="https://kiwi.example",
)
LETTERS = {"ko": re.compile("[\uac00-\ud7a3]"), "zh": re.compile("[\u4e00-\u9fff]")}
LOADING = re.compile(
    r"<(img|link|iframe|script|object|video|audio|source)\b|@import|url\(|\bsrc=", re.IGNORECASE
)
PROVIDED = {"brand", "support", "footer", "public_url", "unsubscribe"}
LINK = "https://bursar.example/open/4Yq7dX"


class Seen(HTMLParser):
    """What a reader sees of HTML, and where its links lead."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.text = ""
        self.links: set[str] = set()
        self.tags: set[str] = set()
        self._is_hidden = False
        self.feed(markup)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self._is_hidden = tag in {"style", "title"}
        self.links |= {value or "" for name, value in attrs if name == "href"}

    def handle_endtag(self, _tag: str) -> None:
        self._is_hidden = False

    def handle_data(self, data: str) -> None:
        self.text += "" if self._is_hidden else data


def squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text)


class TestTemplates:
    def test_exist_for_every_kind_in_every_language_and_for_nothing_else(self) -> None:
        for language in LANGUAGES:
            there = {path.name.removesuffix(".txt") for path in TEMPLATES.joinpath(language).iterdir()}
            assert there == {*KINDS, "footer"}

    @pytest.mark.parametrize("template", KINDS)
    def test_name_the_same_values_in_every_language_and_none_that_is_unknown(self, template: str) -> None:
        fields = KINDS[template].model_fields
        named = {language: letter(template, language).values() - {"brand"} for language in LANGUAGES}
        assert named["ko"] == named["zh"] == named["en"]
        assert named["en"] == set(fields)
        for language in LANGUAGES:
            words = letter(template, language)
            always = {name for name, field in fields.items() if field.is_required()} | {"brand"}
            assert set(re.findall(r"\{(\w+)\}", words.subject + words.preview)) <= always
            assert set().union(*(block.values() for block in footer(language))) == PROVIDED


class TestRender:
    @pytest.mark.parametrize("language", LANGUAGES)
    @pytest.mark.parametrize("template", KINDS)
    def test_says_the_same_in_both_parts_and_loads_nothing(self, template: str, language: Language) -> None:
        for is_full in (True, False):
            values = sample(template, is_full=is_full)
            told = render(values, language, BRAND, unsubscribe="https://kiwi.example/off?t=1&k=2")
            seen = Seen(told.html)
            assert not re.search(r"\{\w*\}|%%|None", told.subject + told.text + seen.text)
            assert LOADING.search(told.html) is None
            assert seen.links <= {LINK, "https://kiwi.example/off?t=1&k=2"}
            for line in told.text.replace("-- \n", "").split("\n"):
                said = line if line.startswith("http") else line.rstrip(":")
                place = "".join(seen.links) if line.startswith("http") else seen.text
                for part in said.split(": ", 1):
                    assert squeezed(part) in squeezed(place)
            assert told.subject in seen.text
            assert all(
                LETTERS[language].search(part) for part in (told.subject, told.text) if language != "en"
            )
            assert f'lang="{language}"' in told.html

    def test_escapes_what_somebody_wrote(self) -> None:
        evil = "<img src=x onerror=alert(1)>\"'&{link}%%link%%{{color}}<mj-raw>"
        told = render(
            Invite(
                organisation=evil, role="viewer", link=LINK, expires_at="2027-01-01T00:00:00Z", inviter=evil
            ),  # type: ignore[arg-type]  # pydantic reads these
            "en",
            BRAND,
        )
        seen = Seen(told.html)
        assert "img" not in seen.tags
        assert evil in seen.text
        assert evil in told.text
        assert evil in told.subject

    def test_makes_no_link_of_what_somebody_called_himself(self) -> None:
        told = render(
            Invite(
                organisation="Win at https://evil.example/x",
                role="viewer",
                link=LINK,
                expires_at="2027-01-01T00:00:00Z",
            ),  # type: ignore[arg-type]  # pydantic reads these
            "en",
            BRAND,
        )
        for said in (told.text, Seen(told.html).text, told.subject):
            assert "evil.example" not in said
            assert "https://evil" not in said
            assert "Win at https://evil.example/x" in said.replace(NO_LINK, "")

    def test_leaves_a_line_out_whose_value_is_absent(self) -> None:
        told = render(LowBalance(organisation="Acme", balance="1.50", currency="USD", link=LINK), "en", BRAND)
        assert "Balance: 1.50 USD" in told.text
        assert "Warning level" not in told.text
        assert "Turn off" not in told.text + told.html

    def test_looks_as_the_brand_does(self) -> None:
        values = sample("verify_email")
        one, other = (render(values, "ko", brand) for brand in (BRAND, Brand()))
        assert "Kiwi & Sons Ltd, 1 Hill Road" in one.text
        assert "Kiwi &amp; Sons" in one.html
        assert 'bgcolor="#fafa00"' in one.html
        assert "color:#fafa00" not in one.html.replace("background-color:#fafa00", "")  # unreadable
        assert "help@kiwi.example" in one.text
        assert "Bursar" in other.html
        assert "Kiwi" not in other.html + other.text
        assert (contrast_of("#fafa00"), contrast_of("#1f4b99")) == (BLACK, WHITE)


class TestValues:
    @pytest.mark.parametrize(
        "link",
        [
            "javascript:alert(1)",
            "/reset",
            "https://",
            "https://a.example/<b>",
            "https://a.example/\r\nBcc: x",
            "ftp://a.example/",
        ],
    )
    def test_refuse_a_link_that_is_none(self, link: str) -> None:
        with pytest.raises(ValidationError):
            ResetPassword(link=link, expires_at="2027-01-01T00:00:00Z")  # type: ignore[arg-type]  # pydantic reads it

    @pytest.mark.parametrize("name", ["a\r\nBcc: all@shop.example", "a\x00b", "", "x" * 301])
    def test_refuse_what_is_no_line(self, name: str) -> None:
        with pytest.raises(ValidationError):
            LowBalance(organisation=name, balance="1", currency="USD", link=LINK)

    @pytest.mark.parametrize("template", KINDS)
    def test_refuse_to_lack_anything_or_to_have_more(self, template: str) -> None:
        given = sample(template).model_dump()
        for name, field in KINDS[template].model_fields.items():
            if field.is_required():
                with pytest.raises(ValidationError):
                    KINDS[template].model_validate({key: one for key, one in given.items() if key != name})
        with pytest.raises(ValidationError):
            KINDS[template].model_validate({**given, "unheard": "of"})
