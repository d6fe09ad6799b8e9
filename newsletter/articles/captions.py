"""The words around a picture: a caption and a credit glued together, and alt texts that say nothing.

Promise: ``take_apart`` loses no word but the label ("Top photo credit:") and a
wire's housekeeping; when it finds no credit the caption comes back as it was.
``is_useful_alt`` says whether a reader who cannot see the picture would learn
anything from its alt text.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from newsletter.articles.canonical import headline_key

MAX_CAPTION: Final = 1000
MAX_CREDIT: Final = 500
MAX_ALT: Final = 1000

_LABEL: Final = re.compile(
    r"^(?:(?:top|lead|main|header|featured|cover)\s+)?(?:photo(?:graph)?|image|picture|illustration|graphic)?\s*"
    r"(?:credits?|courtesy|source)\s*:\s*",
    re.IGNORECASE,
)
_AGENCIES: Final = (
    r"(?:REUTERS|Reuters|AFP|AP(?:\s+Photo|\s+Images)?|EPA(?:-EFE)?|EFE|DPA|dpa|ANSA|TASS|Xinhua|UPI|PA\s+Images|"
    r"Getty(?:\s+Images)?|Shutterstock|Alamy|Anadolu(?:\s+(?:Agency|Images))?|Sipa(?:\s+USA)?|ZUMA(?:\s+Press)?|"
    r"NurPhoto|Magnum(?:\s+Photos)?|Bloomberg|Wikimedia(?:\s+Commons)?|Flickr|Unsplash|iStock)"
)
_MEDIUM: Final = r"(?:photo|photograph|image|picture|illustration|graphic|video)s?"
_CREDIT_WORDS: Final = rf"(?:(?i:\b{_MEDIUM}(?=\s+(?:by|courtesy|credit|from)\b|\s*[:/)]))|©|\b{_AGENCIES}\b)"
_START: Final = r"(?:^|(?<=[.!?…”\"]))\s*"
# What a credit at the end of a caption looks like, the surest sign first.
_SIGNS: Final = (
    re.compile(rf"\(([^()]*{_CREDIT_WORDS}[^()]*)\)\.?$"),
    re.compile(rf"{_START}((?:{_AGENCIES})\s*/.*)$"),
    re.compile(rf"{_START}({_MEDIUM}\s+by\s.+)$", re.IGNORECASE),
    re.compile(rf"{_START}(?:{_MEDIUM}(?:\s+credit)?|credit)\s*:\s*(.+)$", re.IGNORECASE),
    re.compile(r"\s*((?:©|\(c\)).{2,})$", re.IGNORECASE),
    re.compile(rf"{_START}([^.!?]{{0,80}}(?:\s*/\s*|\bvia\s+){_AGENCIES}.{{0,40}})$"),
)
_HOUSEKEEPING: Final = re.compile(r"\s*TPX IMAGES OF THE DAY\s*|^FILE PHOTO:\s*")
_SHORT_CREDIT: Final = 80

_FILE_NAME: Final = re.compile(r"\.(?:jpe?g|png|gif|webp|avif|svg|bmp|tiff?|heic)$", re.IGNORECASE)
_CAMERA: Final = re.compile(
    r"^(?:img|dsc[nf]?|pxl|image|photo|picture|screen\s?shot|screenshot|whatsapp image)[\s_-]*\d", re.IGNORECASE
)
# fmt: off
_NOTHING: Final = frozenset({
    "cover image", "featured image", "header image", "hero image", "image", "image of", "lead image", "main image",
    "no alt text", "photo", "photo of", "photograph", "picture", "post image", "thumbnail", "top image",
    "untitled image",
})
# fmt: on


class Words(NamedTuple):
    """A caption and the credit that stood in it."""

    caption: str
    credit: str


def take_apart(text: str) -> Words:
    """Split one line such as "A bridge. REUTERS/Jo Doe" or "Troops (Navy photo by Jo Doe)", cut at ``MAX_CAPTION``."""
    text = _HOUSEKEEPING.sub(" ", text[:MAX_CAPTION]).strip()
    unlabelled = _LABEL.sub("", text)
    for sign in _SIGNS:
        found = sign.search(unlabelled)
        if found:
            return Words(unlabelled[: found.start()].strip(), _credit(found[1]))
    if unlabelled != text and len(unlabelled) <= _SHORT_CREDIT:
        return Words("", _credit(unlabelled))
    return Words(unlabelled, "")


def is_credited(text: str) -> bool:
    """Whether a line ends in a credit, so that it is a caption and no part of a story."""
    return bool(_LABEL.match(text)) or any(sign.search(text[:MAX_CAPTION]) for sign in _SIGNS[:2])


def is_useful_alt(alt: str, headline: str = "") -> bool:
    """Whether an alt text describes: no file name, no single word, no stock phrase, not the headline again."""
    words = headline_key(alt)
    if not words or " " not in alt or words in _NOTHING or len(alt) > MAX_ALT:
        return False
    if _FILE_NAME.search(alt) or _CAMERA.search(alt) or _LABEL.match(alt):
        return False
    return words != headline_key(headline)


def _credit(text: str) -> str:
    return re.sub(r"/{2,}", "/", text).strip(" .;,()")[:MAX_CREDIT]
