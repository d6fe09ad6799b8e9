"""What the tests of the web room share: people at a browser, a served application, a week of everything.

``Person`` presses what is on the page: it finds the form by its address, sends
the form's own hidden fields and whatever is typed, as a browser would. So a form
that forgot its token, or that posts to the wrong place, fails its test.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import time_machine
import uvicorn
from factories import audience as subscribers
from factories import publications as titles
from factories import staff as people
from factories.issues import NOW, article, issue
from fixtures.mail import Mailbox
from selectolax.lexbor import LexborHTMLParser
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from newsletter import articles, audience, delivery, events, issues, staff
from newsletter.config import Settings
from newsletter.db import Base, Database
from newsletter.kit import clock
from newsletter.staff import Role

BASE = "http://news.example.test"


def html(response) -> LexborHTMLParser:
    """The page, to be searched with CSS selectors."""
    return LexborHTMLParser(response.text)


def words(response) -> str:
    """What a person reads on the page, blanks run together."""
    body = html(response).body
    assert body is not None
    for hidden in body.css("script, style"):
        hidden.decompose()
    return " ".join(body.text(separator=" ").split())


def fields_of(form) -> dict[str, str]:
    """What a browser would send of a form that nobody has touched."""
    sent: dict[str, str] = {}
    for field in form.css("input, textarea, select"):
        kind, name = field.attributes.get("type"), field.attributes.get("name")
        if not name or "disabled" in field.attributes:
            continue
        if field.tag == "textarea":
            sent[name] = field.text()
        elif field.tag == "select":
            chosen = field.css_first("option[selected]") or field.css_first("option")
            if chosen is not None:
                sent[name] = chosen.attributes.get("value") or chosen.text()
        elif kind not in ("checkbox", "radio") or "checked" in field.attributes:
            sent[name] = field.attributes.get("value") or ""
    return sent


class Person:
    """Somebody at a browser."""

    def __init__(self, app) -> None:
        self.client = TestClient(app, base_url=BASE, follow_redirects=False)

    def get(self, path: str, **headers: str):
        return self.client.get(path, headers=headers)

    def follow(self, response):
        """Go where a redirect leads, as often as it does."""
        while response.is_redirect:
            response = self.get(response.headers["location"])
        return response

    def press(self, page, action: str, *, button: dict[str, str] | None = None, **typed: str):
        """Submit the form of ``page`` whose address, or whose button's address, is ``action``."""
        tree = html(page)
        form = tree.css_first(f'form[method="post"][action="{action}"]')
        if form is None:
            pressed = tree.css_first(f'button[formaction="{action}"]')
            assert pressed is not None, f"no form or button posts to {action}"
            form = pressed.parent
            while form.tag != "form":
                form = form.parent
        return self.client.post(action, data={**fields_of(form), **typed, **(button or {})})

    def sign_in(self, email: str, password: str = people.PASSWORD) -> Person:
        page = self.get("/sign-in")
        response = self.press(page, "/sign-in", email=email, password=password)
        assert response.status_code == 303, response.text
        return self


def signed_in(app, database: Database, role: Role = Role.ADMIN) -> Person:
    """A person of this role, at a browser that has signed in."""
    email = f"{role}@meridian.example"
    with database.transaction() as session:
        if email not in {member.email for member in staff.listing(session)}:
            people.member(session, email, role, people.PASSWORD, name=f"{role} of the desk".capitalize())
        member = staff.by_email(session, email)
        key = staff.start(session, member.id)
    person = Person(app)
    person.client.cookies.set("newsletter-session", key)
    return person


def problems(response) -> list[str]:
    """What on a page could run: scripts in its text, handlers, addresses that are code, styles in its markup."""
    found = []
    for node in html(response).css("*"):
        attributes = node.attributes
        if node.tag == "script" and (node.text().strip() or not (attributes.get("src") or "").startswith("/static/")):
            found.append(node.html)
        if node.tag in ("style", "object", "embed", "base") or "style" in attributes or "srcdoc" in attributes:
            found.append(node.html)
        found += [f"{node.tag} {name}" for name in attributes if name.startswith("on")]
        for name in ("href", "src", "action", "formaction"):
            if (attributes.get(name) or "").strip().lower().startswith(("javascript:", "data:", "vbscript:")):
                found.append(f"{node.tag} {name}={attributes[name]}")
    return found


def dump(database: Database) -> dict[str, list[tuple]]:
    """Every row of every table."""
    with database.read() as session:
        return {
            table.name: sorted(tuple(map(repr, row)) for row in session.execute(select(table)))
            for table in Base.metadata.sorted_tables
        }


