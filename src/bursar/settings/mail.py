"""The knobs of mail: as whom it is sent, and by which servers."""

from ipaddress import ip_address
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from bursar.rest.fields import Email, Name

Tls = Literal["starttls", "implicit", "none"]


class MailSettings(BaseSettings):
    """Part of `Settings`."""

    model_config = SettingsConfigDict(frozen=True, populate_by_name=True)

    brand_name: Name = Field(default="Bursar", description="What mails call the place.")
    brand_color: str = Field(
        default="#1f4b99", pattern=r"^#[0-9a-fA-F]{6}$", description="Of the name and the buttons in mails."
    )
    mail_from: Email | Literal[""] = Field(default="", description="Address that mails come from.")
    mail_support: Email | Literal[""] = Field(
        default="", description="Address that answers to mails go to and questions are asked at. Empty: none."
    )
    mail_footer: str = Field(
        default="",
        max_length=300,
        description="Last line of each mail, such as the company's name and postal address.",
    )
    smtp_host: str = Field(
        default="", description="Mail server. Empty: mails wait in the database until there is one."
    )
    smtp_port: int = Field(default=587, ge=1, le=65535, description="Its port.")
    smtp_tls: Tls = Field(
        default="starttls", description="starttls (port 587), implicit (port 465), or none for plain text."
    )
    smtp_username: str = Field(default="", description="Its user name. Empty: no log-in.")
    smtp_password: SecretStr = Field(default=SecretStr(""), description="Its password.")
    smtp_fallback_host: str = Field(
        default="",
        description="Mail server that is asked at once when the first cannot be used. Empty: none.",
    )
    smtp_fallback_port: int = Field(default=587, ge=1, le=65535, description="Its port.")
    smtp_fallback_tls: Tls = Field(default="starttls", description="As smtp_tls.")
    smtp_fallback_username: str = Field(default="", description="Its user name. Empty: no log-in.")
    smtp_fallback_password: SecretStr = Field(default=SecretStr(""), description="Its password.")
    mail_dir: str = Field(
        default="",
        description="For development: folder that mails are written to while smtp_host is empty.",
    )
    mail_every_ms: int = Field(default=1_000, ge=10, description="Pause between rounds of sending mail.")

    @model_validator(mode="after")
    def _servers_are_whole(self) -> Self:
        if (self.smtp_host or self.smtp_fallback_host) and not self.mail_from:
            raise ValueError("BURSAR_SMTP_HOST also needs BURSAR_MAIL_FROM")
        if self.smtp_fallback_host and not self.smtp_host:
            raise ValueError("BURSAR_SMTP_FALLBACK_HOST also needs BURSAR_SMTP_HOST")
        if _in_the_clear(self.smtp_tls, self.smtp_host, self.smtp_password) or _in_the_clear(
            self.smtp_fallback_tls, self.smtp_fallback_host, self.smtp_fallback_password
        ):
            raise ValueError("an SMTP password needs TLS: it would be sent for all to read")
        return self


def _in_the_clear(tls: Tls, host: str, password: SecretStr) -> bool:
    """A password would leave this machine unencrypted."""
    if tls != "none" or not password.get_secret_value():
        return False
    try:
        return not ip_address(host).is_loopback
    except ValueError:
        return host != "localhost"
