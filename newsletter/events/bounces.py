"""Explains a returned mail: bounce, complaint, automatic answer, receipt, or none of these.

Promise: ``explain`` answers for any bytes and never raises. Complaints are
looked for first, then delivery status groups, then the words of servers that
know no standard; what no mail system wrote is no report. It reads no database
and decides nothing about readers: that is ``intake`` and ``policy``.
"""

from __future__ import annotations

import re

from newsletter.events import arf, autoreply, classify, dsn, sns, transcript
from newsletter.events.explanation import Explanation, Kind, Report, shown
from newsletter.events.mime import Part, read, read_fields
from newsletter.events.models import BounceClass
from newsletter.events.recipients import addresses_in

MAX_FORWARDS = 2  # reports within reports that are opened

_DAEMON = re.compile(
    r"mailer-?daemon|mail-?daemon|post_?master|mail[ ._-]?delivery|delivery (?:sub)?system|"
    r"mail administrator|system administrator|"
    r"^\s*<>\s*$|microsoft ?exchange|bounce|mmdf|mail-system|internet mail|mail router|daemon@|smtpd?@|mailsystem",
    re.IGNORECASE,
)
_SUBJECT = re.compile(
    r"undeliver|non-?deliver|delivery (?:status|fail|notif|report|problem|error|delay|has|of|was|un|time|"
    r"incomplete)|delivery status|"
    r"(?:mail|message|e-?mail|delivery|send|sending|returned) ?(?:delivery )?(?:failed|failure|error|"
    r"delayed|status|system|warning|problem)|"
    r"fail(?:ed|ure)[ :,](?:delivery|notice|mail|message|to deliver)|returned? (?:mail|message|to sender)|"
    r"mail (?:could|not|was)|"
    r"failure (?:notice|delivery)|could not be delivered|couldn't be delivered|not (?:be )?delivered|"
    r"unable to deliver|can(?:no|')t deliver|"
    r"error sending|rejected|user unknown|unknown user|bounce|undelivered|ndn:|delayed mail|"
    r"nicht zustellbar|unzustellbar|"
    r"no se (?:ha )?pu|non remis|mancata|配信|配送|エラー|退信|недостав|^warning:|mail system error|message status|"
    r"address (?:unknown|invalid)",
    re.IGNORECASE,
)
_ANSWER = re.compile(r"\s*(?:re|aw|sv|antw|réf|rif|odp|回复|答复)\s*:", re.IGNORECASE)  # a person's, then
# For senders and subjects that tell nothing: a sentence that only a mail system writes.
_BODY = re.compile(
    r"could not be delivered to:|(?:your|the) message (?:could not be|was not|cannot be) delivered to|"
    r"requested action not taken|"
    r"was(?: not|n't) able to deliver your message|delivery to the following (?:recipient|address)",
    re.IGNORECASE,
)
_LATE = re.compile(
    r"(?:has been|is|been|was|are|delivery|mail|message)\W+(?:temporarily )?delayed|delayed (?:mail|"
    r"delivery|\d+)|not yet been delivered|"
    r"still (?:being|trying|be)|will (?:be retried|keep trying|continue|try again)|warning message only|"
    r"(?:could not send|transient non-fatal|delivery attempts will continue|do not need to resend|"
    r"notification \(delay\))",
    re.IGNORECASE,
)
_GIVEN_UP = re.compile(
    r"permanent(?:ly)?\b|given up|giving up|give up|gave up|returned to sender|not going to try|"
    r"fatal errors|too long",
    re.IGNORECASE,
)


def explain(raw: bytes) -> Explanation:
    """Return what the message says (see ``newsletter bounce explain``)."""
    return explain_message(read(raw))


def explain_message(message: Part, forwards: int = 0) -> Explanation:
    """Return what a message that has been read says."""
    told = arf.explain(message) or sns.explain(message)
    if told:
        return told
    parts = message.walk()
    groups = dsn.groups(parts)
    if groups:
        return _of_groups(message, parts, groups)
    automatic = autoreply.declared(message)
    if not _from_a_mail_system(message) and (automatic or autoreply.looks_like(message)):
        return autoreply.explain(message)
    words = _words_of(message, parts)
    if _reads_like_a_bounce(message, words) and (found := _of_words(message, words)):
        return found
    if forwards < MAX_FORWARDS:
        for part in parts[1:]:
            if part.type == "message/rfc822":
                inner = explain_message(read(part.body.lstrip("\n").encode("latin-1", "replace")), forwards + 1)
                if inner.kind in (Kind.BOUNCE, Kind.COMPLAINT):
                    return inner
    return autoreply.explain(message) if automatic or autoreply.looks_like(message) else Explanation(Kind.NOT_A_REPORT)