@dataclass(frozen=True)
class Week:
    """A newsletter in full swing: what has an id."""

    slug: str
    publication_id: int
    sent_issue: int
    send: int
    draft: int
    reader: int
    broken_source: str = "https://broken.example/feed.xml"

    def pages(self) -> list[str]:
        """Every page of the studio that shows something of it."""
        return [
            "/studio",
            "/studio/newsletters",
            f"/studio/newsletters/{self.slug}",
            f"/studio/newsletters/{self.slug}/stories",
            f"/studio/newsletters/{self.slug}/readers",
            f"/studio/readers/{self.reader}",
            f"/studio/issues/{self.draft}",
            f"/studio/issues/{self.draft}/send",
            f"/studio/issues/{self.draft}/report",
            f"/studio/issues/{self.sent_issue}",
            f"/studio/issues/{self.sent_issue}/report",
            f"/studio/sends/{self.send}",
            f"/studio/sends/{self.send}/recipients?state=accepted",
            f"/studio/sends/{self.send}/recipients?state=refused",
            "/studio/trail",
            "/studio/account",
        ]


def a_week(database: Database, settings: Settings, mailbox: Mailbox, *, readers: int = 12) -> Week:
    """One issue sent over SMTP, with a bounce, an open, a click and a leaver; the next one in draft."""
    settings = settings.model_copy(update={"smtp_url": (f"smtp://127.0.0.1:{mailbox.port}",)})
    with database.transaction() as session:
        publication = titles.publication(session, "meridian", tagline="The week in foreign policy, read slowly")
        first = issue(session, publication, stories=5)
        _write(session, first.id, "The strait that nobody closed")
        issues.approve(session, first.id, by="editor@meridian.example")
        source = articles.add_source(session, publication.id, Week.broken_source)
        source.problem, source.failures = "The address answers with a web page, not with a feed.", 3
        articles.add_source(session, publication.id, "https://meridian.example/feed.xml", section="Europe")
    subscribers.many(database, readers, publication.id)
    mailbox.refused.add("reader3@example.org")
    with database.transaction() as session:
        send = delivery.start(session, first.id, by="editor@meridian.example")
        staff.audit(session, actor="editor@meridian.example", action="sent", subject=f"issue:{first.id}")
    delivery.begin_due(database, settings)
    with ThreadPoolExecutor(1) as elsewhere:  # the sender wants an event loop of its own; so does a browser's test
        elsewhere.submit(delivery.run, database, settings).result()
    events.absorb_refusals(database, settings, send.send)
    reader = _reads(database, settings, send.send, publication.id)
    with database.transaction() as session:
        for headline in ("A customs union learns to say no", "Who owns a lithium town?", "The water ministers meet"):
            article(session, publication, headline=headline, section="Europe", first_seen_at=NOW + dt.timedelta(days=3))
        draft = issues.draft(session, publication.id, now=NOW + dt.timedelta(days=7))
        _write(session, draft.id, "Grain, guns and a commission")
        article(session, publication, headline="Too late for this week", first_seen_at=NOW + dt.timedelta(days=8))
    return Week("meridian", publication.id, first.id, send.send, draft.id, reader)


def _write(session: Session, issue_id: int, subject: str) -> None:
    view = issues.get(session, issue_id)
    note = "Good afternoon.\n\nThree of the pieces below were finished on trains."
    issues.edit(session, issue_id, version=view.version, subject=subject, preheader="Nine days of panic", note=note)


def _reads(database: Database, settings: Settings, send_id: int, publication_id: int) -> int:
    """Let the first recipient open the mail and follow two links, and the second leave."""
    later = clock.now() + dt.timedelta(minutes=5)
    with database.read() as session:
        first, second = delivery.recipients(session, send_id, limit=2).rows
    person = events.Asked(user_agent="Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0")
    with time_machine.travel(later, tick=False), events.Recorder(database, settings) as recorder:
        recorder.open(send_id, first.seq, person)
        recorder.click(send_id, first.seq, 1, person)
        recorder.click(send_id, first.seq, 2, person)
    leaver = audience.Reader(publication_id, second.subscriber_id, send_id)
    with database.transaction() as session:
        audience.leave(session, leaver, via="page", reason="Too many maps")
        events.unsubscribed(session, leaver, via="page")
    return first.subscriber_id


@dataclass(frozen=True)
class Served:
    """An application that answers on a port."""

    url: str


@contextlib.contextmanager
def serving(app) -> Iterator[Served]:
    """Serve an application on a free port of the loopback until the block ends."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, ws="none", timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    pause = threading.Event()
    while not server.started:
        assert thread.is_alive()
        pause.wait(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield Served(f"http://127.0.0.1:{port}")
    finally:
        server.should_exit = True
        thread.join(10)
