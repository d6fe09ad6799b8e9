"""Media RSS: pictures with credit and caption, item by item.

Promise: ``images_by_item`` returns the pictures of each item of a well-formed
feed in document order, each with the words that stand beside or inside it, and
``hidden`` hides the elements from feedparser, which would put a picture's
description in the place of the story's. No entity is expanded here: documents
that declare any are refused before (``newsletter.articles.feeds``).

Format: https://www.rssboard.org/media-rss
"""

from __future__ import annotations

import re
from typing import Final
from xml.etree import ElementTree as ET

from newsletter.articles.images import number
from newsletter.articles.story import RawImage
from newsletter.kit.html import plain_text

PREFIX: Final = "mrss"  # of the elements that ``hidden`` has been over

_DECLARED: Final = re.compile(r"""xmlns:([A-Za-z][\w.-]*)\s*=\s*["']http://search\.yahoo\.com/mrss/?["']""")
_HIDDEN: Final = "urn:media-rss"
_ITEMS: Final = frozenset({"item", "entry"})
_PICTURE: Final = re.compile(r"\.(?:jpe?g|png|gif|webp|avif)(?:$|[?#])", re.IGNORECASE)


def hidden(document: str) -> str:
    """Return the document with its Media RSS elements under a prefix and a namespace unknown to feedparser."""
    for prefix in set(_DECLARED.findall(document)):
        document = re.sub(rf"(</?){re.escape(prefix)}:", rf"\1{PREFIX}:", document)
    return _DECLARED.sub(f'xmlns:{PREFIX}="{_HIDDEN}"', document)


def images_by_item(document: str) -> list[tuple[RawImage, ...]]:
    """Return the pictures of each item of a document that ``hidden`` has been over.

    Raises ``xml.etree.ElementTree.ParseError`` if the document is not well-formed.
    """
    root = ET.fromstring(document)  # noqa: S314 - documents with entity declarations never come here
    return [_images(item) for item in root.iter() if _local(item.tag) in _ITEMS]


def _images(item: ET.Element) -> tuple[RawImage, ...]:
    """Pictures of one item: contents first, thumbnails after them."""
    contents: list[RawImage] = []
    thumbnails: list[RawImage] = []
    for group in (item, *item.findall(_name("group"))):
        contents += [_image(content, group) for content in group.findall(_name("content")) if _is_picture(content)]
        thumbnails += [_image(thumbnail, group) for thumbnail in group.iter(_name("thumbnail"))]
    return (*contents, *thumbnails)


def _image(element: ET.Element, around: ET.Element) -> RawImage:
    """Read one picture; words inside it count for it, words around it for all in the group."""
    caption = _words(element, around, "description") or _words(element, around, "text")
    return RawImage(
        url=element.get("url", "").strip(),
        alt=element.get("alt", ""),
        caption=caption,
        credit=_words(element, around, "credit"),
        width=number(element.get("width")),
        height=number(element.get("height")),
    )


def _words(element: ET.Element, around: ET.Element, name: str) -> str:
    for place in (element, around):
        found = place.find(_name(name))
        if found is not None and (text := plain_text("".join(found.itertext()))):
            return text
    return ""


def _is_picture(content: ET.Element) -> bool:
    medium, kind = content.get("medium", ""), content.get("type", "")
    return (
        medium == "image"
        or kind.startswith("image/")
        or (not medium and not kind and bool(_PICTURE.search(content.get("url", ""))))
    )


def _name(local: str) -> str:
    return f"{{{_HIDDEN}}}{local}"


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]
