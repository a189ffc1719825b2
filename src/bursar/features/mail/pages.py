# ruff: noqa: RUF001 - Chinese is written with Chinese punctuation
"""The two pages of mail that are not JSON: the preview for operators, and turning mails off."""

import html
from collections.abc import Mapping
from typing import Final, NamedTuple

from fastapi.responses import HTMLResponse

from bursar.core.messages import Language
from bursar.features.mail.schemas import Preview

HEADERS: Final = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
    "frame-ancestors 'none'",
    "referrer-policy": "no-referrer",  # the address of the page is what turns the mails off
    "cache-control": "no-store",
}

_PAGE: Final = """<!doctype html>
<html lang="{language}"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 1rem auto; max-width: 42rem; padding: 0 1rem; }}
iframe {{ width: 100%; height: 36rem; border: 1px solid #ccc; }}
pre {{ white-space: pre-wrap; background: #f6f8fa; padding: 1rem; }}
button {{ font: inherit; padding: .5rem 1rem; }}
</style></head><body><h1>{title}</h1>{body}</body></html>
"""


class Words(NamedTuple):
    title: str
    question: str
    button: str
    done: str


WORDS: Final[Mapping[Language, Words]] = {
    "en": Words(
        "Turn off mails",
        "Shall {address} get no more mails of this kind?",
        "Turn off",
        "Done. {address} gets no more mails of this kind.",
    ),
    "ko": Words(
        "메일 수신 거부",
        "{address}(으)로 이런 종류의 메일을 더 이상 보내지 않을까요?",
        "수신 거부",
        "처리되었습니다. {address}(으)로 이런 종류의 메일을 더 이상 보내지 않습니다.",
    ),
    "zh": Words(
        "退订邮件",
        "确定不再向 {address} 发送此类邮件吗？",
        "退订",
        "已完成。我们不会再向 {address} 发送此类邮件。",
    ),
}


def preview_page(template: str, previews: Mapping[Language, Preview]) -> HTMLResponse:
    """Every language of a template; each mail in a frame of its own that may do nothing."""
    parts = [
        f'<section lang="{language}"><h2>{html.escape(told.subject)} ({language})</h2>'
        f'<iframe sandbox title="HTML, {language}" srcdoc="{html.escape(told.html)}"></iframe>'
        f"<pre>{html.escape(told.text)}</pre></section>"
        for language, told in previews.items()
    ]
    return _page("en", template, "".join(parts))


def question_page(language: Language, address: str) -> HTMLResponse:
    """A button; opening a link turns nothing off, because mail scanners open links."""
    words = WORDS[language]
    question = html.escape(words.question.format(address=address))
    return _page(
        language,
        words.title,
        f'<p>{question}</p><form method="post"><button>{html.escape(words.button)}</button></form>',
    )


def done_page(language: Language, address: str) -> HTMLResponse:
    words = WORDS[language]
    return _page(language, words.title, f"<p>{html.escape(words.done.format(address=address))}</p>")


def _page(language: Language, title: str, body: str) -> HTMLResponse:
    return HTMLResponse(_PAGE.format(language=language, title=html.escape(title), body=body), headers=HEADERS)
