"""Every knob of Bursar, read from the environment (or `.env`) by entry points only.

A name in the environment is `BURSAR_` plus the field's name in capitals; `.env.example` is made from here.
Names carry their unit: `_ms` milliseconds, `_bytes`, `_percent`; money is a decimal number of major units.
"""

import difflib
import os
import re
import secrets
from decimal import Decimal
from ipaddress import ip_network
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import SettingsConfigDict

from bursar.settings.mail import MailSettings
from bursar.settings.people import PeopleSettings

ENV_PREFIX = "BURSAR_"
# Test and bench harnesses keep names of their own under these; they are not settings.
FOREIGN_PREFIXES = ("BURSAR_TEST_", "BURSAR_BENCH_")
SECRET_KEY_HEX_DIGITS = 64
SECRET_FILE_MODE = 0o600

ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?|https?://\[[0-9a-f:]+\](:[0-9]{1,5})?")

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
MEBIBYTE = 1024 * 1024


class SettingsInvalid(Exception):
    """The environment says something that cannot be; the message names the variable."""


class Settings(PeopleSettings, MailSettings):
    """All settings, frozen. `Settings.load()` is how entry points read them."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_file=".env",
        frozen=True,
        extra="ignore",
        env_ignore_empty=True,
        populate_by_name=True,
    )

    # Where things are
    database_url: str = Field(
        default="",
        description="PostgreSQL: postgresql://owner@host/name. Empty: an embedded one in the data folder.",
    )
    database_url_gateway: str = Field(
        default="",
        description="The same for the gateway, when it logs in as another role. Empty: database_url.",
    )
    database_url_api: str = Field(
        default="", description="The same for the control plane's API. Empty: database_url."
    )
    database_url_worker: str = Field(default="", description="The same for the worker. Empty: database_url.")
    data_dir: Path = Field(
        default=Path(".bursar"),
        description="Folder of the embedded PostgreSQL, the spool and generated secrets.",
    )
    secret_key: SecretStr = Field(
        default=SecretStr(""),
        description="64 hex digits that seal credentials, signing keys and waiting mails. Empty: generated "
        "once into secret.key in the data folder (mode 0600).",
    )

    # Listening
    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8080, ge=0, le=65535, description="Port to listen on; 0 picks a free one.")
    simulate_port: int = Field(
        default=8090, ge=0, le=65535, description="Port of the simulated providers; 0 picks a free one."
    )
    trusted_proxies: str = Field(
        default="",
        description="Proxies whose X-Forwarded-For is believed: addresses or networks, separated by commas.",
    )
    operator_addresses: str = Field(
        default="",
        description="Where operators may work from: addresses or networks, separated by commas. Empty: "
        "anywhere. A person or token may be bound closer.",
    )
    metrics_for: str = Field(
        default="127.0.0.1, ::1",
        description="Who may read /metrics without a key: addresses or networks, separated by commas. Empty: "
        "nobody, as is wise behind a proxy on this machine that adds no X-Forwarded-For.",
    )
    public_url: str = Field(
        default="http://localhost:8080",
        pattern=r"^https?://[^\s/?#]+(/[^\s?#]*)?$",
        description="Where people reach Bursar: links in mails begin with it, and cookies are Secure when it "
        "is https.",
    )
    cors_origins: str = Field(
        default="",
        description="Other origins whose pages may call the control plane with a browser's cookies, such as "
        "https://console.example.com, separated by commas. There is no wildcard.",
    )
    shutdown_grace_ms: int = Field(
        default=30_000, ge=0, description="How long a stopping server waits for answers under way."
    )

    # Webhooks
    webhooks_to_loopback: bool = Field(
        default=False,
        description="For development: customers' webhooks may go to this machine itself, and by http.",
    )
    webhooks_every_ms: int = Field(
        default=1_000, ge=10, description="Pause between rounds of sending webhooks."
    )

    # Keys and limits
    key_prefix: str = Field(
        default="llm_sk_", pattern=r"^[A-Za-z0-9_]{1,16}$", description="First characters of new API keys."
    )
    requests_per_minute_default: int = Field(
        default=60, ge=1, description="Requests per minute of a key that sets no limit of its own."
    )
    redis_url: str = Field(
        default="",
        pattern=r"^$|^(redis|rediss|unix)://",
        description="Redis or Valkey that gateways share rate limits in, such as redis://host:6379/0. Empty: "
        "each process counts by itself.",
    )
    redis_timeout_ms: int = Field(
        default=1_000, ge=1, description="A Redis that is silent for so long is lost until it answers again."
    )
    body_bytes_max: int = Field(
        default=100 * MEBIBYTE, ge=1024, description="Longest request body; a longer one is answered 413."
    )
    bodies_bytes_max: int = Field(
        default=1000 * MEBIBYTE, ge=1024, description="Request bodies in a gateway's memory, all together."
    )
    in_flight_max: int = Field(
        default=10_000, ge=1, description="Requests under way at once in one gateway process."
    )

    # Providers
    connect_timeout_ms: int = Field(
        default=5_000, ge=1, description="Longest wait for a connection to a provider."
    )
    first_byte_timeout_ms: int = Field(
        default=300_000, ge=1, description="Longest wait for a provider's first byte."
    )
    idle_timeout_ms: int = Field(
        default=120_000, ge=1, description="Longest silence of a provider in mid-answer."
    )
    answer_bytes_max: int = Field(
        default=64 * MEBIBYTE, ge=1024, description="Longest whole answer accepted from a provider."
    )
    attempts_max: int = Field(default=4, ge=1, description="Most tries at providers for one request.")
    rounds_max: int = Field(
        default=2, ge=1, le=10, description="Most rounds that a request makes of a model's deployments."
    )
    retry_deadline_ms: int = Field(
        default=15_000, ge=0, description="No try begins so long after its request came in."
    )
    retry_backoff_ms: int = Field(
        default=250, ge=1, description="Longest pause before the second round; it doubles for each one after."
    )
    retry_backoff_ms_max: int = Field(default=4_000, ge=1, description="Longest pause before any round.")
    credential_cooldown_ms: int = Field(
        default=30_000,
        ge=1,
        description="How long a credential is passed over after 429 or overload, unless its provider says.",
    )
    credential_cooldown_ms_max: int = Field(
        default=600_000, ge=1, description="Longest such time, whatever the provider says."
    )
    credential_out_ms: int = Field(
        default=900_000,
        ge=1,
        description="How long a credential is out of rotation whose key or account its provider refuses, "
        "unless it is changed before.",
    )
    credential_probe_ms: int = Field(
        default=30_000,
        ge=1,
        description="How often such a credential is tried all the same when a model has no other.",
    )
    upstream_connections_max: int = Field(
        default=2_000, ge=1, description="Most connections to providers that one gateway process keeps open."
    )
    drain_tasks_max: int = Field(
        default=1_000, ge=0, description="Most answers read to their end after the caller hung up, at once."
    )
    drain_timeout_ms: int = Field(
        default=60_000, ge=0, description="Longest time to read on after a caller hung up."
    )
    drain_bytes_max: int = Field(
        default=16 * MEBIBYTE, ge=0, description="Most bytes to read on after a caller hung up."
    )
    margin_percent_default: Decimal = Field(
        default=Decimal(20), ge=0, description="Sale price over cost for imported prices, in percent."
    )

    # Money in the gateway's memory
    lease_cap: Decimal = Field(
        default=Decimal(50), gt=0, description="Most money in one lease, in major units (50 = USD 50)."
    )
    lease_idle_ms: int = Field(
        default=30_000, ge=1, description="A lease unused for so long gives its money back."
    )
    beat_every_ms: int = Field(
        default=10_000, ge=10, description="How often a gateway process says it is alive."
    )
    process_life_ms: int = Field(
        default=40_000,
        ge=100,
        description="A gateway admits nothing so long after its last acknowledged beat.",
    )
    process_dead_ms: int = Field(
        default=60_000,
        ge=100,
        description="The sweeper closes a process silent for so long; above process_life_ms.",
    )
    mark_every_ms: int = Field(
        default=5_000, ge=10, description="How often an open stream leaves a progress mark."
    )

    # The worker's rounds
    post_every_ms: int = Field(
        default=500, ge=10, le=1_000, description="Pause between postings of settled usage."
    )
    sweep_every_ms: int = Field(
        default=5_000,
        ge=10,
        le=15_000,
        description="Pause between sweeps of silent processes and expired lots.",
    )
    outbox_every_ms: int = Field(default=1_000, ge=10, description="Pause between rounds of event delivery.")
    partitions_every_ms: int = Field(
        default=HOUR_MS, ge=1_000, description="Pause between looks at the monthly partitions."
    )
    purge_every_ms: int = Field(
        default=MINUTE_MS, ge=10, description="Pause between deletions of kept responses that expired."
    )
    seal_every_ms: int = Field(
        default=1_000,
        ge=10,
        le=60_000,
        description="Pause between sealings of the audit log; until then an entry is in no chain.",
    )
    check_every_ms: int = Field(
        default=15 * MINUTE_MS, ge=1_000, description="Pause between checks of the books."
    )

    # Logs
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="debug, info, warning or error."
    )
    log_format: Literal["auto", "json", "text"] = Field(
        default="auto", description="json, text, or auto: text on a terminal and json otherwise."
    )

    # Real providers for `make demo`, under the names their makers use
    openai_api_key: SecretStr = Field(
        default=SecretStr(""), validation_alias="OPENAI_API_KEY", description="Registers OpenAI in the demo."
    )
    anthropic_api_key: SecretStr = Field(
        default=SecretStr(""),
        validation_alias="ANTHROPIC_API_KEY",
        description="Registers Anthropic in the demo.",
    )
    gemini_api_key: SecretStr = Field(
        default=SecretStr(""), validation_alias="GEMINI_API_KEY", description="Registers Google in the demo."
    )

    @field_validator("trusted_proxies", "operator_addresses", "metrics_for")
    @classmethod
    def _only_networks(cls, listed: str) -> str:
        try:
            for one in networks_in(listed):
                ip_network(one)
        except ValueError:
            raise ValueError("must be networks such as 10.0.0.0/8, separated by commas") from None
        return listed

    @field_validator("cors_origins")
    @classmethod
    def _only_origins(cls, listed: str) -> str:
        if any(not ORIGIN.fullmatch(one) for one in networks_in(listed)):
            raise ValueError("must be origins such as https://console.example.com, separated by commas")
        return listed

    @classmethod
    def load(cls) -> Self:
        """Read the environment.

        Raises:
            SettingsInvalid: a value does not fit, or a `BURSAR_` variable is not a setting.
        """
        unknown = unknown_names(list(os.environ))
        if unknown:
            raise SettingsInvalid(unknown)
        try:
            return cls()
        except ValidationError as error:
            raise SettingsInvalid(readable(error)) from error

    @property
    def spool_dir(self) -> Path:
        """Folder of settled usage that PostgreSQL has not taken yet."""
        return self.data_dir / "spool"

    def dsn_of(self, role: Literal["gateway", "api", "worker"], embedded_dsn: str) -> str:
        """Choose the connection string of one role; `embedded_dsn` serves when none is set."""
        own = {
            "gateway": self.database_url_gateway,
            "api": self.database_url_api,
            "worker": self.database_url_worker,
        }[role]
        return own or self.database_url or embedded_dsn


def networks_in(listed: str) -> list[str]:
    """The entries of a list separated by commas."""
    return [one.strip() for one in listed.split(",") if one.strip()]


def env_name(field: str) -> str:
    """Name of a field in the environment."""
    alias = Settings.model_fields[field].validation_alias
    return alias if isinstance(alias, str) else ENV_PREFIX + field.upper()


def unknown_names(names: list[str]) -> str:
    """Say which `BURSAR_` names are no settings, with the nearest real name; empty when all are known."""
    known = {env_name(field) for field in Settings.model_fields}
    wrong = [
        name
        for name in names
        if name.startswith(ENV_PREFIX) and not name.startswith(FOREIGN_PREFIXES) and name not in known
    ]
    said = []
    for name in sorted(wrong):
        near = difflib.get_close_matches(name, known, n=1)
        said.append(f"{name} is not a setting" + (f"; did you mean {near[0]}?" if near else ""))
    return "\n".join(said)


def readable(error: ValidationError) -> str:
    """One line per wrong value, without the value: it may be a secret."""
    lines = []
    for problem in error.errors():
        field = str(problem["loc"][0]) if problem["loc"] else ""
        name = env_name(field) if field in Settings.model_fields else field
        lines.append(f"{name}: {problem['msg']}")
    return "\n".join(lines)


def secret_key_of(settings: Settings) -> bytes:
    """The 32 bytes that seal provider credentials: from the environment, else from the generated file.

    Raises:
        SettingsInvalid: the key is not 64 hex digits, or others may read its file.
    """
    given = settings.secret_key.get_secret_value()
    if given:
        return parse_secret_key(given, "BURSAR_SECRET_KEY")
    path = settings.data_dir / "secret.key"
    text = keep_secret(path, secrets.token_hex(SECRET_KEY_HEX_DIGITS // 2))
    return parse_secret_key(text, str(path))


def parse_secret_key(text: str, source: str) -> bytes:
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        key = b""
    if len(key) * 2 != SECRET_KEY_HEX_DIGITS:
        raise SettingsInvalid(f"{source} must be {SECRET_KEY_HEX_DIGITS} hex digits (openssl rand -hex 32)")
    return key


def keep_secret(path: Path, text: str) -> str:
    """Return the secret kept in `path`, writing `text` there first when there is none (mode 0600).

    Two processes that start at once agree: the file appears complete or not at all, and the first one wins.

    Raises:
        SettingsInvalid: the folder cannot be written, or other users may read the file.
    """
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
            with os.fdopen(
                os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, SECRET_FILE_MODE), "w"
            ) as file:
                file.write(text + "\n")
                file.flush()
                os.fsync(file.fileno())
            try:
                path.hardlink_to(draft)
            except FileExistsError:
                pass  # another process was first: its secret is the one
            finally:
                draft.unlink()
        if path.stat().st_mode & 0o077:
            raise SettingsInvalid(f"{path} can be read by other users; run: chmod 600 {path}")
        return path.read_text().strip()
    except OSError as error:
        raise SettingsInvalid(f"cannot keep a secret in {path}: {error.strerror}") from error
