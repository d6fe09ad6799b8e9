"""The Meridian Review: an invented magazine with a site, two feeds and a podcast.

Promise: everything is made of ``stories.toml`` and of arithmetic; dates count
back from the instant the demonstration was first started, so that they stay the
same when it is started again. What is not published yet is not there: a story
appears in its feed when its hour has come and ``published_until`` allows it. It
opens no socket; ``answer`` maps a path to what a web server would say.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import format_datetime
from html import escape
from pathlib import Path
from typing import Any, Final

from newsletter.cli.demo import pictures
from newsletter.kit import clock

NAME: Final = "The Meridian Review"
CHANNELS: Final = {"review": NAME, "marginalia": "Marginalia", "wire": "The Long Wire"}
LAST_WEEK: Final = dt.timedelta(days=7)

_STYLE: Final = """
:root{color-scheme:light dark;--ink:light-dark(#1b1a18,#ece9e2);--soft:light-dark(#5c5851,#b3aea4);
--paper:light-dark(#fdfcf9,#171614);--line:light-dark(#d9d5cc,#3d3a35);--accent:light-dark(#8c1c1c,#f0a39c)}
body{margin:0;background:var(--paper);color:var(--ink);font:1.125rem/1.6 Georgia,serif}
header,main,footer{max-width:46rem;margin:auto;padding:1.25rem}header{border-bottom:3px double var(--line)}
header a{font-size:1.75rem;font-weight:700;color:inherit;text-decoration:none}h1,h2{line-height:1.2;text-wrap:balance}
a,.kicker{color:var(--accent)}.kicker{font:600 .8rem/1 system-ui;letter-spacing:.06em;text-transform:uppercase}
.dek{font-size:1.25rem;color:var(--soft)}img{width:100%;height:auto}figure{margin:1.5rem 0}
figcaption,.by,footer{color:var(--soft);font:.875rem/1.5 system-ui}ul{padding:0;list-style:none}
li{border-top:1px solid var(--line);padding:1rem 0}li h2{margin:.25rem 0;font-size:1.3rem}
"""


@dataclass(frozen=True, slots=True)
class Story:
    """One story as the magazine has it; empty texts and no date where the magazine forgot them."""

    channel: str
    slug: str
    headline: str
    dek: str
    body: tuple[str, ...]
    at: dt.datetime
    kind: str = ""
    region: str = ""
    byline: str = ""
    scene: str = ""
    alt: str = ""
    caption: str = ""
    credit: str = ""
    undated: bool = False

    @property
    def kicker(self) -> str:
        """What stands above the headline, such as ``Analysis | Europe``."""
        return " | ".join(word for word in (self.kind, self.region) if word)


@dataclass(frozen=True, slots=True)
class Page:
    """What a web server answers: a media type and a body."""

    media_type: str
    body: bytes

    @property
    def etag(self) -> str:
        """A validator that changes with the body (RFC 9110 8.8.3)."""
        return f'"{hashlib.sha256(self.body).hexdigest()[:16]}"'


class Newsroom:
    """The magazine's site under ``base`` (an address without a slash at its end)."""

    def __init__(self, base: str, started: dt.datetime, published_until: dt.datetime | None = None) -> None:
        self.base = base
        self.published_until = published_until  # None: whatever the clock says
        self.stories = load(started)

    def published(self, channel: str | None = None) -> list[Story]:
        """Return the stories that are out, newest first."""
        until = min(filter(None, (self.published_until, clock.now())))
        out = [story for story in self.stories if story.at <= until and channel in (None, story.channel)]
        return sorted(out, key=lambda story: story.at, reverse=True)

    def publish_all(self) -> None:
        """Let the clock alone decide what is out."""
        self.published_until = None

    def answer(self, path: str) -> Page | None:
        """Return what is at ``path`` (below ``base``), or None."""
        fixed: dict[str, Callable[[], Page]] = {
            "/": self._index,
            "/feed.xml": self._rss,
            "/marginalia/feed.atom": self._atom,
            "/wire/feed.json": self._json,
        }
        if path in fixed:
            return fixed[path]()
        name = path.rpartition("/")[2]
        for story in self.published():
            if path == self._path(story):
                return self._article(story)
            if name == f"{story.slug}.png" and story.scene:
                return Page("image/png", pictures.draw(story.scene, story.slug))
        return None

    def _path(self, story: Story) -> str:
        return f"/{story.channel}/{story.at:%Y/%m}/{story.slug}"

    def _url(self, story: Story) -> str:
        return self.base + self._path(story)

    def _picture(self, story: Story) -> str:
        return f"{self.base}/pictures/{story.slug}.png"

    def _image(self, story: Story) -> str:
        if not story.scene:
            return ""
        size = f'width="{pictures.WIDTH}" height="{pictures.HEIGHT}"'
        return f'<img src="{self._picture(story)}" alt="{escape(story.alt)}" {size}>'

    # -- the site ------------------------------------------------------------

    def _index(self) -> Page:
        items = "".join(
            f'<li><span class="kicker">{escape(story.kicker or CHANNELS[story.channel])}</span>'
            f'<h2><a href="{self._url(story)}">{escape(story.headline)}</a></h2>{escape(story.dek)}</li>'
            for story in self.published()
        )
        return self._html(NAME, f"<ul>{items}</ul>")

    def _article(self, story: Story) -> Page:
        byline = f'<p class="by">{escape(story.byline)}</p>' if story.byline else ""
        body = "".join(f"<p>{escape(paragraph)}</p>" for paragraph in story.body)
        figure = ""
        if story.scene:
            below = " ".join(filter(None, (escape(story.caption), f"({escape(story.credit)})" if story.credit else "")))
            figure = f"<figure>{self._image(story)}<figcaption>{below}</figcaption></figure>"
        return self._html(
            story.headline,
            f'<article><p class="kicker">{escape(story.kicker)}</p><h1>{escape(story.headline)}</h1>'
            f'<p class="dek">{escape(story.dek)}</p>{byline}{figure}{body}</article>',
        )

    def _html(self, title: str, main: str) -> Page:
        page = (
            f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
            f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>'
            f'<body><header><a href="{self.base}/">{NAME}</a></header><main>{main}</main>'
            "<footer>An invented magazine, for the demonstration.</footer></body></html>"
        )
        return Page("text/html; charset=utf-8", page.encode())

    # -- its feeds -----------------------------------------------------------

    def _rss(self) -> Page:
        """RSS 2.0 with Dublin Core and Media RSS, as magazines' content systems write it."""
        items = "".join(self._rss_item(story) for story in self.published("review"))
        feed = (
            '<?xml version="1.0" encoding="utf-8"?><rss version="2.0" xmlns:dc="http://purl.org/dc/elements/1.1/" '
            'xmlns:media="http://search.yahoo.com/mrss/"><channel>'
            f"<title>{NAME}</title><link>{self.base}/</link><language>en</language>"
            f"<description>Foreign affairs, slowly.</description>{items}</channel></rss>"
        )
        return Page("application/rss+xml", feed.encode())

    def _rss_item(self, story: Story) -> str:
        media = ""
        if story.scene:
            media = (
                f'<media:content url="{self._picture(story)}" medium="image" type="image/png" '
                f'width="{pictures.WIDTH}" height="{pictures.HEIGHT}">'
                f"<media:description>{escape(story.caption)}</media:description>"
                f"<media:credit>{escape(story.credit)}</media:credit></media:content>"
            )
        author = f"<dc:creator>{escape(story.byline)}</dc:creator>" if story.byline else ""
        # Feeds are built from pages, and what buttons say on the page ends up in them.
        teaser = f"{self._image(story)}<p>{escape(story.dek)}</p><p>keep reading</p><span>Show less</span>"
        return (
            f"<item><title>{escape(story.headline)}</title><link>{self._url(story)}?utm_source=rss</link>"
            f'<guid isPermaLink="false">meridian-{story.slug}</guid><pubDate>{format_datetime(story.at)}</pubDate>'
            f"{author}<category>{escape(story.kicker)}</category>"
            f"<description>{escape(teaser)}</description>{media}</item>"
        )

    def _atom(self) -> Page:
        """Atom (RFC 4287), but for an entry that lacks the date it ought to have."""
        stories = self.published("marginalia")
        entries = "".join(
            f"<entry><id>tag:meridian.example,2026:{story.slug}</id><title>{escape(story.headline)}</title>"
            f'<link href="{self._url(story)}"/><summary>{escape(story.dek)}</summary>'
            + (f"<author><name>{escape(story.byline)}</name></author>" if story.byline else "")
            + (
                ""
                if story.undated
                else f"<published>{story.at.isoformat()}</published><updated>{story.at.isoformat()}</updated>"
            )
            + "</entry>"
            for story in stories
        )
        updated = stories[0].at.isoformat() if stories else clock.now().isoformat()
        feed = (
            '<?xml version="1.0" encoding="utf-8"?><feed xmlns="http://www.w3.org/2005/Atom" xml:lang="en">'
            f"<id>{self.base}/marginalia</id><title>Marginalia</title><updated>{updated}</updated>{entries}</feed>"
        )
        return Page("application/atom+xml", feed.encode())

    def _json(self) -> Page:
        """JSON Feed 1.1."""
        items = [
            {
                "id": story.slug,
                "url": self._url(story),
                "title": story.headline,
                "summary": story.dek,
                "content_html": f"{self._image(story)}<p>{escape(story.dek)}</p>",
                "image": self._picture(story),
                "authors": [{"name": story.byline}],
                "date_published": story.at.isoformat(),
                "tags": ["Podcast"],
            }
            for story in self.published("wire")
        ]
        feed = {
            "version": "https://jsonfeed.org/version/1.1",
            "title": "The Long Wire",
            "language": "en",
            "items": items,
        }
        return Page("application/feed+json", json.dumps(feed).encode())


def load(started: dt.datetime) -> list[Story]:
    """Read the stories, dated back from ``started``."""
    kept = tomllib.loads(Path(__file__).with_name("stories.toml").read_text(encoding="utf-8"))
    return [_story(channel, fields, started) for channel in CHANNELS for fields in kept[channel]]


def _story(channel: str, fields: dict[str, Any], started: dt.datetime) -> Story:
    ago = dt.timedelta(days=fields.pop("days"))
    return Story(channel=channel, at=(started - ago).replace(microsecond=0), body=tuple(fields.pop("body")), **fields)
