"""Amazon SES notifications that come as mail: SNS topics can be subscribed to by an address.

Promise: a bounce, complaint or delivery notification in the body gives what the
same words would give in a report; anything else, or broken JSON, gives None.
Nothing here is trusted: the delivery is named by our own tokens, as for all mail.
Source: docs.aws.amazon.com/ses, "Amazon SNS notification contents".
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from newsletter.events.classify import classify
from newsletter.events.explanation import Explanation, Kind, Report, shown
from newsletter.events.mime import Part
from newsletter.events.models import BounceClass


def explain(message: Part) -> Explanation | None:
    """Return what a notification says, or None when the message holds none."""
    if not message.get("x-amz-sns-message-id"):
        return None
    found = _object(message.text())
    if isinstance(found.get("Message"), str):
        found = _object(found["Message"])  # the topic does not deliver raw messages: ours lies inside its own
    kind = found.get("notificationType") or found.get("eventType")
    if kind == "Bounce":
        return _explanation(Kind.BOUNCE, [_bounce(r) for r in _people(found, "bounce", "bouncedRecipients")])
    if kind == "Complaint":
        feedback = str(_inner(found, "complaint").get("complaintFeedbackType") or "abuse")[:40]
        people = _people(found, "complaint", "complainedRecipients")
        return _explanation(
            Kind.COMPLAINT,
            [Report(_address(r), BounceClass.COMPLAINT, reply=shown(feedback), feedback=feedback) for r in people],
        )
    if kind == "Delivery":
        recipients = _inner(found, "delivery").get("recipients")
        names = [str(name) for name in recipients] if isinstance(recipients, list) else []
        return _explanation(Kind.DELIVERED, [Report(name, BounceClass.DELIVERED) for name in names])
    return None


def _object(text: str) -> dict[str, Any]:
    start, end = text.find("{"), text.rfind("\n\n--")
    body = text[start : end if end > start else None] if start >= 0 else ""
    try:
        found, _ = json.JSONDecoder(strict=False).raw_decode(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _inner(found: dict[str, Any], name: str) -> dict[str, Any]:
    inner = found.get(name)
    return inner if isinstance(inner, dict) else {}


def _people(found: dict[str, Any], name: str, people: str) -> Iterator[dict[str, Any]]:
    listed = _inner(found, name).get(people)
    return (person for person in (listed if isinstance(listed, list) else []) if isinstance(person, dict))


def _address(person: dict[str, Any]) -> str | None:
    return str(person.get("emailAddress") or "")[:254] or None


def _bounce(person: dict[str, Any]) -> Report:
    reply = str(person.get("diagnosticCode") or "")
    judgement = classify(reply, status=str(person.get("status") or ""))
    return Report(_address(person), judgement.bounce_class, judgement.hard, judgement.status, shown(reply))


def _explanation(kind: Kind, reports: list[Report]) -> Explanation | None:
    return Explanation(kind, tuple(reports)) if reports else None
