"""Our own linter of a mail's HTML: what screen readers and mail programs stumble over.

Promise: a document without a fault has language and direction where webmail keeps
them, roles on layout tables, alternative texts, one heading tree, links with names,
and nothing that mail programs strip. It parses in about a millisecond, so it runs
on every preview. It does not look at colours: a brand's are checked when they are set.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from selectolax.lexbor import LexborHTMLParser, LexborNode

GENERIC: Final = frozenset({"click here", "here", "link", "more", "read more", "read the full story", "this"})
FORBIDDEN: Final = "script, iframe, object, embed, form, input, video, audio, link, base"
MAX_STYLE: Final = 8192  # characters after which Gmail ignores a style element

_EDGES = re.compile(r"^\W+|\W+$")


@dataclass(frozen=True, slots=True)
class Fault:
    """One breach of a rule, with what broke it."""

    rule: str
    detail: str


def faults(html: str) -> tuple[Fault, ...]:
    """Return every fault of a mail's document."""
    tree = LexborHTMLParser(html)
    return tuple(
        fault
        for rule in (_frame, _language, _tables, _images, _headings, _links, _contents)
        for fault in rule(html, tree)
    )


def _frame(html: str, tree: LexborHTMLParser) -> Iterator[Fault]:
    if not html.startswith("<!DOCTYPE html>\n"):
        yield Fault("doctype", html[:40])  # in another case premailer loses it, and quirks mode follows
    if not html.endswith("</html>\n"):
        yield Fault("end", html[-40:])
    if tree.css_first('meta[charset="utf-8"]') is None:
        yield Fault("charset", "no <meta charset>")
    if not (title := tree.css_first("title")) or not title.text().strip():
        yield Fault("title", "empty")
    if html.count("<!--[if") != html.count("<![endif]"):
        yield Fault("conditional comments", "unbalanced")
    for style in tree.css("style"):
        if len(style.text()) > MAX_STYLE:
            yield Fault("style size", f"{len(style.text())} characters")


def _language(_html: str, tree: LexborHTMLParser) -> Iterator[Fault]:
    children = [node for node in tree.css("body > *") if node.tag != "style"]
    for node in [*tree.css("html"), *children]:
        for name in ("lang", "dir"):
            if not node.attributes.get(name):
                yield Fault(name, f"<{node.tag}> has none")
    if not [node for node in children if node.attributes.get("role") == "article" and _named(node)]:
        yield Fault("article", "no child of <body> with role=article and a label")


def _tables(_html: str, tree: LexborHTMLParser) -> Iterator[Fault]:
    for table in tree.css("table"):
        if table.attributes.get("role") != "presentation":
            yield Fault("layout table", "a table without role=presentation")


def _images(_html: str, tree: LexborHTMLParser) -> Iterator[Fault]:
    for image in tree.css("img"):
        source = image.attributes.get("src") or ""
        if "alt" not in image.attributes:
            yield Fault("alt", f"{source} has none")
        if not (image.attributes.get("width") or "").isdigit():
            yield Fault("image width", f"{source} has none")
        if not source.startswith(("https://", "http://")):
            yield Fault("image source", source)


def _headings(_html: str, tree: LexborHTMLParser) -> Iterator[Fault]:
    headings = tree.css("h1, h2, h3, h4, h5, h6")
    levels = [int(str(node.tag)[1]) for node in headings]
    if levels.count(1) != 1 or levels[0] != 1:
        yield Fault("first heading", f"{levels.count(1)} of <h1>, the first of all is h{levels[0] if levels else '?'}")
    for before, after in pairwise(levels):
        if after > before + 1:
            yield Fault("heading order", f"h{after} after h{before}")
    for node in headings:
        if not _words(node):
            yield Fault("empty heading", f"an empty <{node.tag}>")


def _links(_html: str, tree: LexborHTMLParser) -> Iterator[Fault]:
    for link in tree.css("a"):
        target = link.attributes.get("href") or ""
        if not target.startswith(("https://", "http://", "mailto:")):
            yield Fault("link target", target or "none")
        words = (link.attributes.get("aria-label") or "").strip() or _words(link)
        if not words:
            yield Fault("link name", f"the link to {target} has none")
        elif _EDGES.sub("", words.casefold()) in GENERIC:
            yield Fault("link name", f"“{words}” says nothing")


def _contents(_html: str, tree: LexborHTMLParser) -> Iterator[Fault]:
    for node in tree.css(FORBIDDEN):
        yield Fault("element", f"<{node.tag}> is stripped or distrusted by mail programs")
    for node in tree.css("[style]"):
        if "var(" in (node.attributes.get("style") or ""):
            yield Fault("css variable", f"in a <{node.tag}>")
    for node in tree.css("*"):
        for name in node.attributes:
            if re.fullmatch(r"on[a-z]+", name):
                yield Fault("script", f"{name} on <{node.tag}>")


def _named(node: LexborNode) -> bool:
    return bool((node.attributes.get("aria-label") or "").strip())


def _words(node: LexborNode) -> str:
    """Return a node's words as a screen reader would say them."""
    pictures = " ".join(image.attributes.get("alt") or "" for image in node.css("img"))
    return f"{node.text()} {pictures}".strip()
