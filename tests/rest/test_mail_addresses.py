"""A mail address is written one way, so that what is said of its domain holds."""

import pytest
from pydantic import BaseModel, ValidationError

from bursar.rest.fields import Email
from bursar.rest.mail_domains import EmailRefused, check_domain


class Written(BaseModel):
    email: Email


class TestEmail:
    @pytest.mark.parametrize(
        ("text", "kept"),
        [
            (" ana@acme.example ", "ana@acme.example"),
            ("ana+1@Acme.example", "ana+1@Acme.example"),
            ("ana@b\u00fccher.example", "ana@xn--bcher-kva.example"),
            ("ana@xn--bcher-kva.example", "ana@xn--bcher-kva.example"),
        ],
    )
    def test_has_its_domain_as_dns_has_it(self, text: str, kept: str) -> None:
        assert Written(email=text).email == kept

    @pytest.mark.parametrize(
        "text",
        [
            "ana@acme.example.",
            "ana@acme..example",
            "ana@acme.example\uff20evil.example",  # a full-width @
            "ana@" + "\u00fc" * 60 + ".example",
            ("\u00fc." * 60 + "example").join(("ana@", "")),
        ],
    )
    def test_refuses_what_is_none_once_it_is_sent(self, text: str) -> None:
        with pytest.raises(ValidationError):
            Written(email=text)

    @pytest.mark.parametrize(
        "domain", ["\uff4dailinator.com", "mail\u00adinator.com", "eu\u3002mailinator.com"]
    )
    def test_gets_past_no_list_by_another_spelling(self, domain: str) -> None:
        with pytest.raises(EmailRefused):
            check_domain(Written(email=f"x@{domain}").email, frozenset())
