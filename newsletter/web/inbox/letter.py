"""One received message, taken apart for reading.

Promise: whatever bytes came, something readable comes out, never an exception.
The HTML is given as it was sent, for a frame that runs no script (its policy is
``newsletter.web.security.MAIL_POLICY``); nothing in it is trusted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage, MIMEPart
from typing import cast

_HEAD = re.compile(r"<head[^>]*>", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Letter:
    """A message for reading: header fields in order, the text part, the HTML part, all of it."""

    fields: tuple[tuple[str, str], ...]
    text: str
    html: str
    source: str

    @property
    def framed(self) -> str:
        """The HTML part for a frame: its links open outside of it."""
        target = '<base target="_blank">'
        found = _HEAD.search(self.html)
        return self.html[: found.end()] + target + self.html[found.end() :] if found else target + self.html


def read(raw: bytes) -> Letter:
    """Take a message apart."""
    message = message_from_bytes(raw, policy=policy.default)
    report = message.get_content_type() == "multipart/report"
    return Letter(
        fields=tuple((name, _unfolded(value)) for name, value in message.raw_items()),
        text=_parts(message) if report else _content(message.get_body(("plain",))),
        html=_content(message.get_body(("html",))),
        source=raw.decode("utf-8", "replace").replace("\r\n", "\n"),
    )


def _content(part: MIMEPart | None) -> str:
    if part is None or part.get_content_maintype() != "text":
        return ""
    payload = part.get_payload(decode=True)
    raw = payload if isinstance(payload, bytes) else b""
    try:
        return raw.decode(part.get_content_charset("utf-8"), "replace")
    except LookupError:
        return raw.decode("utf-8", "replace")


def _parts(message: EmailMessage) -> str:
    """The readable parts of a report, one after another."""
    readable = ("text/plain", "message/delivery-status", "message/feedback-report")
    parts = (part for part in message.walk() if part.get_content_type() in readable)
    texts = []
    for part in parts:
        inner = part.get_payload()
        if isinstance(inner, list):  # message/delivery-status is parsed into blocks of fields
            texts += [block.as_string() for block in inner if not isinstance(block, str)]
        else:
            texts.append(_content(cast("MIMEPart", part)) or str(inner))
    return "\n\n".join(texts)


def _unfolded(value: object) -> str:
    return " ".join(str(value).split())
