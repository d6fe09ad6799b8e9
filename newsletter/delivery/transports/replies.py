"""Reading SMTP replies from a stream that may be cut anywhere or be nonsense.

Promise: ``feed`` returns every reply that is complete, in order, whatever the
packets; what no server should say raises ``Garbage`` instead of being guessed
at: lines without a code, codes that change within a reply, lines or replies
without end. RFC 5321 4.2 and 4.5.3.1.5; a bare LF ends a line too.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from newsletter.delivery.transports.outcomes import MAX_TEXT, Reply

MAX_LINE: Final = 4096  # RFC 5321 allows 512; long-winded servers exist
MAX_LINES: Final = 128
_LINE: Final = re.compile(rb"([2-5][0-9][0-9])(?:([ -])(.*))?\r?", re.DOTALL)
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


class Garbage(Exception):
    """The server said something that is no reply."""


class ReplyReader:
    """Keeps what is not complete yet between calls of ``feed``."""

    __slots__ = ("_open", "_rest")

    def __init__(self) -> None:
        self._rest = b""
        self._open: list[Reply] = []  # the lines so far of a reply that goes on

    @property
    def unfinished(self) -> bool:
        """Whether a reply has begun and not ended."""
        return bool(self._rest or self._open)

    def feed(self, data: bytes) -> list[Reply]:
        """Take what arrived; return the replies that are complete now."""
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        if len(self._rest) > MAX_LINE:
            raise Garbage(_shown(self._rest))
        replies = []
        for line in lines:
            reply, goes_on = _read(line)
            if self._open or goes_on:
                self._continue(reply, line)
            if not goes_on:
                replies.append(self._joined() if self._open else reply)
        return replies

    def _continue(self, reply: Reply, line: bytes) -> None:
        if len(self._open) >= MAX_LINES or (self._open and self._open[0].code != reply.code):
            raise Garbage(_shown(line))
        self._open.append(reply)

    def _joined(self) -> Reply:
        whole = Reply(self._open[0].code, "\n".join(part.text for part in self._open))
        self._open.clear()
        return whole


@lru_cache(maxsize=256)  # servers repeat themselves: most of three replies to a message are the same every time
def _read(line: bytes) -> tuple[Reply, bool]:
    """Return the reply in one line, and whether the next line continues it."""
    found = _LINE.fullmatch(line)
    if not found or len(line) > MAX_LINE:
        raise Garbage(_shown(line))
    return Reply(int(found[1]), _shown(found[3] or b"")), found[2] == b"-"


def _shown(raw: bytes) -> str:
    """Return one line of text, fit for a database column and a page."""
    text = raw.removesuffix(b"\r").decode("utf-8", "replace")
    return (text if text.isprintable() else _UNPRINTABLE.sub(" ", text))[:MAX_TEXT]
