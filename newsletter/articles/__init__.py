"""FEED -> ARTICLE: sources, safe fetching, extraction, one article per story, the pool."""

from newsletter.articles.adding import add_url
from newsletter.articles.collecting import Collected, SourceCheck, check_source, collect
from newsletter.articles.models import Article, ArticleState, Source
from newsletter.articles.pages import read_page
from newsletter.articles.queries import ArticleView, PoolArticle, SourceRow, due_sources, pool, sources, view
from newsletter.articles.ruling import rule
from newsletter.articles.sourcing import add_source, remove_source, update_source
from newsletter.articles.story import Image, Story

__all__ = [
    "Article",
    "ArticleState",
    "ArticleView",
    "Collected",
    "Image",
    "PoolArticle",
    "Source",
    "SourceCheck",
    "SourceRow",
    "Story",
    "add_source",
    "add_url",
    "check_source",
    "collect",
    "due_sources",
    "pool",
    "read_page",
    "remove_source",
    "rule",
    "sources",
    "update_source",
    "view",
]
