"""The settings: the only reader of the environment.

Promise: ``load()`` returns a frozen ``Settings`` or raises ``ConfigError`` with
the full name of the setting that is wrong. Secrets may come from a file named by
``<NAME>_FILE``. It opens no connection and creates nothing but, when no
SECRET_KEY is given, a key file of mode 0600 under DATA_DIR.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import secrets
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlsplit

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from newsletter.errors import ConfigError

PREFIX = "NEWSLETTER_"
SECRETS = ("SECRET_KEY", "DATABASE_URL", "BROKER_URL", "SMTP_URL", "DKIM_KEY")
MIN_SECRET_LENGTH = 32
SMTP_SCHEMES = ("smtp", "smtps", "smtp+starttls")


class Settings(BaseSettings):
    """All settings, each read from ``NEWSLETTER_<NAME>``; docs/operating.md describes them."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore", env_ignore_empty=True)

    data_dir: Path = Field(Path("data"), description="Folder for the embedded database, broker and keys.")
    database_url: str = Field("", description="SQLAlchemy address; empty means SQLite under DATA_DIR.")
    broker_url: str = Field("", description="Celery broker; empty means the embedded Valkey under DATA_DIR.")
    smtp_url: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Relays, separated by spaces: smtp://, smtps:// or smtp+starttls://user:password@host:port."
    )
    base_url: str = Field("http://127.0.0.1:8000", description="Public address of the web server, without a slash.")
    secret_key: str = Field("", description="Signs every link; at least 32 characters; made under DATA_DIR if empty.")
    bounce_domain: str = Field("", description="Domain of the return path; empty means the sender's own domain.")
    dkim_key: str = Field("", description="PEM private keys; empty leaves the signing to the relay.")
    dkim_selector: str = Field("newsletter", description="DKIM selectors (s=), one for each key, separated by spaces.")
    dkim_domain: str = Field("", description="DKIM domain (d=); empty means the sender's domain.")
    warm_up_since: dt.date | None = Field(
        None, description="Day on which a new sender began, as 2026-11-22; each provider then gets more every day."
    )
    fetch_allow: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Hosts or networks that may be fetched although they are private, separated by spaces."
    )
    log_format: Literal["text", "json"] = Field("text", description="Log lines for people or for machines.")

    @field_validator("smtp_url", "fetch_allow", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value

    @field_validator("smtp_url")
    @classmethod
    def _relays(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for url in value:
            parts = urlsplit(url)
            if parts.scheme not in SMTP_SCHEMES or not parts.hostname:
                msg = f"each relay must look like smtp://host:port, smtps:// or smtp+starttls://, not {parts.scheme}://"
                raise ValueError(msg)
            _ = parts.port  # raises ValueError for a port that is no number
        return value

    @field_validator("fetch_allow")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for entry in value:
            if "/" in entry:
                ipaddress.ip_network(entry, strict=False)
        return value

    @field_validator("base_url")
    @classmethod
    def _base(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            msg = "must be an address such as https://news.example.org"
            raise ValueError(msg)
        if parts.path.strip("/"):
            msg = "must have no path: links and cookies belong to the whole host"
            raise ValueError(msg)
        if not parts.hostname.isascii():
            msg = "must be written in ASCII (xn--…), as it stands in every mail"
            raise ValueError(msg)
        return value.rstrip("/")

    @field_validator("secret_key")
    @classmethod
    def _secret(cls, value: str) -> str:
        if value and len(value) < MIN_SECRET_LENGTH:
            msg = f"must have at least {MIN_SECRET_LENGTH} characters"
            raise ValueError(msg)
        return value

    @field_validator("database_url")
    @classmethod
    def _database(cls, value: str) -> str:
        for short in ("postgres://", "postgresql://"):
            if value.startswith(short):
                return "postgresql+psycopg://" + value.removeprefix(short)
        if value and not value.startswith(("postgresql+psycopg://", "sqlite:///")):
            msg = "must start with postgresql:// or sqlite:///"
            raise ValueError(msg)
        return value

    @cached_property
    def database(self) -> str:
        """The SQLAlchemy address in force."""
        return self.database_url or f"sqlite:///{self.data_dir.resolve() / 'newsletter.db'}"

    @cached_property
    def broker(self) -> str:
        """The Celery broker's address in force."""
        return self.broker_url or f"redis+socket://{quote(str(self.data_dir.resolve()))}/valkey/valkey.sock"

    @property
    def embedded_broker(self) -> bool:
        """Whether `newsletter run` starts the broker itself."""
        return not self.broker_url

    @cached_property
    def secret(self) -> bytes:
        """The signing key in force, at least 32 bytes."""
        return (self.secret_key or _kept_key(self.data_dir)).encode()


def _kept_key(data_dir: Path) -> str:
    """Read the generated key, or make it: exclusively, so that two processes cannot make two."""
    path = data_dir / "secret_key"
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".secret_key.{os.getpid()}.{secrets.token_hex(4)}")
        if not path.exists():
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_urlsafe(48))
            try:
                os.link(draft, path)  # fails if another process was first; then its key counts
            except FileExistsError:
                pass
            finally:
                draft.unlink()
        return path.read_text().strip()
    except OSError as error:
        name = f"{PREFIX}DATA_DIR"
        raise ConfigError(name, f"cannot keep a secret key in {data_dir}: {error.strerror}") from error


def _from_files() -> dict[str, str]:
    """Values of the secrets that are given by ``<NAME>_FILE`` instead of ``<NAME>``."""
    values: dict[str, str] = {}
    for name in SECRETS:
        variable = f"{PREFIX}{name}_FILE"
        if path := os.environ.get(variable):
            if os.environ.get(PREFIX + name):
                raise ConfigError(variable, f"set either this or {PREFIX}{name}, not both")
            try:
                values[name.lower()] = Path(path).read_text().strip()
            except OSError as error:
                raise ConfigError(variable, f"cannot read {path}: {error.strerror}") from error
    return values


def load(**overrides: Any) -> Settings:  # noqa: ANN401 - the values of any settings, checked by pydantic
    """Read the environment; ``overrides`` win over it (used by `demo` and by tests)."""
    try:
        return Settings(**{**_from_files(), **overrides})
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]).upper() if first["loc"] else "?"
        reason = str(first["msg"]).removeprefix("Value error, ")
        raise ConfigError(PREFIX + name, reason) from error
