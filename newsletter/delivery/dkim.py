"""DKIM signatures (RFC 6376; Ed25519: RFC 8463), relaxed/simple, for messages we made ourselves.

Promise: a message that is signed here verifies as long as nobody changes it; the
same message, keys and instant give the same bytes. What a reader sees of the
header is signed once more than it occurs, so that nobody can add a second one.
With several keys each makes a signature of its own. Fields that are the same in
every message are canonicalised once. It verifies nothing, and it does not fold,
mend or check what it signs.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
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
# Signed once more than they occur, also when they do not occur at all.
OVERSIGNED: Final = (b"from", b"to", b"cc", b"subject", b"date", b"reply-to", b"mime-version", b"content-type")
REMEMBERED: Final = 64  # fields in canonical form: those of the first messages, and so all that never change
_FIELD_ENDS: Final = re.compile(rb"\r\n(?![ \t])")
_FOLD: Final = re.compile(rb"\r\n(?=[ \t])")
_BLANKS: Final = re.compile(rb"[ \t]+")
_PEM: Final = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)
_PADDING: Final = padding.PKCS1v15()
_SHA256: Final = hashes.SHA256()


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One key, and the selector (s=) under which its public half is published."""

    private: RSAPrivateKey | Ed25519PrivateKey
    selector: str

    @property
    def algorithm(self) -> str:
        """The a= of its signatures."""
        return "ed25519-sha256" if isinstance(self.private, Ed25519PrivateKey) else "rsa-sha256"

    @property
    def published(self) -> str:
        """The p= of its record: base64 of the public half (RFC 6376 3.6.1; RFC 8463 4)."""
        public = self.private.public_key()
        if isinstance(self.private, Ed25519PrivateKey):
            raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        else:
            form = serialization.PublicFormat.SubjectPublicKeyInfo
            raw = public.public_bytes(serialization.Encoding.DER, form)
        return base64.b64encode(raw).decode()

    def sign(self, data: bytes) -> bytes:
        """Return the raw signature of canonical data."""
        if isinstance(self.private, Ed25519PrivateKey):
            return self.private.sign(hashlib.sha256(data).digest())
        return self.private.sign(data, _PADDING, _SHA256)


class Signer:
    """Signs for one domain (d=), with every key there is."""

    def __init__(self, keys: tuple[SigningKey, ...], domain: str) -> None:
        self.keys, self.domain = keys, domain
        self._fields: dict[bytes, tuple[bytes, bytes]] = {}  # as it stands in a message: its name, its canonical line
        self._tags: dict[tuple[int, tuple[bytes, ...]], list[bytes]] = {}

    @classmethod
    def of(cls, settings: Settings, sender: str) -> Signer | None:
        """Return the signer for mail from the address ``sender``, or None if the relay is to sign."""
        if not settings.dkim_key:
            return None
        return cls(signing_keys(settings), settings.dkim_domain or sender.rpartition("@")[2])

    def sign(self, message: bytes, *, at: int) -> bytes:
        """Return the message with a DKIM-Signature of each key in front; ``at`` is t=, in seconds since 1970."""
        end = message.find(b"\r\n\r\n")
        head, start = (message, len(message)) if end < 0 else (message[:end], end + 4)
        # The last of several fields of one name is signed first (RFC 6376 5.4.2): bottom up throughout.
        fields = [self._field(field) for field in reversed(_FIELD_ENDS.split(head))]
        signed = [field for field in fields if field[0]]
        data = b"".join([line for _, line in signed])
        digest = base64.b64encode(_body_hash(message, start))
        pieces = []
        for key, tags in zip(self.keys, self._tags_of(at, tuple([name for name, _ in signed])), strict=True):
            own = b"%b%b;\r\n b=" % (tags, digest)
            canonical = b"dkim-signature:" + own.replace(b"\r\n", b"")
            signature = base64.b64encode(key.sign(data + canonical))
            lines = [signature[start : start + 72] for start in range(0, len(signature), 72)]
            pieces += [b"DKIM-Signature: ", own, b"\r\n ".join(lines), b"\r\n"]
        return b"".join([*pieces, message])

    def _field(self, field: bytes) -> tuple[bytes, bytes]:
        """Return the name and the canonical line of a field (RFC 6376 3.4.2); no name if it is not signed."""
        found = self._fields.get(field)
        if found is None:
            name, _, value = _FOLD.sub(b"", field).partition(b":")
            name = name.strip().lower()
            line = b"%b:%b\r\n" % (name, _BLANKS.sub(b" ", value).strip(b" "))
            found = (name, line) if name in SIGNED else (b"", b"")
            if len(self._fields) < REMEMBERED:
                self._fields[field] = found
        return found

    def _tags_of(self, at: int, names: tuple[bytes, ...]) -> list[bytes]:
        """Return what stands before the hash of the body in each key's signature, in lines that need no folding."""
        found = self._tags.get((at, names))
        if found is None:
            every = (*names, *OVERSIGNED)
            covered = b":\r\n ".join(b":".join(every[start : start + 2]) for start in range(0, len(every), 2))
            found = [
                b"v=1; a=%b; c=relaxed/simple;\r\n d=%b; s=%b; t=%d;\r\n h=%b;\r\n bh="
                % (key.algorithm.encode(), self.domain.encode(), key.selector.encode(), at, covered)
                for key in self.keys
            ]
            if len(self._tags) < REMEMBERED:
                self._tags[at, names] = found
        return found


def signing_keys(settings: Settings) -> tuple[SigningKey, ...]:
    """Read the keys of the settings with their selectors; ``ConfigError`` if they do not fit together."""
    # A setting in one line may write its line ends as \n.
    text = settings.dkim_key.replace("\\n", "\n")
    blocks = [found[0] for found in _PEM.finditer(text)] or [text]
    selectors = settings.dkim_selector.split()
    if len(set(selectors)) != len(blocks):
        reason = f"must name a selector of its own for each of the {len(blocks)} keys, separated by spaces"
        raise ConfigError(f"{PREFIX}DKIM_SELECTOR", reason)
    return tuple(SigningKey(private_key(block), name) for block, name in zip(blocks, selectors, strict=True))


def private_key(pem: str) -> RSAPrivateKey | Ed25519PrivateKey:
    """Read one key; ``ConfigError`` for anything that cannot sign mail."""
    setting = f"{PREFIX}DKIM_KEY"
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigError(setting, "is no private key in PEM form without a password") from error
    if isinstance(key, Ed25519PrivateKey) or (isinstance(key, RSAPrivateKey) and key.key_size >= MIN_RSA_BITS):
        return key
    raise ConfigError(setting, f"must be an Ed25519 key or an RSA key of at least {MIN_RSA_BITS} bits")


def _body_hash(message: bytes, start: int) -> bytes:
    """Return the hash of the body, which begins at ``start``, without empty lines at its end (RFC 6376 3.4.3)."""
    end = len(message)
    while end >= start + 2 and message.endswith(b"\r\n", start, end):
        end -= 2
    digest = hashlib.sha256(memoryview(message)[start:end])
    digest.update(b"\r\n")
    return digest.digest()
