"""Who seems to have opened or clicked: a person, or one of the machines around the mailbox.

Promise: the verdict uses the request's method and user agent, the time since the
mail was accepted, and how many links the same copy saw at once. The user agent
and the network address are looked at and forgotten; only the verdict is kept.

Sources: ua-parser/uap-core #509 (Apple's bare ``Mozilla/5.0``), matomo
device-detector #5359 (Google's image proxy), mautic #10245 (Gmail's prefetch).
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import Final

from newsletter.events.models import Verdict

SOON: Final = dt.timedelta(seconds=5)  # nobody reads a mail within this time of its acceptance
BURST: Final = dt.timedelta(seconds=2)  # links followed within this time of each other ...
BURST_LINKS: Final = 4  # ... are a machine's if they are so many

_PROXY = re.compile(r"GoogleImageProxy|ggpht\.com|YahooMailProxy|OutlookImageProxy", re.IGNORECASE)
_GMAIL_PREFETCH = "Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0"
_APPLE_PREFETCH = "Mozilla/5.0"
_SCANNER = re.compile(
    r"bot\b|crawl|spider|scan|proofpoint|mimecast|barracuda|symantec|messagelabs|trend ?micro|fireeye|"
    r"cloudmark|sophos|forcepoint|"
    r"safelinks|urldefense|ms-?office|microsoft office|bingpreview|skypeuripreview|slackbot|"
    r"facebookexternalhit|twitterbot|"
    r"whatsapp|telegrambot|linkedinbot|discordbot|embedly|preview|prefetch|monitor|headless|phantomjs|selenium|"
    r"curl/|wget/|python|go-http-client|java/|okhttp|libwww|httpclient|node-fetch|axios|ruby|perl|php/",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What is looked at of a request. ``prefetch``: it carries ``Purpose: prefetch`` or ``Sec-Purpose``."""

    method: str = "GET"
    user_agent: str = ""
    prefetch: bool = False


def of_request(asked: Asked) -> Verdict:
    """Judge one request by itself."""
    agent = asked.user_agent.strip()
    if asked.method == "HEAD" or not agent or _SCANNER.search(agent):
        return Verdict.SCANNER
    if asked.prefetch or agent == _APPLE_PREFETCH or agent.endswith(_GMAIL_PREFETCH):
        return Verdict.PREFETCH
    if _PROXY.search(agent):
        return Verdict.PROXY
    return Verdict.HUMAN


def with_time(verdict: Verdict, at: dt.datetime, accepted_at: dt.datetime | None, *, clicked: bool) -> Verdict:
    """Judge again, knowing when the mail was accepted."""
    if verdict in (Verdict.HUMAN, Verdict.PROXY) and accepted_at is not None and at - accepted_at < SOON:
        return Verdict.SCANNER if clicked else Verdict.PREFETCH
    return verdict
