"""What happens in the demonstration: an editor, a publication, readers, two issues.

Promise: every step looks first whether it has been done, so that a second start
continues where the first one ended. Everything goes through the rooms' public
doors, as it does for everybody else; nothing is written behind their backs. The
sending itself is the workers' business: here it is only asked for and watched.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Final
from urllib.parse import urlsplit

from newsletter import articles, audience, delivery, issues, migrations, publications, staff
from newsletter.cli.demo.newsroom import LAST_WEEK, NAME
from newsletter.cli.demo.people import as_csv, everybody
from newsletter.cli.demo.stage import PUBLISH, SITE
from newsletter.config import Settings
from newsletter.db import Database
from newsletter.delivery import SendState
from newsletter.errors import NewsletterError, TransportError
from newsletter.kit import clock
from newsletter.publications import SectionRule
from newsletter.staff import Role

SLUG: Final = "meridian"
EDITOR: Final = "editor@meridian.example"
FEEDS: Final = (("/feed.xml", ""), ("/marginalia/feed.atom", "Marginalia"), ("/wire/feed.json", "The Long Wire"))
BLUEPRINT: Final = (
    SectionRule("Analysis", ("Analysis", "Report", "Interview"), 8),
    SectionRule("News", ("News",), 6),
    SectionRule("Marginalia", ("Marginalia",), 5),
    SectionRule("Listen", ("The Long Wire",), 3),
    SectionRule("Voices"),
)
NOTE: Final = (
    "Nine days at Halmara have filled this issue, and not for want of trying to fill it with something else.\n\n"
    "If you read one thing, let it be the lead. If you read two, read the shortest."
)
POLL: Final = 0.25
STAGE_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Script:
    """The steps, in the order in which ``play`` takes them; ``tell`` prints a line for the visitor."""

    settings: Settings
    database: Database
    stage: str  # address of the newsroom and of the inbox
    readers: int
    tell: Callable[[str], None]
    stop: threading.Event

    def prepare(self) -> str:
        """Make tables, editor and publication; return the path of a new one-time sign-in link."""
        migrations.upgrade(self.database)
        with self.database.transaction() as session:
            if not staff.count(session):
                staff.create(session, email=EDITOR, role=Role.ADMIN, name="Ana Reis")
            if not publications.listing(session):
                made = publications.create(
                    session,
                    slug=SLUG,
                    name="The Meridian Weekly",
                    sender=f"{NAME} <weekly@meridian.example>",
                    reply_to="letters@meridian.example",
                    postal_address=f"{NAME}\n12 Harbour Lane\n1100-001 Lisbon\nPortugal",
                    timezone="Europe/Lisbon",
                    tagline="Foreign affairs, slowly: the week's analysis, news and short notes.",
                    website=f"{self.stage}{SITE}/",
                )
                publications.set_blueprint(session, made, BLUEPRINT)
            return f"/sign-in/link/{staff.login_link(session, staff.by_email(session, EDITOR).id)}"

    def begun(self) -> bool:
        """Whether the first issue was drafted already, so that the newsroom may publish everything."""
        with self.database.read() as session:
            return bool(issues.listing(session).rows)

    def play(self) -> None:
        """Bring in readers and stories, send the first issue, leave the second to the editor."""
        with self.database.read() as session:
            publication_id = publications.get(session, SLUG).id
        self._bring_readers(publication_id)
        if self.begun():
            return
        self._collect(publication_id)
        send_id = self._send_first(publication_id)
        self._publish_the_rest()
        self._collect(publication_id)
        with self.database.transaction() as session:
            second = issues.draft(session, publication_id)
        self.tell(f"No. {second.number} is drafted from {second.story_count} stories and waits for you in the studio.")
        self._watch(send_id)

    def _bring_readers(self, publication_id: int) -> None:
        with self.database.read() as session:
            missing = audience.counts(session, publication_id).active == 0
        if missing:
            audience.import_csv(
                self.database,
                self.settings.secret,
                as_csv(everybody(self.readers)),
                publication_id=publication_id,
                confirmed=True,
                consent_source="invented for the demonstration",
            )

    def _collect(self, publication_id: int) -> None:
        """Add the newsroom's three feeds, if they are not there yet, and read them."""
        with self.database.transaction() as session:
            known = {source.url for source in articles.sources(session, publication_id)}
            for path, section in FEEDS:
                if (url := f"{self.stage}{SITE}{path}") not in known:
                    articles.add_source(session, publication_id, url, section=section)
            due = articles.due_sources(session, publication_id, force=True)
        for source_id in due:
            articles.collect(self.database, source_id, allow=self.settings.fetch_allow)

    def _send_first(self, publication_id: int) -> int:
        """Draft, sign and send last week's issue as the editor would have."""
        with self.database.transaction() as session:
            view = issues.draft(session, publication_id)
            last_week = (clock.now() - LAST_WEEK).date()
            issues.edit(session, view.id, version=view.version, note=NOTE, date=last_week)
            issues.approve(session, view.id, by=EDITOR)
            status = delivery.start(session, view.id, by=EDITOR, settings=self.settings)
        self.tell(f"No. {view.number}, last week's issue, is on its way to {self.readers:,} invented readers.")
        return status.send

    def _publish_the_rest(self) -> None:
        """Let the newsroom publish this week's stories."""
        connection = HTTPConnection(urlsplit(self.stage).netloc, timeout=10)
        try:
            connection.request("POST", PUBLISH)
            connection.getresponse().read()
        except (OSError, HTTPException) as error:
            raise TransportError(f"The demonstration's newsroom does not answer ({error}).") from error
        finally:
            connection.close()

    def _watch(self, send_id: int) -> None:
        """Wait for the end of the first send and tell how it went."""
        while not self.stop.wait(POLL):
            with self.database.read() as session:
                status = delivery.status(session, send_id)
            if status.state is SendState.COMPLETE and status.started_at and status.finished_at:
                seconds = (status.finished_at - status.started_at).total_seconds()
                self.tell(
                    f"No. 1 was sent to {status.audience:,} readers in {seconds:.0f} s: {status.accepted:,} accepted, "
                    f"{status.refused:,} refused, {status.uncertain:,} uncertain. The report fills as they read."
                )
                return


def play_in_background(script: Script, ready: Callable[[], bool]) -> threading.Thread:
    """Play in a thread once the stage is ``ready``; what goes wrong becomes a line, and the rest goes on."""

    def run() -> None:
        try:
            _await(ready, script.stop)
            script.play()
        except NewsletterError as error:
            script.tell(f"The demonstration stopped playing: {error.message}")

    thread = threading.Thread(target=run, name="script", daemon=True)
    thread.start()
    return thread


def _await(ready: Callable[[], bool], stop: threading.Event) -> None:
    deadline = clock.now() + dt.timedelta(seconds=STAGE_SECONDS)
    while not ready() and not stop.wait(POLL):
        if clock.now() > deadline:
            raise TransportError("its newsroom did not start; see logs/stage.log in its folder.")
