"""Mail scanners and link previews open every address they see: nothing may come of it.

The addresses are those of a real mail, taken from what the mail server received,
and every page that anybody can open.
"""

import re

import pytest
from factories.web import Person, dump, html
from starlette.testclient import TestClient

from newsletter.audience import SubscriptionStatus
from newsletter.audience.models import Subscription

AGENTS = [
    {},
    {"user-agent": "Mozilla/5.0 (compatible; Barracuda Sentinel)"},
    {"user-agent": "Mozilla/5.0", "sec-purpose": "prefetch", "purpose": "prefetch"},
    {"user-agent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/120.0", "sec-fetch-site": "cross-site"},
]


@pytest.fixture
def addresses(mailbox, week):
    """Every address in one reader's mail, its headers included."""
    [mail] = mailbox.to("reader5@example.org")
    message = mail.message
    found = re.findall(r'https?://news\.example\.test[^\s<>"\']*', mail.html + mail.text + str(message.items()))
    paths = {address.removeprefix("http://news.example.test").replace("&amp;", "&") for address in found}
    kinds = {path.split("/")[1] for path in paths}
    assert {"u", "p", "c", "o", "n"} <= kinds
    return sorted(paths)


def without_hits(rows: dict[str, list[tuple]]) -> dict[str, list[tuple]]:
    """Opens and clicks are notes about requests; they are judged, and change nothing else."""
    return {table: values for table, values in rows.items() if table != "events"}


def test_opening_every_address_of_a_mail_changes_nothing(app, database, addresses):
    before = without_hits(dump(database))
    with TestClient(app, base_url="http://news.example.test", follow_redirects=False) as client:
        for _ in range(3):
            for path in addresses:
                for headers in AGENTS:
                    for method in ("GET", "HEAD", "OPTIONS"):
                        answer = client.request(method, path, headers=headers)
                        assert answer.status_code in (200, 302, 404, 405), path
    assert without_hits(dump(database)) == before
    with database.read() as session:
        assert all(row.status is not SubscriptionStatus.PENDING for row in session.query(Subscription))


def test_following_everything_on_every_public_page_changes_nothing(app, database, addresses):
    before = without_hits(dump(database))
    person = Person(app)
    seen, waiting = set(), [*addresses, "/", "/sign-in", "/n/meridian", "/n/meridian/feed.xml", "/sign-in/link/forged"]
    while waiting:
        path = waiting.pop()
        if path in seen or not path.startswith("/"):
            continue
        seen.add(path)
        answer = person.get(path)
        assert answer.status_code in (200, 302, 303, 404), path
        if answer.headers.get("content-type", "").startswith("text/html"):
            nodes = html(answer).css("[href], [src]")
            waiting += [
                (node.attributes.get("href") or node.attributes.get("src") or "").split("#")[0] for node in nodes
            ]
    assert len(seen) > 15
    assert without_hits(dump(database)) == before


def test_crawling_the_studio_with_every_right_changes_nothing(admin, database, week):
    """Threat T16: no link and no form that is only opened changes anything."""
    before = dump(database)
    seen, waiting = set(), week.pages()
    while waiting:
        path = waiting.pop()
        if path in seen or not path.startswith("/"):
            continue
        seen.add(path)
        answer = admin.get(path)
        if answer.headers.get("content-type", "").startswith("text/html"):
            tree = html(answer)
            for node in tree.css("a, form, button, iframe"):
                target = next(filter(None, map(node.attributes.get, ("href", "action", "formaction", "src"))), "")
                waiting.append(target.split("#")[0])
    assert any(path.endswith("/approve") for path in seen)
    assert any(path.endswith("/remove") for path in seen)
    assert any(path.endswith("/sign-out") for path in seen)
    assert dump(database) == before
