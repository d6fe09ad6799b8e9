"""Email addresses: checking their form and giving two spellings of one address one name.

Promise: ``parse`` accepts what RFC 5321 and RFC 6531 let be delivered and
nothing with a control character; it asks no DNS. ``normal`` is the form under
which an address is unique: domain in lower-case A-labels, local part case-folded
(no provider in use tells local parts apart by case; dots and plus tags are kept,
since they are different mailboxes at most providers). ``parse(a.normal).normal``
is ``a.normal`` again.
"""

from __future__ import annotations

import hmac
import re
import unicodedata
from dataclasses import dataclass
from email.utils import parseaddr
from typing import Final

from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email

from newsletter.errors import Invalid

MAX_ADDRESS: Final = 254  # RFC 5321 4.5.3.1.3: a path has 256 octets with its brackets
MAX_SHOWN: Final = 80  # of somebody's input, in a message for a person

# The plain ASCII addresses that nearly everybody has, recognised at a twentieth of the
# cost of a full check; whatever this does not match gets the full check.
_PLAIN = re.compile(
    r"([A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*)"
    r"@((?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+([A-Za-z]{2,63}))"
)
_SPECIAL = frozenset(name.rpartition(".")[2] for name in SPECIAL_USE_DOMAIN_NAMES)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class Address:
    """One mailbox: ``shown`` as its owner writes it, ``normal`` as it is compared."""

    shown: str
    normal: str

    @property
    def domain(self) -> str:
        """The domain in lower-case A-labels."""
        return self.normal.rpartition("@")[2]

    @property
    def masked(self) -> str:
        """The address for a page that anybody with the link may see: ``a…@example.org``."""
        return f"{self.shown[0]}…@{self.domain}"


def parse(text: str) -> Address:
    """Check one bare address (no display name) or raise ``Invalid``, field ``email``."""
    stripped = text.strip()
    if len(stripped) > MAX_ADDRESS:
        raise Invalid(f"“{_quoted(stripped)}” is longer than mail servers accept (254 octets).", field="email")
    if (plain := _PLAIN.fullmatch(stripped)) and "--" not in plain[2] and plain[3].lower() not in _SPECIAL:
        local, domain = plain[1], plain[2].lower()
    else:
        local, domain = _checked(stripped)
    address = Address(shown=f"{local}@{domain}", normal=f"{unicodedata.normalize('NFC', local.casefold())}@{domain}")
    if max(len(address.shown.encode()), len(address.normal.encode())) > MAX_ADDRESS:
        raise Invalid(f"“{_quoted(stripped)}” is longer than mail servers accept (254 octets).", field="email")
    return address


def _checked(text: str) -> tuple[str, str]:
    """Return (local part, domain in A-labels) after the full check, which takes about 30 microseconds."""
    try:
        found = validate_email(
            unicodedata.normalize("NFC", text), check_deliverability=False, allow_smtputf8=True, test_environment=True
        )
    except EmailNotValidError as error:
        raise Invalid(f"“{_quoted(text)}” is no email address: {error}", field="email") from error
    return found.local_part, found.ascii_domain.lower()


def parse_mailbox(text: str) -> tuple[str, Address]:
    """Split ``Name <address>`` or a bare address into (name, Address)."""
    name, address = parseaddr(text.strip())
    if not address or _CONTROL.search(text):
        message = f"“{_quoted(text)}” is no sender; write it like: Foreign Brief <desk@example.org>"
        raise Invalid(message, field="from")
    return name, parse(address)


def _quoted(text: str) -> str:
    """Somebody's input as a message may repeat it: short, and without what a terminal or a log would obey."""
    shown = text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in shown)


def keyed_hash(secret: bytes, text: str) -> str:
    """Return a hash of an address (its normal form) or of a network that outlives it: 32 hex digits.

    Without the secret nobody can test a guess; the prefix keeps these hashes apart from the keys
    that ``tokens.derive`` makes of the same secret.
    """
    return hmac.digest(secret, b"hash/" + text.encode(), "sha256")[:16].hex()
