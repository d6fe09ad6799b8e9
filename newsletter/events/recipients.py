"""Finds mailboxes in the words of mail servers.

Promise: ``address_in`` gives the bare address of a field or a phrase, without
type prefixes (``rfc822;``), brackets, source routes or trailing marks, or the
empty string. It does not judge whether the address exists.
"""

from __future__ import annotations

import re

MAX_LINE = 1000

# A quoted local part, or what may stand unquoted; bounded, so that long runs cost nothing.
_LOCAL = r"(?:\"[^\"\n@]{1,80}\"|[^\s<>()\[\],;:\"'@|][^\s<>()\[\],;:\"@|]{0,127})"
_DOMAIN = r"(?:\[[0-9a-fA-F:.]{3,45}\]|\w(?:[\w.-]{0,252}\w)?)"
ADDRESS = rf"{_LOCAL}@{_DOMAIN}"
_FIND = re.compile(ADDRESS)
_ROUTE = re.compile(r"@[\w.,@-]{1,200}:(?=[^\s@:]{1,64}@)")  # <@relay.example:user@host>, RFC 5321 appendix C
_TYPE = re.compile(r"^\s*[\w-]{1,20}\s*;\s*")


def address_in(text: str) -> str:
    """Return the first address in the text, or the empty string."""
    found = addresses_in(text)
    return found[0] if found else ""


def addresses_in(text: str) -> list[str]:
    """Return every address in the text, in order, each once."""
    if "@" not in text:
        return []
    line = _ROUTE.sub("", _TYPE.sub("", text[:MAX_LINE]))
    return list(dict.fromkeys(clean(match) for match in _FIND.findall(line)))


def clean(address: str) -> str:
    """Return an address without the marks that end a sentence."""
    return address.strip("'`").rstrip(".-_")
