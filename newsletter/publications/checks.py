"""Whether a publication's values are fit to be stored.

Promise: each function returns the value in the form that is stored or raises
``Invalid`` with the name of the field. It reads and writes no table.
"""

from __future__ import annotations

import enum
import re
from typing import Final, TypeVar
from urllib.parse import urlsplit

from newsletter.errors import Invalid
from newsletter.kit import addresses, clock

MAX_SLUG: Final = 60
MAX_NAME: Final = 120
MAX_TAGLINE: Final = 300
MAX_POSTAL: Final = 500
_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8})*")  # the shape of BCP 47, not its registry
_THEME = re.compile(r"[a-z][a-z0-9_]*")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")

Choice = TypeVar("Choice", bound=enum.StrEnum)


def slug(text: str) -> str:
    """A part of an address: lower-case letters, digits and single hyphens."""
    value = text.strip()
    if len(value) > MAX_SLUG or not _SLUG.fullmatch(value):
        message = (
            f"“{text}” cannot be part of a web address; use up to {MAX_SLUG} lower-case letters, digits and hyphens."
        )
        raise Invalid(message, field="slug")
    return value


def line(text: str, field: str, *, limit: int, needed: bool = False) -> str:
    """One line of words without control characters (threat T6)."""
    value = text.strip()
    if needed and not value:
        raise Invalid(f"The {field} is missing.", field=field)
    if "\n" in value or _CONTROL.search(value):
        raise Invalid(f"The {field} must be one line without control characters.", field=field)
    if len(value) > limit:
        raise Invalid(f"The {field} has {len(value)} characters; at most {limit} are stored.", field=field)
    return value


def sender(text: str) -> tuple[str, str]:
    """Return (name, address) of who the mail is from; the name may be empty."""
    try:
        name, address = addresses.parse_mailbox(text)
    except Invalid as error:
        raise Invalid(error.message, field="sender") from error
    return line(name, "sender", limit=MAX_NAME), address.shown


def reply_to(text: str) -> str:
    """An address, or nothing: then answers go to the sender."""
    if not text.strip():
        return ""
    try:
        return addresses.parse(text).shown
    except Invalid as error:
        raise Invalid(error.message, field="reply_to") from error


def postal_address(text: str) -> str:
    """Where the publisher can be written to, in one or more lines.

    Required by the law in most places: 15 U.S.C. 7704(a)(5)(A)(iii) in the United
    States, national imprint laws in the European Union, section 6(2)(b) of CASL.
    """
    value = "\n".join(part.strip() for part in text.strip().splitlines() if part.strip())
    if not any(character.isalpha() for character in value):
        message = "The postal address is missing; the law wants one in every newsletter (street, town, country)."
        raise Invalid(message, field="postal_address")
    if len(value) > MAX_POSTAL or _CONTROL.search(value):
        message = f"The postal address must be at most {MAX_POSTAL} characters of plain text."
        raise Invalid(message, field="postal_address")
    return value


def timezone(name: str) -> str:
    """An IANA time zone."""
    return clock.zone(name.strip()).key


def language(text: str) -> str:
    """A language tag such as ``en`` or ``pt-BR``."""
    value = text.strip()
    if not _LANGUAGE.fullmatch(value):
        raise Invalid(f"“{text}” is no language tag; write it like en, fr or pt-BR.", field="language")
    return value


def direction(text: str) -> str:
    """``ltr`` or ``rtl``."""
    if text not in ("ltr", "rtl"):
        raise Invalid(f"The direction is ltr (left to right) or rtl, not “{text}”.", field="direction")
    return text


def website(text: str) -> str:
    """An http or https address, or nothing."""
    value = text.strip()
    parts = urlsplit(value)
    if value and (parts.scheme not in ("http", "https") or not parts.hostname):
        raise Invalid(f"“{text}” is no web address; write it like https://example.org.", field="website")
    return line(value, "website", limit=500)


def theme(text: str) -> str:
    """The name of a theme; whether it exists is known to the editions room."""
    if not _THEME.fullmatch(text):
        raise Invalid(f"“{text}” is no name of a theme.", field="theme")
    return line(text, "theme", limit=MAX_SLUG)


def choice(kind: type[Choice], text: str, field: str) -> Choice:
    """One of the words of an enumeration."""
    try:
        return kind(text)
    except ValueError:
        raise Invalid(f"The {field} is one of {', '.join(kind)}, not “{text}”.", field=field) from None
