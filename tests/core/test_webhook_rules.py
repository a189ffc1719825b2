import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from bursar.core.webhooks import (
    PAUSES_MS,
    SECRET_BYTES,
    TRIES_MAX,
    EventType,
    UrlRefused,
    check_url,
    key_of,
    new_secret,
    pause_ms,
    signed_headers,
)

DAY_MS = 24 * 3600 * 1000
GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "webhooks.md"


def now_s() -> int:
    return int(datetime.now(UTC).timestamp())


class TestSignatures:
    @given(st.binary(min_size=SECRET_BYTES, max_size=SECRET_BYTES), st.text(max_size=200))
    def test_are_what_the_specifications_own_library_expects(self, random: bytes, text: str) -> None:
        body = text.encode("utf-8", "replace")
        secret = new_secret(random)
        headers = signed_headers([secret], message_id="msg_1", timestamp_s=now_s(), body=body)
        Webhook(secret).verify(body, headers, json_parse=False)
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(body + b" ", headers, json_parse=False)

    def test_agree_with_the_librarys_for_the_same_moment(self) -> None:
        secret, at = new_secret(b"k" * 32), datetime(2026, 11, 20, 12, tzinfo=UTC)
        headers = signed_headers([secret], message_id="msg_2", timestamp_s=int(at.timestamp()), body=b"{}")
        assert headers["webhook-signature"] == Webhook(secret).sign("msg_2", at, "{}")

    def test_are_two_while_a_secret_is_rotated(self) -> None:
        old, new, other = (new_secret(letter * 32) for letter in (b"a", b"b", b"c"))
        headers = signed_headers([new, old], message_id="msg_3", timestamp_s=now_s(), body=b"{}")
        for secret in (old, new):
            Webhook(secret).verify(b"{}", headers)
        with pytest.raises(WebhookVerificationError):
            Webhook(other).verify(b"{}", headers)

    @pytest.mark.parametrize("text", ["", "whsec_", "whsec_???", "c2VjcmV0"])
    def test_need_a_secret(self, text: str) -> None:
        if text == "whsec_":
            assert key_of(text) == b""
        else:
            with pytest.raises(ValueError, match="not a webhook secret"):
                key_of(text)


class TestEventTypes:
    def test_are_each_told_in_the_guide_and_nothing_else_is(self) -> None:
        rows = re.findall(r"^\| (`[a-z_.`, ]+`) \|", GUIDE.read_text(), re.MULTILINE)
        told: set[str] = set()
        for row in rows:
            names = re.findall(r"`([a-z_.]+)`", row)
            subject = names[0].partition(".")[0]
            told |= {subject + name if name.startswith(".") else name for name in names}
        assert told == set(EventType)


class TestPauses:
    @given(st.integers(1, TRIES_MAX - 1), st.integers(0, 1000), st.none() | st.integers(0, 10**6))
    def test_stay_near_the_schedule_and_obey_who_asks_for_more(
        self, tries: int, jitter: int, asked_s: int | None
    ) -> None:
        pause, usual = pause_ms(tries, jitter=jitter, retry_after_s=asked_s), PAUSES_MS[tries - 1]
        assert pause is not None
        assert usual * 9 // 10 <= pause <= max(usual * 11 // 10, *PAUSES_MS)
        assert pause >= min((asked_s or 0) * 1000, max(PAUSES_MS))
        if asked_s is None:
            assert pause <= usual * 11 // 10

    def test_end_after_a_day(self) -> None:
        assert pause_ms(TRIES_MAX, jitter=500) is None
        assert timedelta(hours=23) < timedelta(milliseconds=sum(PAUSES_MS)) < timedelta(hours=25)
        shortest = sum(pause_ms(tries, jitter=0) or 0 for tries in range(1, TRIES_MAX))
        assert shortest > DAY_MS * 85 // 100
        assert list(PAUSES_MS) == sorted(PAUSES_MS)


class TestAddresses:
    @pytest.mark.parametrize(
        "url",
        [
            "https://example.com",
            "https://example.com:8443/hooks?token=a%20b&x=[1]",
            "https://xn--9krt00a.example/",
            "https://93.184.215.14/hooks",
            "https://[2606:4700::6810:84e5]/",
            "HTTPS://EXAMPLE.COM/",
        ],
    )
    def test_of_the_internet_are_taken(self, url: str) -> None:
        check_url(url)

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "example.com",
            "http://example.com",
            "ftp://example.com",
            "file:///etc/passwd",
            "https://",
            "https://user:password@example.com",
            "https://example.com#part",
            "https://example.com:0",
            "https://example.com:99999",
            "https://good.example\\@10.0.0.1/",
            "https://exa mple.com",
            "https://example.com/\n",
            "https://例子.example",
            "https://localhost",
            "https://hooks.localhost",
            "https://metadata",
            "https://127.0.0.1",
            "https://127.1",
            "https://2130706433",
            "https://0x7f.0.0.1",
            "https://0177.0.0.01",
            "https://10.1.2.3",
            "https://169.254.169.254/latest",
            "https://100.64.0.1",
            "https://[::1]",
            "https://[::ffff:127.0.0.1]",
            "https://[fd00:ec2::254]",
            "https://[fe80::1%25eth0]",
            "https://[",
            "https://example.com/" + "x" * 2000,
        ],
    )
    def test_inside_or_of_another_kind_are_refused(self, url: str) -> None:
        with pytest.raises(UrlRefused):
            check_url(url)

    def test_of_this_machine_are_for_development(self) -> None:
        for url in ("http://127.0.0.1:8000/x", "https://[::1]", "http://localhost"):
            check_url(url, allows_loopback=True)
        for url in ("http://10.0.0.1", "https://10.0.0.1", "http://example.com"):
            with pytest.raises(UrlRefused):
                check_url(url, allows_loopback=True)

    @given(st.text(max_size=60))
    def test_never_fail_otherwise(self, text: str) -> None:
        for url in (text, f"https://{text}"):
            try:
                check_url(url)
            except UrlRefused:
                continue  # what most texts are