def original_fields(message: Part) -> list[tuple[str, str]]:
    """Return the header fields of our mail that a report brings back; empty when it brings none."""
    for part in message.walk()[1:]:
        if part.type in ("message/rfc822", "text/rfc822-headers", "message/rfc822-headers", "message/global"):
            body = (
                part.text()
                if part.get("content-transfer-encoding").lower() in ("base64", "quoted-printable")
                else part.body
            )
            if fields := read_fields(body.lstrip("\n"))[0]:
                return fields
    for part in message.walk():
        if not part.children and part.type == "text/plain":
            copy = transcript.split_copy(part.text())[1]
            start = re.search(
                r"^(?:Received|Return-Path|From|To|Message-ID|Date|Subject|X-[\w-]+):",
                copy,
                re.MULTILINE | re.IGNORECASE,
            )
            if start:
                return read_fields(copy[start.start() :])[0]
    return []


def _from_a_mail_system(message: Part) -> bool:
    senders = f"{message.words('from')[:300]} {message.get('sender')[:100]}"
    report = message.params.get("report-type", "").lower() == "delivery-status"
    failed = message.get("x-failed-recipients") or message.get("x-bounced-address")
    return bool(report or failed or _DAEMON.search(senders) or message.get("from").strip() == "<>")


def _reads_like_a_bounce(message: Part, words: str) -> bool:
    subject = message.words("subject")[:300]
    tells = _SUBJECT.search(subject) and not _ANSWER.match(subject)
    return _from_a_mail_system(message) or bool(tells or _BODY.search(words[:2000]))


def _words_of(message: Part, parts: list[Part]) -> str:
    """Return what the server wrote: its text parts before the returned mail, else its HTML."""
    texts: list[str] = []
    for kind in ("text/plain", "text/html"):
        for part in parts:
            if part.children or part.type != kind or "attachment" in part.get("content-disposition").lower():
                continue
            words, copy = transcript.split_copy(part.text())
            texts.append(words)
            if copy:
                break
        if any(text.strip() for text in texts):
            break
    return "\n".join(texts) or transcript.split_copy(message.text())[0]


def _ours(message: Part) -> set[str]:
    """Return the addresses that are the sender's: the report's own parties and the copy's author."""
    fields = [
        message.get(name) for name in ("from", "to", "delivered-to", "x-original-to", "envelope-to", "return-path")
    ]
    fields += [
        value
        for name, value in original_fields(message)
        if name in ("from", "return-path", "sender", "reply-to", "errors-to")
    ]
    return {address.lower() for value in fields for address in addresses_in(value)}


def _named(message: Part) -> tuple[str, ...]:
    """Return the recipients that Exim, indimail and others name in a header."""
    for name in ("x-failed-recipients", "x-failed-recipient", "x-failed-to"):
        if found := [a for value in message.all(name) for a in addresses_in(value)]:
            return tuple(found)
    return ()


def _of_groups(message: Part, parts: list[Part], groups: list[dsn.Group]) -> Explanation:
    failed = [group for group in groups if not group.happened]
    if not failed:
        delivered = tuple(
            Report(g.recipient or None, BounceClass.DELIVERED, status=classify.find_status(g.status) or None)
            for g in groups
        )
        return Explanation(Kind.DELIVERED, delivered)
    words = _words_of(message, parts)
    recipients = [group.recipient for group in failed]
    if not all(recipients):
        said = _named(message) or tuple(p.recipient for p in transcript.read(words, ours=_ours(message)))
        recipients = [r or (said[0] if len(failed) == 1 and said else "") for r in recipients]
    passages = {
        p.recipient: p.words for p in transcript.read(words, ours=set(), named=tuple(r for r in recipients if r))
    }
    reports = [
        _report(recipient, group.reply, passages.get(recipient, words), group.status, final=group.action != "delayed")
        for recipient, group in zip(recipients, failed, strict=True)
    ]
    return Explanation(Kind.BOUNCE, _each_once(reports))


def _of_words(message: Part, words: str) -> Explanation | None:
    subject = message.words("subject")[:300]
    named = _named(message)
    passages = transcript.read(words, ours=_ours(message), named=named)
    final = not _LATE.search(f"{subject}\n{words}") or bool(_GIVEN_UP.search(words))
    if not passages:
        returned = [a for name, value in original_fields(message) if name == "to" for a in addresses_in(value)]
        passages = [transcript.Passage(a, words) for a in returned[:1]]
    if not passages:
        if not _SUBJECT.search(subject):
            return None
        passages = [transcript.Passage("", words)]
    reports = [_report(p.recipient, "", p.words, "", final=final, subject=subject) for p in passages]
    return Explanation(Kind.BOUNCE, _each_once(reports))


def _report(recipient: str, reply: str, passage: str, status: str, *, final: bool, subject: str = "") -> Report:
    """Judge one recipient by the best words there are: the reply, the passage around it, the subject."""
    quoted = reply or transcript.reply_in(passage, recipient)
    judged = next((text for text in (quoted, passage, subject) if classify.says_something(text)), quoted or passage)
    judgement = classify.classify(
        judged,
        status=status or classify.find_status(quoted or passage),
        final=final,
        stage=transcript.stage_in(passage),
    )
    return Report(
        recipient or None,
        judgement.bounce_class,
        hard=judgement.hard,
        status=judgement.status,
        reply=shown(quoted or passage),
    )


def _each_once(reports: list[Report]) -> tuple[Report, ...]:
    return tuple({((r.recipient or "").lower(), r.bounce_class): r for r in reports}.values())
