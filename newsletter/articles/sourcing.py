"""The addresses that stories come from: adding, changing, removing.

Promise: a source's address is a public-looking web address and stands once in a
publication, however it is spelt. Removing a source keeps its articles. Nothing is
fetched here: what is at the address is found out by collecting, right after.
"""

from __future__ import annotations

import re
from functools import partial

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.articles.canonical import MAX_URL, canonical, is_web_address, url_key
from newsletter.articles.models import Source
from newsletter.articles.queries import source_by_id
from newsletter.db import after_commit
from newsletter.errors import Conflict, Invalid
from newsletter.kit import clock
from newsletter.kit.html import tidy
from newsletter.kit.wake import wake

MAX_SECTION = 120


def add_source(session: Session, publication_id: int, url: str, *, section: str = "") -> Source:
    """Add a feed's address; its stories go to ``section`` unless they name one themselves.

    ``example.org/feed`` and ``feed://…`` are understood. Raises ``Invalid`` for what
    is no web address and ``Conflict`` if the publication has it already.
    """
    url = _checked_url(url)
    known = session.execute(select(Source.id, Source.url).where(Source.publication_id == publication_id))
    for source_id, known_url in known:
        if url_key(known_url) == url_key(url):
            raise Conflict(f"{url} is a source of this newsletter already (source {source_id}).")
    now = clock.now()
    source = Source(
        publication_id=publication_id, url=url, section=_checked_section(section), next_check_at=now, created_at=now
    )
    session.add(source)
    session.flush()
    after_commit(session, partial(wake, "collect", source.id))
    return source


def update_source(
    session: Session, source_id: int, *, section: str | None = None, active: bool | None = None
) -> Source:
    """Change the section of a source's stories, or pause it and take it up again; None leaves a thing as it is."""
    source = source_by_id(session, source_id)
    if section is not None:
        source.section = _checked_section(section)
    if active is not None and active != source.active:
        source.active = active
        source.failures = 0
        source.next_check_at = clock.now()
    session.flush()
    return source


def remove_source(session: Session, source_id: int) -> None:
    """Forget a source; the articles that came from it stay."""
    session.delete(source_by_id(session, source_id))
    session.flush()


def _checked_url(text: str) -> str:
    url = re.sub(r"^feed:(?://)?(?=https?:)", "", text.strip(), flags=re.IGNORECASE)
    url = re.sub(r"^feed://", "https://", url, flags=re.IGNORECASE)
    if url and "://" not in url:
        url = f"https://{url}"
    if not is_web_address(url) or re.search(r"\s", url):
        raise Invalid(f"“{tidy(text)[:100]}” is no web address; write it like https://example.org/feed.", field="url")
    if "@" in url.partition("://")[2].partition("/")[0]:
        raise Invalid("The address holds a user name or password; give one that can be read without.", field="url")
    url = canonical(url)
    if len(url) > MAX_URL:
        raise Invalid(f"The address is longer than {MAX_URL} characters.", field="url")
    return url


def _checked_section(section: str) -> str:
    section = tidy(section)
    if len(section) > MAX_SECTION:
        raise Invalid(f"A section's name has at most {MAX_SECTION} characters.", field="section")
    return section
