"""Reads what a mail server wrote for people: whom it means and what was said about each.

Promise: ``read`` finds recipients by the shape of the lines, whatever the server
and the language: an address that heads a line, that follows RCPT TO, a label or
"to", in this order of trust; the returned copy of our own mail is left out, and
the address that the report was sent to is taken only when no other is named.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from newsletter.events.classify import Stage
from newsletter.events.recipients import ADDRESS, addresses_in, clean

MAX_LINES = 400
MAX_RECIPIENTS = 50
MAX_QUOTED = 600

_COPY = re.compile(
    r"^[^\w\n]{0,80}(?:"
    r"(?:below this line|enclosed|this|here|attached|following)[\w ]{0,12} is (?:a|the) (?:copy|first)"
    r"|(?:a )?(?:copy|text|start|beginning|first \d+ \w+|headers?) of (?:the|your|my)?[\w ]{0,20}"
    r"(?:message|e-?mail|mail|letter)"
    r"|(?:the |your )?(?:original|returned|unsent|undelivered|rejected|bounced|failed|offending)[\w ,'’]{0,24}"
    r"(?:follows?|headers?|header fields|text|body|message|mail)(?: follows?)?[^\w\n]{0,80}$"
    r"|(?:the )?message(?:'s)?(?: \w+){0,2} (?:follows?|headers?)[^\w\n]{0,80}$"
    r"|here is your (?:returned|message)"
    r")|^-{3,} ?(?:forwarded|original|returned)\b",
    re.IGNORECASE | re.MULTILINE,
)
_HEADERS = re.compile(
    r"^(?:Received: (?:from|by|\(qmail)|Return-Path: ?<|DKIM-Signature:|X-Envelope-From:|Message-ID: ?<)[^\n]*\n"
    r"(?=(?:[ \t][^\n]*\n)*[!-9;-~]{2,40}:)",
    re.IGNORECASE | re.MULTILINE,
)
_MIN_WORDS = 12  # a cut that leaves fewer letters than this cut too much

# Whom a line is about, by its shape. Blanks are counted, so that no line is slow to look at.
_GAP = r"[ \t]{0,20}"
_BULLET = rf"^{_GAP}[>*\-+•]{{0,8}}{_GAP}"
_HEADS = (
    # <someone@example.org>: and Name <someone@example.org>
    re.compile(
        rf"{_BULLET}[^<>@:]{{0,60}}<{_GAP}({ADDRESS}){_GAP}>(?:{_GAP}\([^)]{{0,120}}\))?{_GAP}(?::|;|\.\.\.|$|\[)"
    ),
    # someone@example.org alone, or before what happened to it
    re.compile(
        rf"{_BULLET}'?({ADDRESS})'?{_GAP}(?:$|:|;|,|\(|\[|<mailto|<smtp|\.\.\.|on |-[ \t]|=|\.$|…|[ \t]{{2}})",
        re.IGNORECASE,
    ),
)
_RCPT = re.compile(rf"RCPT[ _]?(?:TO)?[ ]?[:=]?[ ]?<?[ ]?({ADDRESS})", re.IGNORECASE)
_LABEL = re.compile(
    rf"^{_GAP}(?:(?:failed|original|final|intended|undelivered|bad|invalid|unknown)[ -])?"
    r"(?:recipients?|rcpt|addresse?e?s?|to|user|e-?mail|mailbox|envelope-to|delivered-to|x-actual-recipient)"
    rf"(?:[ -](?:address(?:es)?|to|names?|users?|mailbox|e-?mail))?{_GAP}(?:\([^)]{{0,40}}\))?{_GAP}[:=]"
    rf"{_GAP}(?:rfc822;)?{_GAP}(?:[^<>@:]{{0,60}}<)?({ADDRESS})",
    re.IGNORECASE,
)
_STARTS = re.compile(rf"^{_GAP}({ADDRESS})[ \t]{{1,20}}\S")
_SENTENCE = re.compile(
    r"(?:\b(?:to|for|recipients?|address(?:es)?|mailbox|user|account|errors?:?|recipient\(s\)|an|à|для))"
    rf"[ ]{{0,3}}(?:is|was)?[ ]?:?[ ]{{0,3}}[<\"'(\[]{{0,3}}({ADDRESS})",
    re.IGNORECASE,
)
_LAST = re.compile(rf":[ ]{{0,3}}<?({ADDRESS})>?{_GAP}$")
_REPLY = re.compile(r"(?:^|[\s:>])[45]\d\d[ -]")
_TIERS = (_HEADS, (_RCPT,), (_LABEL,), (_STARTS,), (_SENTENCE, _LAST), (_REPLY,))  # the most trusted first

_RULE = re.compile(r"^[ \t]*[-=*_]{3,}")
_DAEMON = re.compile(
    r"^(?:mailer-daemon|post_?master|mail-daemon|mdaemon|abuse|support|helpdesk|help|no-?reply)@", re.IGNORECASE
)
_CODED = re.compile(
    r"(?:^|[\s:>\"'(\[#])"
    r"([45][0-5]\d[ \t-](?:#?\(?[245]\.\d{1,3}\.\d{1,3}\)?)?[^\n]{0,500}(?:\n(?![ \t]*\n)[^\n]{0,500}){0,8})",
    re.MULTILINE,
)
_STATUS_LINE = re.compile(r"^[^\n]{0,200}?((?<![\d.])[45]\.\d{1,3}\.\d{1,3}(?![\d.])[^\n]{0,500})", re.MULTILINE)
_STAGE = re.compile(
    r"(?P<data>end of data|after data|reply to data|final data|\(data\)|\[data\]|after i sent the message|"
    r"sending message body|>>> data <<< [45])|"
    r"(?P<rcpt>(?:to|after|our|in) rcpt|\[rcpt_to\]|\(rcpt|smtp:rcpt|does not like recipient|rcpt to response|rcpt:|"
    r"rcpt to: ?<[^<>]{1,300}> (?:<<<|received >>>|>>>) [45])",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Passage:
    """``recipient`` and the lines that speak of it."""

    recipient: str
    words: str


def split_copy(text: str) -> tuple[str, str]:
    """Split a text into what the server wrote and the copy of our mail below it."""
    ends = [match.start() for pattern in (_COPY, _HEADERS) for match in [_first_after_words(pattern, text)] if match]
    if not ends:
        return text, ""
    return text[: min(ends)], text[min(ends) :]


def _first_after_words(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    for number, match in enumerate(pattern.finditer(text)):
        if sum(c.isalpha() for c in text[: match.start()][:200]) >= _MIN_WORDS:
            return match
        if number > MAX_LINES:
            break
    return None


def read(text: str, *, ours: set[str], named: tuple[str, ...] = ()) -> list[Passage]:
    """Return a passage for each recipient that the server's text is about.

    Args:
        text: the server's words, without the copy of our mail.
        ours: lower-case addresses that are more likely ours than the reader's.
        named: recipients known from elsewhere; they win unless the text never mentions them and names others.
    """
    lines = text.split("\n")[:MAX_LINES]
    tiers = _tiers(lines)
    foreign = [[a for a in tier if a.lower() not in ours and not _DAEMON.match(a)] for tier in tiers]
    lower = text.lower()
    if named and (any(name.lower() in lower for name in named) or not foreign[0]):
        recipients = list(named)
    else:
        recipients = next((tier for tier in (*foreign, *tiers) if tier), [])
    return [Passage(recipient, words) for recipient, words in _owned(lines, recipients[:MAX_RECIPIENTS]).items()]


def _tiers(lines: list[str]) -> list[list[str]]:
    tiers: list[list[str]] = [[] for _ in _TIERS]
    for line in lines:
        if "@" not in line:
            continue
        line = line[:1000]  # noqa: PLW2901 - a line is what is looked at
        for tier, patterns in enumerate(_TIERS):
            match = next((match for pattern in patterns for match in [pattern.search(line)] if match), None)
            if match and not match.re.groups:
                tiers[tier].extend(addresses_in(line[match.end() :])[:1])
            elif match:
                several = "," in line or ";" in line  # a line that lists several
                tiers[tier].extend(addresses_in(line[match.start(1) :]) if several else [clean(match[1])])
            if match:
                break
    return [_unique(tier) for tier in tiers]


def _unique(addresses: list[str]) -> list[str]:
    return list({address.lower(): address for address in addresses}.values())


def _owned(lines: list[str], recipients: list[str]) -> dict[str, str]:
    """Give each line to the recipient that it or a line above it names; the rest belongs to everybody."""
    if len(recipients) == 1:
        return {recipients[0]: "\n".join(lines)}
    own: dict[str, list[str]] = {recipient: [] for recipient in recipients}
    shared: list[str] = []
    owner: str | None = None
    for line in lines:
        lower = line.lower()
        mentioned = [r for r in recipients if r.lower() in lower]
        if len(mentioned) == 1:
            owner = mentioned[0]
        elif mentioned or _RULE.match(line):
            owner = None
        (own[owner] if owner else shared).append(line)
    return {r: "\n".join(own[r] if _says_more(own[r], r) else own[r] + shared) for r in recipients}


def _says_more(lines: list[str], recipient: str) -> bool:
    rest = " ".join(lines).lower().replace(recipient.lower(), "")
    return sum(c.isalpha() for c in rest) >= _MIN_WORDS


def reply_in(passage: str, recipient: str) -> str:
    """Return what the passage quotes of the refusal, or the empty string.

    That is an SMTP reply from its code on, else a line with a status, else what
    follows the recipient's address.
    """
    match = _CODED.search(passage) or _STATUS_LINE.search(passage)
    if match:
        return match[1]
    at = passage.lower().find(recipient.lower()) if recipient else -1
    after = passage[at + len(recipient) :].strip(" \t\n>:;.,'\"") if at >= 0 else ""
    return after[:MAX_QUOTED] if sum(c.isalpha() for c in after) >= _MIN_WORDS else ""


def stage_in(passage: str) -> Stage:
    """Return the command that the quoted reply answered, as far as the passage tells."""
    match = _STAGE.search(" ".join(passage.split()))
    if match is None:
        return Stage.UNKNOWN
    return Stage.DATA if match["data"] else Stage.RCPT
