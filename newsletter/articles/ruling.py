"""A person's word on an article: in the pool, held for later, or ruled out.

Promise: one conditional UPDATE; ruling twice is the same as once. Whether an
article was used is not told here but by the issues room.
"""

from __future__ import annotations

from sqlalchemy import update
from sqlalchemy.orm import Session

from newsletter.articles.models import Article, ArticleState
from newsletter.errors import NotFound


def rule(session: Session, article_id: int, state: ArticleState) -> None:
    """Put an article into ``state`` or raise ``NotFound``."""
    changed = session.execute(update(Article).where(Article.id == article_id).values(state=state).returning(Article.id))
    if changed.first() is None:
        raise NotFound(f"There is no article {article_id}.")
