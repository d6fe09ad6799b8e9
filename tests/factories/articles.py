"""Articles, sources and feeds for tests: rows, documents, and a real web server on loopback.

All names, places and texts are invented.
"""

from __future__ import annotations

import datetime as dt
import http.server
import itertools
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from xml.sax.saxutils import escape

from sqlalchemy.orm import Session

from newsletter.articles.canonical import headline_key
from newsletter.articles.models import Article, Source
from newsletter.kit import clock

ALLOW = ("127.0.0.1",)  # what every test that fetches from a FeedServer passes on
NAMESPACES = (
    'xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:media="http://search.yahoo.com/mrss/" '
    'xmlns:content="http://purl.org/rss/1.0/modules/content/" xmlns:desk="https://meridian.example/ns/desk"'
)
_numbers = itertools.count(1)


def article(session: Session, publication_id: int, **fields) -> Article:
    """An article in the pool, first seen now, complete unless ``fields`` say otherwise."""
    n = next(_numbers)
    headline = fields.get("headline", f"Ferry talks enter round {n}")
    facts = {
        "canonical_url": f"https://meridian.example/2026/ferry-talks-{n}",
        "headline": headline,
        "headline_key": headline_key(headline),
        "dek": f"Round {n} began without the harbour masters, and ended with a date for the next one.",
        "kicker_kind": "Analysis",
        "kicker_region": "Europe",
        "byline": "Ines Okafor",
        "published_at": clock.now() - dt.timedelta(hours=1),
        "image_url": f"https://meridian.example/images/ferry-{n}.jpg",
        "image_alt": "A ferry leaves an empty harbour",
        "image_alt_ok": True,
        "image_caption": "The morning ferry.",
        "image_credit": "Photo by Jo Marchetti",
        "image_width": 1200,
        "image_height": 675,
        "first_seen_at": clock.now(),
        **fields,
    }
    row = Article(publication_id=publication_id, **facts)
    session.add(row)
    session.flush()
    return row


def source(session: Session, publication_id: int, url: str = "", **fields) -> Source:
    """A source that is due."""
    moment = clock.now()
    facts = {"next_check_at": moment, "created_at": moment, **fields}
    row = Source(publication_id=publication_id, url=url or f"https://meridian.example/feed-{next(_numbers)}", **facts)
    session.add(row)
    session.flush()
    return row


def item(
    headline: str, link: str, *, guid: str = "", dek: str = "", published: dt.datetime | None = None, more: str = ""
) -> str:
    """One item of an RSS feed; ``more`` is XML."""
    date = f"<pubDate>{published:%a, %d %b %Y %H:%M:%S +0000}</pubDate>" if published else ""
    named = f'<guid isPermaLink="false">{escape(guid)}</guid>' if guid else ""
    told = f"<description>{escape(dek)}</description>" if dek else ""
    return f"<item><title>{escape(headline)}</title><link>{escape(link)}</link>{named}{date}{told}{more}</item>"


def rss(*items: str, title: str = "The Meridian") -> str:
    """An RSS 2.0 document around ``items``."""
    return (
        f'<?xml version="1.0" encoding="utf-8"?><rss version="2.0" {NAMESPACES}><channel><title>{escape(title)}</title>'
        f"<link>https://meridian.example/</link><language>en</language>{''.join(items)}</channel></rss>"
    )


@dataclass
class Reply:
    """What the server answers; ``run`` takes the whole conversation over instead."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    run: Callable[[http.server.BaseHTTPRequestHandler], None] | None = None


class FeedServer:
    """A web server on a free port of 127.0.0.1 that answers what a test tells it to; unknown paths are 404.

    ``serve`` sets the answer at a path; with an ETag header, conditional requests are answered 304.
    """

    def __init__(self, certificate: tuple[Path, Path] | None = None) -> None:
        self.replies: dict[str, Reply] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []  # path and headers (names in lower case)
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                with suppress(BrokenPipeError, ConnectionResetError):  # a reader at its limit hangs up
                    outer._answer(self)

            def log_message(self, *_words: object) -> None:
                pass

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, *_where: object) -> None:  # a failed handshake is the test's point
                pass

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        scheme = "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            scheme = "https"
        self.port = self._server.server_port
        self.base = f"{scheme}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def url(self, path: str) -> str:
        """The address of ``path``."""
        return self.base + path

    def serve(
        self, path: str, body: str | bytes = b"", *, status: int = 200, content_type: str = "", **headers: str
    ) -> str:
        """Set the answer at ``path`` and return its address; ``headers`` with underscores for dashes."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if content_type:
            named["Content-Type"] = content_type
        self.replies[path] = Reply(body.encode() if isinstance(body, str) else body, status, named)
        return self.url(path)

    def run(self, path: str, conversation: Callable[[http.server.BaseHTTPRequestHandler], None]) -> str:
        """Let ``conversation`` answer at ``path``."""
        self.replies[path] = Reply(run=conversation)
        return self.url(path)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        self.requests.append((request.path, {name.lower(): value for name, value in request.headers.items()}))
        reply = self.replies.get(request.path, Reply(status=404))
        if reply.run:
            reply.run(request)
            return
        tag = reply.headers.get("ETag")
        unchanged = tag is not None and request.headers.get("If-None-Match") == tag
        request.send_response(304 if unchanged else reply.status)
        for name, value in reply.headers.items():
            request.send_header(name, value)
        if unchanged:
            request.end_headers()
            return
        request.send_header("Content-Length", str(len(reply.body)))
        request.end_headers()
        request.wfile.write(reply.body)
