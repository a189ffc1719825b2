"""Which mail addresses may sign up: not the throw-away ones, nor what the operator refuses."""

from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Final

from bursar.rest.problems import Invalid

SHARED_DOMAINS: Final = frozenset(
    {
        *("126.com", "163.com", "aol.com", "daum.net", "fastmail.com", "foxmail.com", "gmail.com"),
        *("gmx.at", "gmx.ch", "gmx.com", "gmx.de", "gmx.net", "googlemail.com", "hanmail.net"),
        *("hotmail.com", "icloud.com", "kakao.com", "live.com", "mac.com", "mail.ru", "me.com", "msn.com"),
        *("nate.com", "naver.com", "outlook.com", "proton.me", "protonmail.com", "qq.com", "sina.com"),
        *("web.de", "yahoo.co.jp", "yahoo.com", "yandex.ru", "yeah.net", "zoho.com"),
    }
)
"""Where everybody has his mail: as many sign-ups as there are say nothing."""


class EmailRefused(Invalid):
    code = "email_refused"

    def __init__(self) -> None:
        super().__init__("body.email: addresses of this domain are not taken: use a lasting one.")


def domain_of(email: str) -> str:
    return email.rpartition("@")[2].lower()


def check_domain(email: str, refused: frozenset[str]) -> None:
    """Raises `EmailRefused` for a disposable domain, one of `refused`, or one below either."""
    known = disposable_domains()
    if any(domain in known or domain in refused for domain in _with_parents(domain_of(email))):
        raise EmailRefused


@cache
def disposable_domains() -> frozenset[str]:
    """Domains that give everybody an address for ten minutes; kept in `disposable_domains.txt`."""
    text = files(__package__).joinpath("disposable_domains.txt").read_text("utf-8")
    return frozenset(line for line in text.splitlines() if line and not line.startswith("#"))


def _with_parents(domain: str) -> Iterator[str]:
    """`a.b.c`, `b.c`; a top-level domain is nobody's."""
    labels = domain.split(".")
    for start in range(len(labels) - 1):
        yield ".".join(labels[start:])
