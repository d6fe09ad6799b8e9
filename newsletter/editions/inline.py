"""The only home of premailer: moves a mail's CSS into style attributes.

Promise: the document that comes out has the doctype, the comments for Outlook,
the opaque marks and every ``<style data-premailer="ignore">`` of the one that
went in, byte for byte. Nothing is fetched and no file is read. It takes tens of
milliseconds, so it runs once per edition, never per reader: delivery cannot
import it.

premailer 3.10 is unmaintained; each option below closes one of its traps, and
each has its test. Its parser drops what is newer than it whatever the options, such
as ``rgb(0 0 0 / 50%)``: write colours as ``#rrggbb``.
"""

from __future__ import annotations

import logging
import re
import threading

from premailer import Premailer

_COMMENT_OR_TAG = re.compile(r"""<!--.*?-->|<[a-z](?:"[^"]*"|'[^']*'|[^'">])*>""", re.DOTALL)
_ATTRIBUTE = re.compile(r""" ([a-z:-]+)=("[^"]*"|'[^']*')""")
_AFTER = re.compile("([;,]) ")

# cssutils keeps parser state in its modules.
_lock = threading.Lock()


def inlined(html: str) -> str:
    """Return the document with its style sheets inlined, ending in one line feed.

    Style sheets marked ``data-premailer="ignore"`` stay where they are; write dark
    mode, media queries and attribute selectors there.
    """
    premailer = Premailer(
        html,
        allow_network=False,  # else a <link> is fetched: SSRF
        allow_loading_external_files=False,  # nor read from the disk
        disable_link_rewrites=True,
        strip_important=False,  # else it strips !important from what it keeps, and dark mode is dead
        disable_validation=True,  # else it drops what CSS 2.1 did not know, silently
        disable_basic_attributes=["width", "height", "align", "valign"],  # it writes height="auto" and the like
        align_floating_images=False,  # parses every image's style once more, for clients that are gone
        cssutils_logging_level=logging.CRITICAL,  # cssutils reports each modern property as an error
    )
    with _lock:
        document: str = premailer.transform(pretty_print=False)
    return _COMMENT_OR_TAG.sub(_with_dense_style, document).strip() + "\n"


def _with_dense_style(tag: re.Match[str]) -> str:
    """Drop the blanks that premailer puts between declarations: a tenth of a mail."""
    if tag[0].startswith("<!--"):
        return tag[0]
    return _ATTRIBUTE.sub(lambda match: _AFTER.sub(r"\1", match[0]) if match[1] == "style" else match[0], tag[0])
