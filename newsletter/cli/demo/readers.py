"""What a few hundred readers do with their mail: open, click, leave; and one scanner that opens everything.

Promise: they use nothing but the message in their mailbox and HTTP, like anybody
else. At most ``AT_ONCE`` requests are under way, and each reader acts some
seconds after the mail came, so that the studio shows numbers that grow. A request
that fails is not repeated.
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
from email import message_from_bytes, policy
from typing import Final

import httpx2

from newsletter.cli.demo.behaviour import Habit
from newsletter.cli.demo.people import READERS
from newsletter.web.inbox.letter import read

log = logging.getLogger(__name__)

AT_ONCE: Final = 4
SOONEST, LATEST = 2.0, 75.0  # seconds after the mail came, with all the readers; fewer take less time
SHORTEST: Final = 10.0
CLICKS: Final = 0.45  # share of those who open
BROWSERS: Final = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 15_1) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
    "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0",
)
SCANNER: Final = "Mozilla/5.0 (compatible; MailGateway-LinkScanner/3.2)"

_CLICK = re.compile(r'href="([^"]+/c/[^"]+)"')
_PIXEL = re.compile(r'src="([^"]+/o/[^"]+\.gif)"')
_LEAVE = re.compile(r"<(https?://[^>]+/u/[^>]+)>")


class Readers:
    """Everybody who does something, among ``count`` readers; ``act`` is told of each mail."""

    def __init__(self, count: int) -> None:
        self._latest = max(SHORTEST, LATEST * count / READERS)
        self._client = httpx2.AsyncClient(timeout=20, follow_redirects=False)
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def act(self, habit: Habit, address: str, message: bytes) -> None:
        """Do what this reader does, in the reader's own time."""
        dice = random.Random(address)  # noqa: S311 - who clicks what; no secret
        if habit is not Habit.SCANNED:
            await asyncio.sleep(dice.uniform(SOONEST, self._latest))
        html = read(message).html
        links = list(dict.fromkeys(_CLICK.findall(html)))
        browser = dice.choice(BROWSERS)
        if habit is Habit.SCANNED:
            for link in links:
                await self._get(link, SCANNER)
            return
        for pixel in _PIXEL.findall(html)[:1]:
            await self._get(pixel, browser)
        if links and dice.random() < CLICKS:
            await asyncio.sleep(dice.uniform(1, 8))
            # The higher a story stands, the more it is clicked.
            await self._get(links[min(int(dice.expovariate(0.35)), len(links) - 1)], browser)
        if habit in (Habit.LEAVES_BY_BUTTON, Habit.LEAVES_BY_PAGE):
            await self._leave(habit, message, browser)

    async def _leave(self, habit: Habit, message: bytes, browser: str) -> None:
        header = str(message_from_bytes(message, policy=policy.default).get("List-Unsubscribe", ""))
        found = _LEAVE.search(header)
        if found is None:
            return
        if habit is Habit.LEAVES_BY_BUTTON:
            await self._post(found[1], {"List-Unsubscribe": "One-Click"}, "MailProgram/1.0")
        else:
            await self._get(found[1], browser)
            await self._post(found[1], {}, browser)

    async def _get(self, url: str, browser: str) -> None:
        await self._ask("GET", url, {}, browser)

    async def _post(self, url: str, fields: dict[str, str], browser: str) -> None:
        await self._ask("POST", url, fields, browser)

    async def _ask(self, method: str, url: str, fields: dict[str, str], browser: str) -> None:
        async with self._turn:
            try:
                await self._client.request(
                    method, url.replace("&amp;", "&"), data=fields or None, headers={"User-Agent": browser}
                )
            except httpx2.HTTPError as error:
                log.info("%s %s: %r", method, url, error)
