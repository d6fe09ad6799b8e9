"""One story added by hand, by its address.

Promise: the story of a page that a person names is in the pool afterwards, as a
new article or as the one that it is already. It takes the ``Database``, not a
session, since it must not hold a transaction while it waits for the network.
"""

from __future__ import annotations

from newsletter.articles.canonical import canonical
from newsletter.articles.decoding import decode
from newsletter.articles.fetching import PAGES, fetch
from newsletter.articles.models import ArticleState
from newsletter.articles.pages import read_page
from newsletter.articles.queries import ArticleView, view
from newsletter.articles.ruling import rule
from newsletter.articles.storing import store
from newsletter.db import Database
from newsletter.errors import FeedError
from newsletter.kit import clock

_PAGE_TYPES = ("text/html", "application/xhtml+xml")


def add_url(database: Database, publication_id: int, url: str, allow: tuple[str, ...]) -> ArticleView:
    """Fetch a page and put its story into the pool; one that was held or ruled out comes back.

    Raises ``FetchError`` if the page cannot be fetched and ``FeedError`` if it is no article's.
    """
    fetched = fetch(canonical(url), allow=allow, accept=PAGES)
    kind = fetched.content_type.partition(";")[0].strip().lower()
    if kind and kind not in _PAGE_TYPES:
        raise FeedError(
            f"The address answers with {kind}, not with a web page; give the address of the article itself."
        )
    now = clock.now()
    story = read_page(decode(fetched.body, fetched.content_type), fetched.url, now=now)
    with database.transaction() as session:
        (article_id,) = store(session, publication_id, [story], now=now).ids
        rule(session, article_id, ArticleState.POOL)
        session.flush()
        return view(session, [article_id])[article_id]
