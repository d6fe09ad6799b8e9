"""What a reply says about us instead of about the reader: slow down, or mend something.

Promise: a pure judgement of one reply. ``blames_sender`` is said of refusals for
authentication, policy or reputation that name themselves so: by an enhanced
status that means nothing else, or by words of the large providers. 5.7.1 alone
says nothing: it may be about one mailbox. ``asks_to_slow`` is said of 421 and of
4.7.x, but not of greylisting, which wants to see us again and no slower.

Sources: RFC 3463, RFC 7372 (5.7.20 to 5.7.26); Google's page of SMTP errors
(5.7.25 to 5.7.32), Yahoo's postmaster page (5.7.9, the bracketed codes),
Microsoft's page of non-delivery reports (5.7.5xx, 5.7.6xx, 5.7.7xx).
"""

from __future__ import annotations

import re
from typing import Final

from newsletter.delivery.transports.outcomes import Deferred, Outcome, Refused, Reply

CLOSING: Final = 421
_STATUS: Final = re.compile(
    # 606 to 649 are Microsoft's banned addresses.
    r"5\.7\.(?:9|2[0-9]|3[0-2]|509|51[0-9]|60[6-9]|6[1-4][0-9]|70[0-9]|750)"
)
_WORDS: Final = (
    "unauthenticated",
    "spf check",
    "dkim check",
    "dmarc policy",
    "dmarc check",
    "spamhaus",
    "blocklist",
    "block list",
    "blacklist",
    "banned sending ip",
    "low reputation",
    "unusual rate of unsolicited mail",
    "[bl",  # Yahoo: [BL21], [BL23]
    "[tss",  # Yahoo: [TSS04] and others
    "(s3140)",  # Microsoft: an address on its list
    "(s3150)",
)
_GREYLISTING: Final = ("greylist", "graylist", "grey list", "gray list", "grey-list", "gray-list")


def blames_sender(outcome: Outcome) -> bool:
    """Whether a mailbox provider refuses us, so that the reader would have been served by a better sender."""
    if not isinstance(outcome, Refused) or outcome.command == "MAIL":
        return False
    reply = outcome.reply
    if _STATUS.fullmatch(reply.enhanced):
        return True
    return reply.enhanced in ("", "5.7.0", "5.7.1") and _says(reply, _WORDS)


def asks_to_slow(outcome: Outcome) -> bool:
    """Whether the other side takes our mail and wants it slower."""
    if not isinstance(outcome, Deferred) or outcome.command is None:
        return False
    reply = outcome.reply
    return (reply.code == CLOSING or reply.enhanced.startswith("4.7.")) and not _says(reply, _GREYLISTING)


def _says(reply: Reply, words: tuple[str, ...]) -> bool:
    text = reply.text.lower()
    return any(word in text for word in words)
