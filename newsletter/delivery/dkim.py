"""DKIM signatures (RFC 6376; Ed25519: RFC 8463), relaxed/simple, for messages we made ourselves.

Promise: a message that is signed here verifies as long as nobody changes it; the
same message, key and instant give the same bytes. ``From`` is signed once more
than it occurs, so that nobody can add a second one. It verifies nothing, and it
does not fold, mend or check what it signs.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from newsletter.config import PREFIX, Settings
from newsletter.errors import ConfigError

SIGNED: Final = frozenset(
    (
        *(b"from", b"to", b"cc", b"subject", b"date", b"message-id", b"reply-to", b"in-reply-to", b"references"),
        *(b"mime-version", b"content-type", b"content-transfer-encoding", b"auto-submitted", b"feedback-id"),
        *(b"list-id", b"list-archive", b"list-unsubscribe", b"list-unsubscribe-post", b"list-help", b"list-subscribe"),
    )
)
MIN_RSA_BITS: Final = 1024  # RFC 8301 3.2: shorter keys do not verify
_FOLD: Final = re.compile(rb"\r\n(?=[ \t])")
_BLANKS: Final = re.compile(rb"[ \t]+")


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs for one domain (d=) with one key under one selector (s=)."""

    key: RSAPrivateKey | Ed25519PrivateKey
    selector: str
    domain: str

    @classmethod
    def of(cls, settings: Settings, sender: str) -> Signer | None:
        """Return the signer for mail from the address ``sender``, or None if the relay is to sign."""
        if not settings.dkim_key:
            return None
        domain = settings.dkim_domain or sender.rpartition("@")[2]
        return cls(private_key(settings.dkim_key), settings.dkim_selector, domain)

    def sign(self, message: bytes, *, at: int) -> bytes:
        """Return the message with a DKIM-Signature in front; ``at`` is t=, in seconds since 1970."""
        head, _, body = message.partition(b"\r\n\r\n")
        digest = base64.b64encode(hashlib.sha256(body.rstrip(b"\r\n") + b"\r\n").digest())
        signed = [(name, value) for name, value in _fields(head) if name in SIGNED]
        algorithm = b"ed25519-sha256" if isinstance(self.key, Ed25519PrivateKey) else b"rsa-sha256"
        names = [name for name, _ in reversed(signed)] + [b"from"]
        header = b"DKIM-Signature: v=1; a=%b; c=relaxed/simple;\r\n d=%b; s=%b; t=%d;\r\n h=%b;\r\n bh=%b;\r\n b=" % (
            algorithm,
            self.domain.encode(),
            self.selector.encode(),
            at,
            b":\r\n ".join(b":".join(names[start : start + 2]) for start in range(0, len(names), 2)),
            digest,
        )
        # The last of several fields of one name is signed first (RFC 6376 5.4.2): bottom up throughout.
        data = b"".join(b"%b:%b\r\n" % (name, value) for name, value in reversed(signed))
        own_name, own_value = _fields(header)[0]
        signature = base64.b64encode(self._signature(data + own_name + b":" + own_value))
        lines = b"\r\n ".join(signature[start : start + 72] for start in range(0, len(signature), 72))
        return header + lines + b"\r\n" + message

    def _signature(self, data: bytes) -> bytes:
        if isinstance(self.key, Ed25519PrivateKey):
            return self.key.sign(hashlib.sha256(data).digest())
        return self.key.sign(data, padding.PKCS1v15(), hashes.SHA256())


def private_key(pem: str) -> RSAPrivateKey | Ed25519PrivateKey:
    """Read the key of the settings; ``ConfigError`` for anything that cannot sign mail."""
    setting = f"{PREFIX}DKIM_KEY"
    try:
        # A setting in one line may write its line ends as \n.
        key = load_pem_private_key(pem.replace("\\n", "\n").encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigError(setting, "is no private key in PEM form without a password") from error
    if isinstance(key, Ed25519PrivateKey) or (isinstance(key, RSAPrivateKey) and key.key_size >= MIN_RSA_BITS):
        return key
    raise ConfigError(setting, f"must be an Ed25519 key or an RSA key of at least {MIN_RSA_BITS} bits")


def _fields(head: bytes) -> list[tuple[bytes, bytes]]:
    """Return the header fields in relaxed form (RFC 6376 3.4.2), top down."""
    found = []
    for line in _FOLD.sub(b"", head).split(b"\r\n"):
        name, _, value = line.partition(b":")
        found.append((name.strip().lower(), _BLANKS.sub(b" ", value).strip(b" ")))
    return found
