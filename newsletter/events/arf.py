"""Complaints: a provider says that a reader called the mail spam (RFC 5965).

Promise: every report with a feedback part is found, whatever else is broken,
with each recipient that it names: in the report, or in the returned original.
Providers often take the address out; then ours come from the delivery that the
return path or the Message-ID names (``intake``). Reports about authentication
and "this is not spam" are complaints in form only: ``Report.feedback`` says so.
"""

from __future__ import annotations

import re

from newsletter.events.explanation import Explanation, Kind, Report, shown
from newsletter.events.mime import Part, read_fields
from newsletter.events.models import BounceClass
from newsletter.events.recipients import address_in, addresses_in

OPT_OUT = frozenset({"opt-out", "opt-out-list"})
ABOUT_US = frozenset({"auth-failure", "dmarc", "not-spam"})  # RFC 6591, 6650: never a reader's complaint

# Fields in which reports name the reader, best first; the last are those of providers without RFC 5965.
_NAMED = ("original-rcpt-to", "removal-recipient", "redacted-address", "x-original-recipient")
_RETURNED = ("x-hmxmroriginalrecipient", "x-apparently-to", "to", "x-original-to", "delivered-to")
_FEEDBACK = re.compile(r"^Feedback-Type:[ \t]*[\w-]+", re.IGNORECASE | re.MULTILINE)


def explain(message: Part) -> Explanation | None:
    """Return what a complaint says, or None when the message is no complaint."""
    parts = message.walk()
    fields = _feedback_fields(message, parts)
    if fields is None:
        return _hotmail(message, parts)
    found = dict(fields)
    kind = found.get("feedback-type", "abuse").strip().lower() or "abuse"
    bounce_class = BounceClass.OPT_OUT if kind in OPT_OUT else BounceClass.COMPLAINT
    recipients: list[str | None] = [*_recipients(fields, parts)]
    said = shown(f"Feedback-Type: {kind}. {found.get('user-agent', '')}")
    return Explanation(
        Kind.COMPLAINT,
        tuple(Report(recipient, bounce_class, reply=said, feedback=kind) for recipient in recipients or [None]),
    )


def _feedback_fields(message: Part, parts: list[Part]) -> list[tuple[str, str]] | None:
    for part in parts:
        if part.type == "message/feedback-report":
            return read_fields(_body(part))[0]
    declared = message.params.get("report-type", "").lower() == "feedback-report"
    for part in parts:
        match = _FEEDBACK.search(part.body[:20_000]) if not part.children else None
        alone = part.type == "text/plain" and "Version:" in part.body and "User-Agent:" in part.body
        if match and (declared or alone):
            return read_fields(part.body[match.start() :])[0]
    return [] if declared else None


def _body(part: Part) -> str:
    text = part.text() if part.get("content-transfer-encoding") else part.body
    return text.lstrip("\n")


def _recipients(fields: list[tuple[str, str]], parts: list[Part]) -> list[str]:
    for name in _NAMED:
        found = [a for key, value in fields if key == name for a in [address_in(value)] if a]
        if found:
            return list(dict.fromkeys(found))
    return _of_original(parts)


def _of_original(parts: list[Part]) -> list[str]:
    for part in parts:
        if part.type in ("message/rfc822", "text/rfc822-headers", "message/rfc822-headers"):
            original = dict(reversed(read_fields(_body(part))[0]))
            for name in _RETURNED:
                if found := addresses_in(original.get(name, "")):
                    return found[:1]
    return []


def _hotmail(message: Part, parts: list[Part]) -> Explanation | None:
    """Older feedback without a report part: the original alone, under a subject that says what it is."""
    subject = message.words("subject").lower()
    if not subject.startswith("complaint about message from") and not message.get("x-complaints-loop"):
        return None
    recipients = _of_original(parts)
    report = Report(
        recipients[0] if recipients else None, BounceClass.COMPLAINT, reply=shown(subject), feedback="abuse"
    )
    return Explanation(Kind.COMPLAINT, (report,))
