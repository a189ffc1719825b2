"""Every code the program can emit has words in each language, and the words fit what is said in English."""

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.adapters.providers import failures
from bursar.core.messages import CATALOGUE, Language, Words, language_of, title, translated
from bursar.core.messages.titles import TITLES
from bursar.core.messages.words import _PARAMETER
from bursar.db.ledger import LedgerRefused
from bursar.gateway import errors
from bursar.rest.problems import CODE_OF_STATUS, Refusal

SOURCE = Path(__file__).parents[2] / "src" / "bursar"
TALKING = ("adapters/providers", "core", "gateway", "features", "rest")
MESSAGES = SOURCE / "core" / "messages"
# Where, among a failure's arguments, its code is, and what it is when left out.
CODE_AT = {
    "GatewayError": (1, None),
    "ProviderFailure": (None, None),
    "BadRequest": (None, "invalid_request"),
}
HANGUL = re.compile("[\uac00-\ud7a3]")
HAN = re.compile("[\u4e00-\u9fff]")
SAMPLES = {"name": "gpt-9", "successor": "gpt-10", "retry_after_ms": 7000, "limit_bytes": 1024}


@cache
def trees() -> tuple[tuple[Path, ast.Module], ...]:
    paths = sorted(path for folder in TALKING for path in (SOURCE / folder).rglob("*.py"))
    return tuple((path, ast.parse(path.read_text())) for path in paths if not path.is_relative_to(MESSAGES))


