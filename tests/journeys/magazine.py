"""A small foreign-policy magazine on a local web server: three feeds, as untidy as real ones.

Everything here is invented. The structure is what real feeds and pages have:
kickers such as "Analysis | Middle East", alt texts that are file names, credits
glued to captions, missing bylines and dates, button texts left in the body.
"""

from __future__ import annotations

import contextlib
import email.utils
import http.server
import json
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

LEAD = "Can the river treaty survive its third drought?"
UNDATED = "Dispatch from a port that no longer ships"
CHANGED_LATER = "Envoys return to the table, quietly"


def _rss(base: str, now: datetime) -> str:
    def item(slug, title, dek, kicker, *, byline="", days=1.0, image=True, guid=None, link=None):
        link = link or f"{base}/2026/{slug}?utm_source=rss&amp;utm_medium=feed"
        date = "" if days is None else f"<pubDate>{email.utils.format_datetime(now - timedelta(days=days))}</pubDate>"
        creator = f"<dc:creator>{byline}</dc:creator>" if byline else ""
        media = (
            f'<media:content url="{base}/images/{slug}.png" medium="image" width="1200" height="675">'
            f"<media:description>The {slug} at dusk. (Photo by Ines Okafor/Harbour Agency)</media:description>"
            f"<media:credit>Ines Okafor/Harbour Agency</media:credit></media:content>"
            if image
            else ""
        )
        return f"""<item><title>{title}</title><link>{link}</link>
            <guid isPermaLink="false">{guid or f"tag:{slug}"}</guid>{date}{creator}<category>{kicker}</category>{media}
            <description><![CDATA[<p>{dek}</p> keep readingShow less]]></description></item>"""

    items = [
        item("treaty", LEAD, "Two capitals that share one river have stopped sharing their figures.",
             "Analysis | Middle East", byline="Mara Lindqvist", days=0.5),
        item("cables", "Who mends the cables when nobody owns the sea",
             "Insurers, not navies, now decide which cut is mended first.", "Analysis | Asia",
             byline="Teo Marchetti and Lin Aso", days=1),
        item("port", UNDATED, "The cranes stand still, and the town has learned to live by other clocks.",
             "Reporting | Africa", days=None),
        item("envoys", CHANGED_LATER, "Three weeks of silence ended with a car at a side entrance.",
             "News | Europe", byline="Staff", days=2, image=False),
        item("treaty-again", LEAD, "The same story, syndicated under a second address.", "Analysis | Middle East",
             byline="Mara Lindqvist", days=0.5, link=f"{base}/2026/treaty?utm_campaign=again", guid="tag:treaty-2"),
    ]  # fmt: skip
    return f"""<?xml version="1.0" encoding="utf-8"?><rss version="2.0" xmlns:dc="http://purl.org/dc/elements/1.1/"
        xmlns:media="http://search.yahoo.com/mrss/"><channel><title>The Meridian</title><link>{base}/</link>
        <description>Foreign affairs without the shouting</description>{"".join(items)}</channel></rss>"""


def _atom(base: str, now: datetime) -> str:
    def entry(slug, title, summary, hours):
        return f"""<entry><id>urn:{slug}</id><title>{title}</title><link rel="alternate" href="{base}/blog/{slug}"/>
            <updated>{(now - timedelta(hours=hours)).isoformat()}</updated><author><name>Meridian staff</name></author>
            <summary>{summary}</summary><category term="Blog | Global"/></entry>"""

    vote = entry("vote", "Parliament postpones the basing vote again", "A fourth delay, the first without a reason.", 3)
    grain = entry("grain", "Grain ships take the long way round", "Eleven days more, and the premium with them.", 9)
    return f"""<?xml version="1.0" encoding="utf-8"?><feed xmlns="http://www.w3.org/2005/Atom"><title>Short wave</title>
        <id>urn:blog</id><updated>{now.isoformat()}</updated>{vote}{grain}</feed>"""


def _json_feed(base: str, now: datetime) -> str:
    return json.dumps({
        "version": "https://jsonfeed.org/version/1.1", "title": "Voices", "home_page_url": base,
        "items": [{
            "id": "v1", "url": f"{base}/voices/letters", "title": "Letters: what the sanctions debate leaves out",
            "summary": "Readers answer the October essay, and one of them was in the room.",
            "date_published": (now - timedelta(days=3)).isoformat(), "authors": [{"name": "Our readers"}],
            "image": f"{base}/images/191231-m-pg096-scaled.jpg", "tags": ["Opinion | Global"],
        }],
    })  # fmt: skip


class Magazine:
    """The server and what it was asked."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)
        self.requests: list[tuple[str, str | None]] = []  # path, If-None-Match
        self.changed = False
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.answer(self)

            def log_message(self, *words: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        path = request.path
        self.requests.append((path, request.headers.get("If-None-Match")))
        bodies = {
            "/feed.xml": ("application/rss+xml", _rss(self.base, self.now)),
            "/blog.atom": ("application/atom+xml", _atom(self.base, self.now)),
            "/voices.json": ("application/feed+json", _json_feed(self.base, self.now)),
            "/page": ("text/html", "<!doctype html><title>No feed here</title><p>Hello"),
            "/broken.xml": ("application/rss+xml", "<rss><channel><title>Torn</title><item><title>Half a st"),
            "/huge.xml": ("application/rss+xml", "<rss><channel>" + "<!-- padding -->" * 1_400_000),
        }
        if path == "/slow.xml":
            time.sleep(25)
        if path not in bodies:
            request.send_error(404)
            return
        kind, text = bodies[path]
        if self.changed:
            text = text.replace(CHANGED_LATER, CHANGED_LATER + " this time")
        etag = f'"{hash(text)}"'
        if request.headers.get("If-None-Match") == etag:
            request.send_response(304)
            request.end_headers()
            return
        body = text.encode()
        request.send_response(200)
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(body)))
        request.send_header("ETag", etag)
        request.end_headers()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # a reader at its size limit hangs up
            request.wfile.write(body)

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def magazine():
    served = Magazine()
    yield served
    served.close()
