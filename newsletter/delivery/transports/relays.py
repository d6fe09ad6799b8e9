"""A relay as the settings name it: where it is, how it is spoken to, how hard it may be used.

Promise: ``Relay.parse`` understands ``smtp://``, ``smtp+starttls://`` and
``smtps://`` with user and password, or raises ``ConfigError``; printing a relay
never shows the password. It opens no connection.

Options in the query: ``connections`` (how many at once, default 10), ``messages``
(after how many a connection is renewed, default 1000), ``rate`` (messages a
minute, over all workers; default: any number), ``weight`` (its share of the work
beside other relays, 1 to 1000; default: as many as its connections), ``verify=no``
(take any certificate), ``auth=xoauth2`` (the password is an access token),
``name`` (what to say in EHLO).
"""

from __future__ import annotations

import enum
import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from newsletter.errors import ConfigError

SETTING: Final = "NEWSLETTER_SMTP_URL"
MAX_CONNECTIONS: Final = 1000
MAX_WEIGHT: Final = 1000
OPTIONS: Final = ("connections", "messages", "rate", "weight", "verify", "auth", "name")


class Security(enum.StrEnum):
    """How the connection is protected; the scheme of the relay's address."""

    PLAIN = "smtp"
    STARTTLS = "smtp+starttls"  # refused if the server does not offer it: stripping must not work
    TLS = "smtps"


PORTS: Final[Mapping[Security, int]] = {Security.PLAIN: 25, Security.STARTTLS: 587, Security.TLS: 465}


@dataclass(frozen=True, slots=True)
class Relay:
    """One mail server that takes our mail."""

    security: Security
    host: str
    port: int
    user: str = ""
    password: str = field(default="", repr=False)
    connections: int = 10
    messages: int = 1000
    verify: bool = True
    xoauth2: bool = False
    name: str = ""
    rate: int = 0  # messages a minute; 0: any number
    weight: int = 0  # 0: as its connections

    @classmethod
    def parse(cls, url: str) -> Relay:
        """Read one relay's address."""
        try:
            parts = urlsplit(url)
            security = Security(parts.scheme)
            options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
            port = parts.port or PORTS[security]
        except ValueError as error:
            raise ConfigError(SETTING, "each relay must look like smtp://user:password@host:port") from error
        if not parts.hostname:
            raise ConfigError(SETTING, "a relay has no host")
        if unknown := set(options) - set(OPTIONS):
            raise ConfigError(SETTING, f"a relay has no option {min(unknown)}; there are {', '.join(OPTIONS)}")
        return cls(
            security,
            parts.hostname,
            port,
            user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
            connections=_number(options, "connections", 10),
            messages=_number(options, "messages", 1000),
            verify=_choice(options, "verify", {"yes": True, "no": False}, "yes"),
            xoauth2=_choice(options, "auth", {"xoauth2": True, "password": False}, "password"),
            name=options.get("name", ""),
            rate=_number(options, "rate", 1) if "rate" in options else 0,
            weight=min(_number(options, "weight", 1), MAX_WEIGHT) if "weight" in options else 0,
        )

    @property
    def label(self) -> str:
        """Name it in the ledger and to people: no user, no password."""
        return f"{self.host}:{self.port}"

    @property
    def pace(self) -> str:
        """Name its pace, which all workers share."""
        return pace_of(self.label)

    @property
    def share(self) -> int:
        """Its part of the work, in proportion to the shares of the other relays."""
        return self.weight or self.connections

    @property
    def hello(self) -> str:
        """What to say in EHLO: the name given, else this machine's."""
        return self.name or _own_name()

    def tls(self) -> ssl.SSLContext:
        """Return the context for TLS to this relay; certificates are checked unless ``verify=no``."""
        context = ssl.create_default_context()
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def pace_of(label: str) -> str:
    """Return the name of a relay's pace by the relay's label."""
    return f"relay:{label}"


def parse_all(urls: Sequence[str]) -> tuple[Relay, ...]:
    """Read the relays of the settings; none is ``ConfigError`` with what to set."""
    if not urls:
        raise ConfigError(SETTING, "no mail relay is configured; set it, for example to smtp://user:password@host:587")
    return tuple(Relay.parse(url) for url in urls)


def _number(options: Mapping[str, str], name: str, default: int) -> int:
    text = options.get(name, str(default))
    if not text.isdecimal() or not 1 <= int(text) <= MAX_CONNECTIONS * 1000:
        raise ConfigError(SETTING, f"the option {name} must be a number from 1")
    return min(int(text), MAX_CONNECTIONS) if name == "connections" else int(text)


def _choice(options: Mapping[str, str], name: str, choices: Mapping[str, bool], default: str) -> bool:
    text = options.get(name, default)
    if text not in choices:
        raise ConfigError(SETTING, f"the option {name} must be {' or '.join(choices)}")
    return choices[text]


def _own_name() -> str:
    """Return this machine's name if it is a full one, else an address literal (RFC 5321 4.1.3)."""
    name = socket.gethostname()
    return name if "." in name and name.isascii() else "[127.0.0.1]"
