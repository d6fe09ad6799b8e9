"""The addresses in a mail: which are ours, and which are counted through a redirect.

Promise: each outside target is listed once, numbered from 1 in the order of its
first use, and every use of it carries the same address; the list is what the
edition keeps, so a target can be mended after the send. Unsubscribe, preferences
and the web version are never counted. Only http and https pass.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from newsletter.editions.compiled import LEAVE_TOKEN, PREFERENCES_TOKEN, TRACK_TOKEN
from newsletter.editions.marks import Marks
from newsletter.errors import Invalid

MAX_URL: Final = 2000
MAX_LABEL: Final = 500
_BLANK = re.compile(r"[\s\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Link:
    """The n-th target of an edition, the words it was first linked from, and the story it belongs to."""

    n: int
    url: str
    label: str
    article_id: int | None = None


@dataclass(frozen=True, slots=True)
class OwnAddresses:
    """Our own pages of one publication; they carry no token."""

    base_url: str
    slug: str

    @property
    def sign_up(self) -> str:
        """The sign-up page, which lists past issues too."""
        return f"{self.base_url}/n/{self.slug}"

    def web_version(self, number: int) -> str:
        """The public page of one issue."""
        return f"{self.sign_up}/{number}"


class MailLinks:
    """Collects a mail's links while it is rendered and gives the address to print for each."""

    __slots__ = ("_base_url", "_found", "_marks", "_tracked")

    def __init__(self, base_url: str, marks: Marks, *, tracked: bool) -> None:
        self._base_url = base_url
        self._marks = marks
        self._tracked = tracked
        self._found: dict[str, Link] = {}

    @property
    def found(self) -> tuple[Link, ...]:
        """Every target so far, by number."""
        return tuple(self._found.values())

    @property
    def leave(self) -> str:
        """The reader's unsubscribe page."""
        return f"{self._base_url}/u/{self._marks.token(LEAVE_TOKEN)}"

    @property
    def preferences(self) -> str:
        """The reader's preference page."""
        return f"{self._base_url}/p/{self._marks.token(PREFERENCES_TOKEN)}"

    @property
    def pixel(self) -> str:
        """The picture whose loading says that the mail was opened; empty when nothing is tracked."""
        return f"{self._base_url}/o/{self._marks.token(TRACK_TOKEN)}.gif" if self._tracked else ""

    def to(self, url: str, label: str, article_id: int | None = None) -> str:
        """Return the address to print for an outside target."""
        url = checked(url, label)
        link = self._found.setdefault(url, Link(len(self._found) + 1, url, label[:MAX_LABEL], article_id))
        return f"{self._base_url}/c/{self._marks.token(TRACK_TOKEN)}/{link.n}" if self._tracked else url


def is_web_address(url: str) -> bool:
    """Whether a reader may be led there: http or https with a host, nothing else (threat T8)."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and not _BLANK.search(url)
    except ValueError:
        return False


def checked(url: str, label: str) -> str:
    """Return ``url`` if it is a web address that an edition can keep, else raise ``Invalid``."""
    if not is_web_address(url) or len(url) > MAX_URL:
        raise Invalid(f"The link of “{label[:80]}” leads to “{url[:80]}”, which is no web address.", field="url")
    return url
