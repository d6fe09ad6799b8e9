"""What may stand in a reader's fields: names and attributes, one line of text each.

Promise: what passes holds no control character, so that it can go into a mail's
header, a page and a CSV cell (T6); white space, line breaks included, becomes
one blank. What it refuses is ``Invalid`` and names the field.
"""

from __future__ import annotations

import re
from typing import Final

from newsletter.errors import Invalid

MAX_NAME: Final = 120
MAX_ATTRIBUTE: Final = 2_000
MAX_REASON: Final = 300

_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def line(text: str, field: str, limit: int) -> str:
    """Return ``text`` as one line of at most ``limit`` characters."""
    value = " ".join(text.split())
    if _UNFIT.search(value):
        raise Invalid(f"{field} contains a character that is no text.", field=field)
    if len(value) > limit:
        raise Invalid(f"{field} is longer than {limit:,} characters.", field=field)
    return value
