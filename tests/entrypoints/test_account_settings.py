"""What accounts take from the environment."""

import pytest

from bursar.adapters.captcha.siteverify import SiteVerify
from bursar.entrypoints.accounts import captcha, passwords, sign_up_policy
from bursar.settings import Settings, SettingsInvalid


class TestAccountSettings:
    def test_become_the_policy_of_sign_ups(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("BURSAR_SIGN_UP_REFUSED_DOMAINS", "Spam.example, @bad.example")
        monkeypatch.setenv("BURSAR_SIGN_UP_OPEN", "false")
        monkeypatch.setenv("BURSAR_TRIAL_CREDIT", "5.50")
        policy = sign_up_policy(Settings.load())
        assert policy.refused_domains == {"spam.example", "bad.example"}
        assert (policy.is_open, str(policy.trial_credit), policy.currency) == (False, "5.50", "USD")

    def test_ask_for_no_captcha_by_default(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert captcha(Settings.load()) is None
        monkeypatch.setenv("BURSAR_CAPTCHA", "turnstile")
        with pytest.raises(SettingsInvalid, match="BURSAR_CAPTCHA_SECRET"):
            Settings.load()
        monkeypatch.setenv("BURSAR_CAPTCHA_SITE_KEY", "site")
        monkeypatch.setenv("BURSAR_CAPTCHA_SECRET", "secret")
        assert isinstance(captcha(Settings.load()), SiteVerify)

    @pytest.mark.parametrize(
        "listed", ["*", "https://*.example", "console.example", "https://x.example/path"]
    )
    def test_let_no_wildcard_call_with_cookies(self, monkeypatch: pytest.MonkeyPatch, listed: str) -> None:
        monkeypatch.setenv("BURSAR_CORS_ORIGINS", listed)
        with pytest.raises(SettingsInvalid, match="BURSAR_CORS_ORIGINS"):
            Settings.load()

    async def test_say_how_hard_passwords_are_to_hash(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("BURSAR_PASSWORD_MEMORY_KIB", "8")
        monkeypatch.setenv("BURSAR_PASSWORD_PASSES", "3")
        assert "$m=8,t=3,p=1$" in await passwords(Settings.load()).hash("x")
