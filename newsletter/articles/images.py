"""Which picture a story is shown with, and the words that belong to it.

Promise: the picture chosen has an absolute web address and is none of the small
ones that pages are full of (counting pixels, smileys, portraits of authors); the
words around it, wherever they were found, are brought together. No picture is
fetched.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from newsletter.articles import captions
from newsletter.articles.canonical import MAX_URL, is_web_address, url_key
from newsletter.articles.story import Image, RawImage
from newsletter.kit.html import Token, tidy, tokens

SMALLEST: Final = 100  # pixels on a side; less is decoration
LARGEST: Final = 20_000

_SOURCES: Final = ("data-src", "data-lazy-src", "data-original", "src")  # the first is what a script would load
_DECORATION: Final = re.compile(r"smiley|emoji|avatar|gravatar|pixel|spacer|tracking|\bicon\b|\blogo\b", re.IGNORECASE)
_ORNAMENT: Final = re.compile(r"\b(?:logo|spacer|sprite)s?\b[^/]*$", re.IGNORECASE)  # in the name of the file
_SIZE_IN_NAME: Final = re.compile(r"-(?:\d+x\d+|scaled)(?=\.\w+$)")
# fmt: off
_SIZES: Final = frozenset({
    "", "auto", "coordinates", "crop", "dpr", "fit", "format", "h", "height", "q", "quality", "resize", "ssl", "strip",
    "w", "width",
})
# fmt: on
_COUNTERS: Final = re.compile(
    r"^https?://(?:[\w.-]*\.)?(?:feedburner\.com|feedsportal\.com|gravatar\.com|doubleclick\.net|google-analytics\.com|"
    r"stats\.wordpress\.com|pixel\.wp\.com|scorecardresearch\.com|facebook\.com/tr)",
    re.IGNORECASE,
)


def in_markup(markup: str) -> list[RawImage]:
    """Return the pictures in ``markup`` in order, with the caption of the figure that each stands in."""
    found: list[RawImage] = []
    figure_from: int | None = None  # index of the first picture of the figure that is open
    caption: list[str] | None = None  # text of the figcaption that is open
    for token in tokens(markup):
        if token.name == "figure":
            figure_from = len(found) if token.kind == "start" else None
        elif token.name == "figcaption":
            if token.kind == "start":
                caption = []
            elif caption is not None and figure_from is not None:
                found[figure_from:] = [replace(image, caption="".join(caption)) for image in found[figure_from:]]
                caption = None
        elif token.kind == "text" and caption is not None:
            caption.append(token.text)
        elif token.kind == "start" and token.name == "img" and (image := _from_tag(token)):
            found.append(image)
    return found


def choose(candidates: Sequence[RawImage], *, headline: str) -> Image | None:
    """Return the first usable of ``candidates`` (addresses absolute), with words that others have for the same one."""
    usable = [image for image in candidates if _usable(image)]
    if not usable:
        return None
    chosen = usable[0]
    same = [image for image in usable if _name(image.url) == _name(chosen.url)]
    alt = tidy(_first(image.alt for image in same))
    words = captions.take_apart(tidy(_first(image.caption for image in same)))
    credit = tidy(_first(image.credit for image in same))
    return Image(
        url=chosen.url,
        alt=alt[: captions.MAX_ALT],
        alt_ok=captions.is_useful_alt(alt, headline),
        caption=words.caption,
        credit=(captions.take_apart(credit).credit or credit)[: captions.MAX_CREDIT] or words.credit,
        width=_pixels(next((image.width for image in same if image.width), None)),
        height=_pixels(next((image.height for image in same if image.height), None)),
    )


def number(text: str | None) -> int | None:
    """Read a width or a height such as "1200" or "1200px"; None if it is none."""
    found = re.match(r"\s*(\d{1,6})(?:\.\d+)?(?:px)?\s*$", text or "")
    return int(found[1]) if found else None


def _from_tag(token: Token) -> RawImage | None:
    attributes = token.attributes
    source = next((attributes[name] for name in _SOURCES if attributes.get(name, "data:")[:5] != "data:"), "")
    if not source or _DECORATION.search(attributes.get("class", "")) or _ORNAMENT.search(source):
        return None
    return RawImage(
        url=source.strip(),
        alt=attributes.get("alt", ""),
        width=number(attributes.get("width")),
        height=number(attributes.get("height")),
    )


def _usable(image: RawImage) -> bool:
    small = any(side is not None and side < SMALLEST for side in (image.width, image.height))
    return is_web_address(image.url) and len(image.url) <= MAX_URL and not small and not _COUNTERS.match(image.url)


def _name(url: str) -> str:
    """Return what the sizes of one picture have in common: "a-300x200.jpg?w=300" and "a.jpg" are the same."""
    path, _, query = url_key(url).partition("?")
    kept = [pair for pair in query.split("&") if pair.partition("=")[0].lower() not in _SIZES]
    return _SIZE_IN_NAME.sub("", path) + "?" + "&".join(kept)


def _pixels(side: int | None) -> int | None:
    return side if side and side <= LARGEST else None


def _first(texts: Iterable[str]) -> str:
    return next((text for text in texts if text.strip()), "")
