"""Mailbox providers: whose servers hold a reader's mailbox, by the address's domain or by its mail exchangers.

Promise: pure tables and two look-ups in them; whatever is in no table is
``OTHER``. A provider's number is stored with every delivery (its lane), so numbers
are never given anew. Nothing is looked up in the DNS here.

Sources: the providers' own lists of mail domains; the hosts of Google Workspace,
Microsoft 365, Yahoo's and Apple's custom domains as their set-up pages name them.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final


class Provider(enum.IntEnum):
    """A mailbox provider; its number is the lane of a delivery."""

    OTHER = 0
    GMAIL = 1
    YAHOO = 2
    MICROSOFT = 3
    APPLE = 4

    @property
    def slug(self) -> str:
        """Its name in commands and in the table of paces."""
        return self.name.lower()

    @property
    def label(self) -> str:
        """Its name for people."""
        return "other providers" if self is Provider.OTHER else self.name.capitalize()


BY_SLUG: Final[Mapping[str, Provider]] = {provider.slug: provider for provider in Provider}


def _ending(name: str, endings: str) -> list[str]:
    return [f"{name}.{ending}" for ending in endings.split()]


# The domains under which the providers themselves give out addresses.
CONSUMER: Final[Mapping[Provider, tuple[str, ...]]] = {
    Provider.GMAIL: ("gmail.com", "googlemail.com"),
    Provider.YAHOO: (
        *_ending("yahoo", "com ca de fr it es ie in ro se dk no nl at be gr pl pt hu cz fi ch ne.jp cn my"),
        *_ending("yahoo", "co.uk co.in co.id co.nz co.za co.th co.kr co.il co.jp"),
        *_ending("yahoo", "com.au com.br com.ar com.mx com.co com.pe com.ve com.cn com.hk com.my com.ph"),
        *_ending("yahoo", "com.sg com.tr com.tw com.ua com.vn com.cl"),
        *("ymail.com", "rocketmail.com", "myyahoo.com", "aol.com", "aim.com", "netscape.net", "verizon.net"),
        *_ending("aol", "co.uk de fr it es"),
    ),
    Provider.MICROSOFT: (
        *_ending("outlook", "com at be bg cl cz de dk es fr hu ie in it jp kr lv my ph pt sa sg sk"),
        *_ending("outlook", "co.id co.il co.th com.ar com.au com.br com.gr com.pe com.tr com.vn"),
        *_ending("hotmail", "com at be bg ca ch cl cz de dk es fi fr gr hu ie in it lt lv my nl no ph pt ro rs se sg"),
        *_ending("hotmail", "sk co.id co.il co.jp co.kr co.nz co.th co.uk co.za"),
        *_ending("hotmail", "com.ar com.au com.br com.hk com.mx com.pe com.tr com.tw com.vn"),
        *_ending("live", "com at be ca cl cn de dk fi fr hk ie in it jp nl no ph ru se co.kr co.uk co.za"),
        *_ending("live", "com.ar com.au com.mx com.my com.ph com.pt com.sg"),
        *("msn.com", "passport.com", "windowslive.com"),
    ),
    Provider.APPLE: ("icloud.com", "me.com", "mac.com"),
}

# The mail exchangers of domains whose mail they host: a host is one of these or lies under one.
HOSTS: Final[Mapping[str, Provider]] = {
    "google.com": Provider.GMAIL,
    "googlemail.com": Provider.GMAIL,
    "yahoodns.net": Provider.YAHOO,
    "protection.outlook.com": Provider.MICROSOFT,
    "mx.microsoft": Provider.MICROSOFT,
    "mail.icloud.com": Provider.APPLE,
}

# Set aside for examples and tests: nobody's mail is there (RFC 2606, RFC 6761).
_RESERVED: Final = frozenset({"example", "test", "invalid", "localhost", "local"})
_KNOWN: Final = {domain: provider for provider, domains in CONSUMER.items() for domain in domains}


def of_host(host: str) -> Provider:
    """Return whose mail exchanger a host is (``aspmx.l.google.com``, with or without the dot at the end)."""
    labels = host.rstrip(".").lower().split(".")
    parents = (".".join(labels[start:]) for start in range(len(labels)))
    return next((HOSTS[parent] for parent in parents if parent in HOSTS), Provider.OTHER)


def worth_asking(domain: str) -> bool:
    """Whether only the DNS can tell whose a domain is."""
    labels = domain.lower().split(".")
    reserved = labels[-1] in _RESERVED or labels[-2:-1] == ["example"]
    return domain.lower() not in _KNOWN and not reserved
