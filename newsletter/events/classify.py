"""Whose fault a refusal is: the reply's words and its enhanced status, by one table.

Promise: ``classify`` gives a class for any text, for replies at RCPT or DATA and
for those quoted in returned mail, and calls nothing hard that might be the
sender's fault or pass. Words are compared as plain phrases in lower case with
punctuation, addresses and links taken out, since a mailbox may be called
``user-unknown``. Rows are tried from the top: what blames the sender comes
before what blames the reader, so a doubt never costs a subscription.

Sources: RFC 3463 and 7505 for statuses, RFC 7372 for 5.7.20 to 5.7.29, the
providers' postmaster pages for the codes of Google and Microsoft.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

from newsletter.events.models import BounceClass
from newsletter.events.phrases import CLEAR, NO_MAIL, VAGUE, Row

HARD = frozenset({BounceClass.BAD_MAILBOX, BounceClass.BAD_DOMAIN})
FOR_GOOD = HARD | {BounceClass.DISABLED, BounceClass.REFUSED}  # not while it may still arrive
MAX_REPLY = 4000  # of the words looked at
NEAR = 60  # letters between the pieces of a phrase

_STATUS = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?![\d]|\.\d)")
_CODE = re.compile(r"(?<![\w.])([45][0-7]\d)(?=[ ,:-])")
_ADDRESS = re.compile(r"<?\b[^\s<>@,;:\"()\[\]]{1,64}@[\w.-]{1,255}>?")
_LINK = re.compile(r"https?://\S{1,500}")
_LINK_REASON = re.compile(r"\?p=(\w{1,40})")  # Google names its reason in the link
_NOT_A_WORD = re.compile(r"(?:[^\w.%+]|_|(?<!\d)\.|\.(?!\d))+")

# A relay's own summary before the quoted reply: "5.1.0 - Unknown address error 550-'5.7.1 ...'" (Cisco, Amazon).
_RELAYED = re.compile(r"^\s*\d\.\d\.\d - [\w ]{1,40} error (?=[45]\d\d)")

# What a status says by itself, before any words are read: the codes that are precise wherever they are used.
PRECISE = {
    "x.2.2": BounceClass.MAILBOX_FULL,
    "x.2.3": BounceClass.REFUSED,  # longer than this mailbox takes: others may take it
    "x.7.20": BounceClass.BLOCK_AUTH,  # RFC 7372 and what Google and Microsoft added to it
    "x.7.21": BounceClass.BLOCK_AUTH,
    "x.7.22": BounceClass.BLOCK_AUTH,
    "x.7.23": BounceClass.BLOCK_AUTH,
    "x.7.24": BounceClass.BLOCK_AUTH,
    "x.7.25": BounceClass.BLOCK_AUTH,
    "x.7.26": BounceClass.BLOCK_AUTH,
    "x.7.27": BounceClass.BLOCK_AUTH,
    "x.7.29": BounceClass.BLOCK_AUTH,
    "x.7.30": BounceClass.BLOCK_AUTH,
    "x.7.32": BounceClass.BLOCK_AUTH,
    "x.7.509": BounceClass.BLOCK_AUTH,
    "x.7.512": BounceClass.BLOCK_AUTH,
    "x.7.515": BounceClass.BLOCK_AUTH,
    "x.4.310": BounceClass.BAD_DOMAIN,
    "x.4.6": BounceClass.TRANSIENT,  # a loop
    "x.4.14": BounceClass.TRANSIENT,
}

# What a status says when the words say nothing. "x.1" stands for all of X.1.X.
GENERAL = {
    "x.1.0": BounceClass.REFUSED,
    "x.1.1": BounceClass.BAD_MAILBOX,
    "x.1.2": BounceClass.BAD_DOMAIN,
    "x.1.3": BounceClass.BAD_MAILBOX,
    "x.1.4": BounceClass.REFUSED,
    "x.1.6": BounceClass.BAD_MAILBOX,
    "x.1.7": BounceClass.BLOCK_REPUTATION,
    "x.1.8": BounceClass.BLOCK_REPUTATION,
    "x.1.10": BounceClass.BAD_DOMAIN,  # RFC 7505: the domain takes no mail; Microsoft's words say an unknown recipient
    "x.2.0": BounceClass.REFUSED,
    "x.2.1": BounceClass.DISABLED,
    "x.3": BounceClass.TRANSIENT,
    "x.4.4": BounceClass.BAD_DOMAIN,
    "x.4": BounceClass.TRANSIENT,
    "x.5": BounceClass.TRANSIENT,
    "x.6": BounceClass.CONTENT,
    "x.7": BounceClass.BLOCK_REPUTATION,
}


class Stage(enum.StrEnum):
    """The command that a reply answered, as far as it is known."""

    RCPT = "rcpt"
    DATA = "data"
    UNKNOWN = ""


# Yahoo's and Google's own words for a mailbox that is not there.
UNMISTAKABLE = (" delivery error dd ", " nosuchuser ", " account that you tried to reach does not exist ")


@dataclass(frozen=True, slots=True)
class Judgement:
    """``hard``: the address itself is dead, so that nothing the sender changes would help."""

    bounce_class: BounceClass
    hard: bool
    status: str | None


def classify(reply: str, *, status: str = "", final: bool = True, stage: Stage = Stage.UNKNOWN) -> Judgement:
    """Judge one reply.

    Args:
        reply: what the server said, with or without its code (``550 5.1.1 No such user``).
        status: an RFC 3463 status given beside the reply (a DSN's Status field); may be empty.
        final: false for a notice that the mail is only late; then nothing is hard.
        stage: the command it answered. Filters call people unknown after DATA whom the
            server accepted at RCPT, so an unknown user must be confirmed by one or the other.
    """
    reply = _RELAYED.sub("", reply)
    said = find_status(reply)
    best = _more_precise(said, find_status(status))
    words = normal(reply)
    found = (
        _by_status(said, PRECISE)
        or _first(words, CLEAR)
        or _by_status(best, PRECISE)
        or (_by_status(best, GENERAL) if _speaks(best) else None)
        or _first(words, VAGUE)
        or _by_status(best, GENERAL)
        or _by_code(reply)
    )
    code = find_code(reply)
    if found is BounceClass.BAD_MAILBOX and not _confirmed(words, code, best, stage):
        found = BounceClass.REFUSED
    temporary = best.startswith("4") or (code is not None and code < 500)  # noqa: PLR2004 - RFC 5321 4.2.1: 4yz is transient
    if not final or (temporary and not (found is BounceClass.BAD_MAILBOX and best.endswith(".1.1"))):
        if found in FOR_GOOD and _first(words, (NO_MAIL,)) is None:
            found = BounceClass.TRANSIENT
        return Judgement(found, hard=False, status=best or None)
    return Judgement(found, found in HARD, best or None)


def says_something(reply: str) -> bool:
    """Tell whether the reply's words name a class by themselves."""
    return _first(normal(reply), CLEAR) is not None


def _confirmed(words: str, code: int | None, status: str, stage: Stage) -> bool:
    """Tell whether an unknown user is one: by status or stage, or in the words of the host that returned the mail."""
    if any(phrase in words for phrase in UNMISTAKABLE):
        return True
    if stage is Stage.RCPT or status[1:4] == ".1." or status.endswith((".4.1", ".5.0")):
        return True
    return code is None and stage is Stage.UNKNOWN and status[1:4] != ".2."


def _speaks(status: str) -> bool:
    """Tell whether a status is about the address or the mailbox, and so worth more than vague words."""
    return status[1:4] in (".1.", ".2.", ".6.") and not status.endswith(".0")


def _first(words: str, rows: tuple[Row, ...]) -> BounceClass | None:
    for bounce_class, phrases in rows:
        for phrase in phrases:
            if _holds(words, phrase):
                return bounce_class
    return None


def find_status(text: str) -> str:
    """Return the first RFC 3463 status in the text that says more than X.0.0, or any, or the empty string."""
    first = ""
    for match in _STATUS.finditer(text[:MAX_REPLY]):
        if match[2] != "0" or match[3] != "0":
            return match[0]
        first = first or match[0]
    return first


def find_code(text: str) -> int | None:
    """Return the first SMTP reply code of a failure in the text."""
    match = _CODE.search(text[:MAX_REPLY] + " ")
    return int(match[1]) if match else None


def normal(reply: str) -> str:
    """Return the words as phrases are compared: lower case, one blank between, one at each end."""
    text = _ADDRESS.sub(" ", _LINK.sub(_kept_of_link, reply[:MAX_REPLY])).lower()
    return f" {_NOT_A_WORD.sub(' ', text.replace(chr(39), '').replace('’', '')).strip()} "


def _kept_of_link(match: re.Match[str]) -> str:
    reason = _LINK_REASON.search(match[0])
    return f" {reason[1]} " if reason else " "


def _holds(words: str, phrase: tuple[str, ...]) -> bool:
    """Tell whether the pieces of a phrase follow each other within one short passage."""
    start = words.find(phrase[0])
    if len(phrase) == 1:
        return start >= 0
    while start >= 0:
        at = start
        for piece in phrase[1:]:
            at = words.find(piece, at, at + NEAR)
            if at < 0:
                break
        else:
            return True
        start = words.find(phrase[0], start + 1)
    return False


def _by_status(status: str, table: dict[str, BounceClass]) -> BounceClass | None:
    if not status:
        return None
    _, subject, detail = status.split(".")
    return table.get(f"x.{subject}.{detail}") or table.get(f"x.{subject}")


def _more_precise(said: str, given: str) -> str:
    return given if (not said or said.endswith(".0.0")) and given else said


def _by_code(reply: str) -> BounceClass:
    code = find_code(reply)
    if code is not None and code < 500:  # noqa: PLR2004 - RFC 5321 4.2.1: 4yz is transient
        return BounceClass.TRANSIENT
    return BounceClass.REFUSED
