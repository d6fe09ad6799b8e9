"""Email addresses: checking their form and giving two spellings of one address one name.

Promise: ``parse`` accepts what RFC 5321 and RFC 6531 let be delivered and
nothing with a control character; it asks no DNS. ``normal`` is the form under
which an address is unique: domain in lower-case A-labels, local part case-folded
(no provider in use tells local parts apart by case; dots and plus tags are kept,
since they are different mailboxes at most providers).
"""

from __future__ import annotations

import hmac
import unicodedata
from dataclasses import dataclass
from email.utils import parseaddr

from email_validator import EmailNotValidError, validate_email

from newsletter.errors import Invalid

MAX_ADDRESS = 254  # RFC 5321 4.5.3.1.3: a path has 256 octets with its brackets


@dataclass(frozen=True, slots=True)
class Address:
    """One mailbox: ``shown`` as its owner writes it, ``normal`` as it is compared."""

    shown: str
    normal: str

    @property
    def domain(self) -> str:
        """The domain in lower-case A-labels."""
        return self.normal.rpartition("@")[2]


def parse(text: str) -> Address:
    """Check one bare address (no display name) or raise ``Invalid``, field ``email``."""
    stripped = unicodedata.normalize("NFC", text.strip())
    try:
        found = validate_email(stripped, check_deliverability=False, allow_smtputf8=True, test_environment=True)
    except EmailNotValidError as error:
        shown = stripped if len(stripped) <= 80 else stripped[:77] + "…"  # noqa: PLR2004 - a line on a screen
        raise Invalid(f"“{shown}” is no email address: {error}", field="email") from error
    domain = found.ascii_domain.lower()
    shown = f"{found.local_part}@{domain}"
    if len(shown.encode()) > MAX_ADDRESS:
        raise Invalid("The address is longer than mail servers accept (254 octets).", field="email")
    return Address(shown=shown, normal=f"{found.local_part.casefold()}@{domain}")


def parse_mailbox(text: str) -> tuple[str, Address]:
    """Split ``Name <address>`` or a bare address into (name, Address)."""
    name, address = parseaddr(text.strip())
    if not address or any(c in text for c in "\r\n\0"):
        raise Invalid(f"“{text}” is no sender; write it like: Foreign Brief <desk@example.org>", field="from")
    return name, parse(address)


def keyed_hash(secret: bytes, normal: str) -> str:
    """Return a hash of an address that outlives the address (suppression, erasure): 32 hex digits."""
    return hmac.digest(secret, normal.encode(), "sha256")[:16].hex()
