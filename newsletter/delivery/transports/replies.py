"""Reading SMTP replies from a stream that may be cut anywhere or be nonsense.

Promise: ``feed`` returns every reply that is complete, in order, whatever the
packets; what no server should say raises ``Garbage`` instead of being guessed
at: lines without a code, codes that change within a reply, lines or replies
without end. RFC 5321 4.2 and 4.5.3.1.5; a bare LF ends a line too.
"""

from __future__ import annotations

import re
from typing import Final

from newsletter.delivery.transports.outcomes import MAX_TEXT, Reply

MAX_LINE: Final = 4096  # RFC 5321 allows 512; long-winded servers exist
MAX_LINES: Final = 128
_LINE: Final = re.compile(rb"([2-5][0-9][0-9])(?:([ -])(.*))?", re.DOTALL)
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


class Garbage(Exception):
    """The server said something that is no reply."""


class ReplyReader:
    """Keeps what is not complete yet between calls of ``feed``."""

    __slots__ = ("_code", "_lines", "_rest")

    def __init__(self) -> None:
        self._rest = b""
        self._code = b""  # of the multi-line reply that is open
        self._lines: list[bytes] = []

    @property
    def unfinished(self) -> bool:
        """Whether a reply has begun and not ended."""
        return bool(self._rest or self._lines)

    def feed(self, data: bytes) -> list[Reply]:
        """Take what arrived; return the replies that are complete now."""
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        if len(self._rest) > MAX_LINE:
            raise Garbage(_shown(self._rest))
        return [reply for line in lines if (reply := self._take(line))]

    def _take(self, line: bytes) -> Reply | None:
        found = _LINE.fullmatch(line.removesuffix(b"\r"))
        if not found or len(line) > MAX_LINE or (self._lines and found[1] != self._code):
            raise Garbage(_shown(line))
        self._lines.append(found[3] or b"")
        if found[2] == b"-":
            self._code = found[1]
            if len(self._lines) > MAX_LINES:
                raise Garbage(_shown(line))
            return None
        text = "\n".join(map(_shown, self._lines))
        self._lines.clear()
        return Reply(int(found[1]), text)


def _shown(raw: bytes) -> str:
    """Return one line of text, fit for a database column and a page."""
    text = raw.decode("utf-8", "replace")
    return (text if text.isprintable() else _UNPRINTABLE.sub(" ", text))[:MAX_TEXT]