def module_of(path: Path) -> str:
    return ".".join(("bursar", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__")


def value_of(path: Path, node: ast.expr) -> str | None:
    """A string written there, or the constant named there; None when only a running program knows."""
    match node:
        case ast.Constant(value=str(code)):
            return code
        case ast.Name(id=name):
            found = getattr(importlib.import_module(module_of(path)), name, None)
        case ast.Attribute(value=ast.Name(id=owner), attr=name):
            found = getattr(getattr(importlib.import_module(module_of(path)), owner, None), name, None)
        case _:
            found = None
    return found if isinstance(found, str) else None


def codes_raised() -> Iterator[str]:
    """Codes given to the exceptions that the gateway tells its callers."""
    for path, tree in trees():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            place, left_out = CODE_AT.get(node.func.id, (None, None))
            given = [keyword.value for keyword in node.keywords if keyword.arg == "code"]
            if node.func.id in CODE_AT and not given and place is not None:
                given = node.args[place : place + 1]
            code = value_of(path, given[0]) if given else left_out
            if code:  # "" blanks the code of a provider's error out
                yield code


def kinds_of(kind: type[Exception]) -> Iterator[type[Exception]]:
    if kind.__module__.startswith("bursar."):
        yield kind
    for narrower in kind.__subclasses__():
        yield from kinds_of(narrower)


def refusals() -> list[type[Exception]]:
    """Every refusal of the control plane and of the books."""
    for path, _ in trees():
        if path.name != "__main__.py":
            importlib.import_module(module_of(path))
    return [kind for root in (Refusal, LedgerRefused) for kind in kinds_of(root)]


def emitted() -> set[str]:
    shown = {code for _, code, _ in failures._SHOWN.values()}
    classes = {str(vars(kind).get("code") or getattr(kind, "code", "")) for kind in refusals()}
    rest = {*CODE_OF_STATUS.values(), "http_error", "internal_error"}
    return {*codes_raised(), *shown, *classes, *rest}


def gateway_errors() -> list[errors.GatewayError]:
    """One of each that `gateway.errors` makes, with and without what is optional."""
    made = []
    for _, make in inspect.getmembers(errors, inspect.isfunction):
        parameters = inspect.signature(make).parameters.values()
        needed = [part for part in parameters if part.default is inspect.Parameter.empty]
        for wanted in (needed, parameters):
            values = {part.name: SAMPLES.get(part.name, part.name) for part in wanted}
            values.pop("retry_after_s", None)
            made.append(make(**values))
    return made


@cache
def sentences_in_source() -> frozenset[str]:
    """Every string of the program, with `{}` where a value goes."""
    found = set()
    for _, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                parts = (part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
                found.add("".join(str(part) for part in parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
    return frozenset(found)


def is_said(words: Words) -> bool:
    if _PARAMETER.sub("{}", words.en) in sentences_in_source():
        return True
    return any(words.retold(error.message, "ko") is not None for error in gateway_errors())


ALL = [(code, words) for code, sentences in CATALOGUE.items() for words in sentences]


class TestCatalogue:
    def test_the_walk_finds_codes_of_every_kind(self) -> None:
        known = {"model_unavailable", "provider_timeout", "insufficient_balance", "unsupported_parameter"}
        assert known | {"key_not_found", "not_in_books", "provider_overloaded"} <= emitted()

    def test_has_words_for_every_code_the_program_can_emit(self) -> None:
        assert sorted(emitted() - CATALOGUE.keys()) == []

    def test_has_no_words_for_codes_that_nobody_emits(self) -> None:
        assert sorted(CATALOGUE.keys() - emitted()) == []

    def test_has_every_language(self) -> None:
        sentences = [words for _, words in ALL] + list(TITLES.values())
        assert [words for words in sentences if not HANGUL.search(words.ko)] == []
        assert [words for words in sentences if not HAN.search(words.zh) or HANGUL.search(words.zh)] == []
        assert [words for words in sentences if not words.en.isascii()] == []

    def test_has_the_same_parameters_in_every_language(self) -> None:
        wanted = [{frozenset(_PARAMETER.findall(text)) for text in words} for _, words in ALL]
        assert [words for (_, words), sets in zip(ALL, wanted, strict=True) if len(sets) != 1] == []

    def test_begins_each_code_with_a_sentence_that_needs_no_values(self) -> None:
        assert [code for code, sentences in CATALOGUE.items() if _PARAMETER.search(sentences[0].en)] == []

    def test_knows_no_english_that_the_program_does_not_say(self) -> None:
        """A sentence changed in the program is to be changed here too, or it is told in English."""
        following = [
            words.en for sentences in CATALOGUE.values() for words in sentences[1:] if not is_said(words)
        ]
        assert following == []


class TestTranslated:
    @pytest.mark.parametrize("error", gateway_errors(), ids=lambda error: error.code)
    def test_says_all_the_gateway_says_itself(self, error: errors.GatewayError) -> None:
        for language, letters in (("ko", HANGUL), ("zh", HAN)):
            said = translated(error.code, error.message, language)  # type: ignore[arg-type] # one of two
            assert letters.search(said)
            assert error.message not in said

    def test_keeps_the_values(self) -> None:
        refusal = errors.insufficient_balance(spendable="0.10", estimate="2.50", currency="USD")
        said = translated(refusal.code, refusal.message, "ko")
        assert said == "이 요청의 비용은 최대 2.50 USD이며, 사용 가능 잔액은 0.10 USD입니다."

    def test_is_english_as_it_was(self) -> None:
        assert translated("model_not_found", "The model 'x' does not exist.", "en").startswith("The model")

    def test_adds_the_original_where_there_is_no_better_sentence(self) -> None:
        assert (
            translated("invalid_request", "body.name: too short", "zh") == "请求无效。 (body.name: too short)"
        )

    def test_leaves_a_code_it_does_not_know(self) -> None:
        assert translated("a_providers_own", "No.", "ko") == "No."

    def test_does_not_look_for_sentences_in_a_long_text(self) -> None:
        long = "The model " + "'" * 100_000
        assert translated("model_not_found", long, "ko") == f"해당 모델이 없습니다. ({long})"

    @given(
        st.sampled_from(sorted(CATALOGUE)),
        st.text(min_size=1, max_size=700),
        st.sampled_from(["en", "ko", "zh"]),
    )
    def test_never_fails(self, code: str, text: str, language: Language) -> None:
        assert translated(code, text, language)

    @given(st.text(min_size=1, max_size=80))
    def test_puts_values_in_as_they_are(self, name: str) -> None:
        said = translated("model_not_found", f"The model {name} does not exist.", "zh")
        assert name in said


class TestTitle:
    def test_is_told_in_the_readers_language(self) -> None:
        assert title(404, "Not Found", "ko") == "찾을 수 없음"
        assert title(404, "Not Found", "zh") == "未找到"

    def test_is_english_for_the_rest(self) -> None:
        assert title(404, "Not Found", "en") == "Not Found"
        assert title(418, "I'm a Teapot", "ko") == "I'm a Teapot"


class TestLanguageOf:
    @pytest.mark.parametrize(
        ("header", "language"),
        [
            ("", "en"),
            ("*", "en"),
            ("ko", "ko"),
            ("KO-kr", "ko"),
            ("ko-KR,ko;q=0.9,en-US;q=0.8,en;q=0.7", "ko"),
            ("zh-Hans-CN, en;q=0.5", "zh"),
            ("zh-TW", "zh"),
            ("en-GB,en;q=0.9,ko;q=0.8", "en"),
            ("fr, de;q=0.9", "en"),
            ("fr, zh;q=0.001", "zh"),
            ("ko;q=0.4, zh;q=0.85", "zh"),
            ("ko;q=0.85, zh;q=0.9", "zh"),
            ("zh, ko", "zh"),
            ("ko ; q=1.000", "ko"),
            ("ko;q=0", "en"),
            ("en;q=0, ko;q=0.1", "ko"),
            ("*;q=0.5, ko;q=0.8", "ko"),
            ("ko;q=1.5", "en"),
            ("ko;q=nan", "en"),
            ("ko;q=-1, zh;q=0.2", "zh"),
            ("ko;q=\u0660", "en"),
            ("korean", "en"),
            (",,;q=,ko", "ko"),
            ("x" * 1000 + ",ko", "en"),
        ],
    )
    def test_is_the_one_with_the_greatest_weight(self, header: str, language: str) -> None:
        assert language_of(header) == language

    @given(st.text(max_size=200))
    def test_never_fails(self, header: str) -> None:
        assert language_of(header) in {"en", "ko", "zh"}
