"""Checks of the stories: that there are some, that their parts are there, that their links lead outside.

Promise: opens no connection; a link is judged by its address alone.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from newsletter.editions.checks.finding import Case, Finding, block, named, place_of, warn
from newsletter.editions.links import MAX_URL, is_web_address
from newsletter.editions.words import one_line

LONG_DEK: Final = 400

_LOCAL_NAMES = (".localhost", ".local", ".internal", ".lan", ".home.arpa")
_STAGING = {"staging", "stage", "preview", "dev", "uat"}


def stories(case: Case) -> Iterator[Finding]:
    """There are stories, and one of them leads."""
    if not case.issue.story_count:
        yield block("no stories", "The issue has no story.", "sections")
    elif case.issue.lead is None:
        yield warn("no lead", "No story leads the issue.", "sections")


def headlines(case: Case) -> Iterator[Finding]:
    """Every story has a headline."""
    for placement in case.issue.placements:
        if not one_line(placement.headline):
            yield block("headline missing", f"The story at {placement.url} has no headline.", place_of(placement))


def deks(case: Case) -> Iterator[Finding]:
    """Every story has a sentence under its headline, and not an essay."""
    for placement in case.issue.placements:
        if not placement.dek.strip():
            yield warn("dek missing", f"{named(placement)} has no dek.", place_of(placement))
        elif len(placement.dek) > LONG_DEK:
            reason = f"The dek of {named(placement)} has {len(placement.dek)} characters."
            yield warn("dek long", reason, place_of(placement))


def used_before(case: Case) -> Iterator[Finding]:
    """No story was in another issue."""
    for placement in case.issue.placements:
        if number := case.used.get(placement.article_id):
            yield warn("story used before", f"{named(placement)} is in No. {number} too.", place_of(placement))


def pictures(case: Case) -> Iterator[Finding]:
    """Every photo that is shown can be described and is fetched over https."""
    for placement in case.issue.placements:
        if not placement.show_image or not is_web_address(placement.image_url):
            continue
        if not placement.image_alt_ok:
            reason = f"The photo of {named(placement)} has no description; readers who cannot see it miss it."
            yield warn("alt missing", reason, place_of(placement))
        if not placement.image_url.startswith("https://") and not is_local(case.base_url):
            reason = f"The photo of {named(placement)} is not fetched over https; some mail programs will not show it."
            yield warn("photo without https", reason, place_of(placement))


def links(case: Case) -> Iterator[Finding]:
    """Every story's link leads to where readers can go. On a server that is local itself, local is outside."""
    for placement in case.issue.placements:
        where, host = place_of(placement), _host(placement.url)
        if not is_web_address(placement.url) or len(placement.url) > MAX_URL:
            yield block("no link", f"{named(placement)} does not link to a web address.", where)
        elif is_local(placement.url) and not is_local(case.base_url):
            yield block("private link", f"{named(placement)} links to {host}, which readers cannot reach.", where)
        elif _STAGING & set(host.split(".")[:-1]):
            yield warn("staging link", f"{named(placement)} links to {host}, which looks like a staging site.", where)


def is_local(url: str) -> bool:
    """Whether a web address is on this machine or a private network, judging by its host's name alone."""
    host = _host(url)
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith(_LOCAL_NAMES)


def _host(url: str) -> str:
    return (urlsplit(url).hostname or "").rstrip(".").lower() if is_web_address(url) else ""
