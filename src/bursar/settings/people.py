"""The knobs of people: signing up and in, here and elsewhere, abuse, and their data."""

from decimal import Decimal
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

MINUTE_MS = 60_000


class PeopleSettings(BaseSettings):
    """Part of `Settings`."""

    model_config = SettingsConfigDict(frozen=True, populate_by_name=True)

    # People
    organisations_per_person_max: int = Field(
        default=5,
        ge=0,
        description="Organisations that one person may own; 0: only operators make organisations.",
    )

    # Signing in elsewhere; redirect URI: <public URL>/api/v1/auth/providers/<google|github|discord>/callback
    google_client_id: str = Field(default="", description="OAuth client for Google. Empty: no such button.")
    google_client_secret: SecretStr = Field(default=SecretStr(""), description="Its secret.")
    github_client_id: str = Field(default="", description="OAuth app for GitHub. Empty: no such button.")
    github_client_secret: SecretStr = Field(default=SecretStr(""), description="Its secret.")
    discord_client_id: str = Field(default="", description="Application for Discord. Empty: no such button.")
    discord_client_secret: SecretStr = Field(default=SecretStr(""), description="Its secret.")
    sso_allow_loopback: bool = Field(
        default=False,
        description="For development: identity providers may be on this machine, without TLS.",
    )

    # Accounts
    sign_up_open: bool = Field(default=True, description="Strangers may open an account by themselves.")
    sign_up_currency: Literal["USD", "EUR", "CNY", "KRW", "JPY"] = Field(
        default="USD", description="Currency of organisations that strangers open."
    )
    trial_credit: Decimal = Field(
        default=Decimal(0),
        ge=0,
        description="Given to each of them once its mail address is verified, in major units (5 = USD 5).",
    )
    terms_version: str = Field(
        default="1", min_length=1, max_length=50, description="Version of the terms that people accept."
    )
    privacy_version: str = Field(
        default="1",
        min_length=1,
        max_length=50,
        description="Version of the privacy notice that they accept.",
    )
    sign_ups_per_hour_per_network: int = Field(
        default=20, ge=1, le=3_600, description="Most sign-ups from one IPv4 address or IPv6 /64."
    )
    sign_ups_per_hour_per_domain: int = Field(
        default=60,
        ge=1,
        le=3_600,
        description="Most sign-ups with mail addresses of one domain, but for the big mail providers.",
    )
    sign_up_refused_domains: str = Field(
        default="",
        description="Domains of mail addresses that may not sign up, besides the disposable ones known; "
        "separated by commas.",
    )
    captcha: Literal["none", "hcaptcha", "turnstile"] = Field(
        default="none", description="What strangers solve before they sign up: none, hcaptcha or turnstile."
    )
    captcha_site_key: str = Field(default="", description="Its public key, for the page.")
    captcha_secret: SecretStr = Field(default=SecretStr(""), description="Its secret key.")
    password_memory_kib: int = Field(
        default=65_536,
        ge=8,
        le=1_048_576,
        description="Memory of one argon2id password hash; four are made at once.",
    )
    password_passes: int = Field(
        default=2, ge=1, le=100, description="Passes over that memory: more are slower for everybody."
    )

    # Abuse
    abuse_queue_score: int = Field(
        default=30, ge=1, le=101, description="Score of docs/abuse-rules.md to show operators; 101: none."
    )
    abuse_suspend_score: int = Field(
        default=80, ge=1, le=101, description="Score to suspend an organisation at once; 101: never."
    )
    abuse_every_ms: int = Field(default=MINUTE_MS, ge=10, description="Pause between looks for abuse.")

    # What people may ask of their data
    erasure_grace_days: int = Field(
        default=14, ge=0, le=365, description="Days in which the deletion of an account can be taken back."
    )
    export_life_days: int = Field(
        default=7, ge=1, le=90, description="Days for which an archive of exported data can be downloaded."
    )

    @model_validator(mode="after")
    def _captcha_is_whole(self) -> Self:
        if self.captcha != "none" and not (self.captcha_site_key and self.captcha_secret.get_secret_value()):
            raise ValueError("BURSAR_CAPTCHA also needs BURSAR_CAPTCHA_SITE_KEY and BURSAR_CAPTCHA_SECRET")
        return self
