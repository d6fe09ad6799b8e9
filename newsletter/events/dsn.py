"""Delivery status notifications (RFC 3464), and what is left of them after real mail servers.

Promise: per-recipient groups are found in the part made for them or, when the
MIME structure is broken, anywhere in the text; a missing blank line, an extra
one, unindented continuations and unknown fields do no harm. Action decides what
happened, Diagnostic-Code and Status whose fault it was.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from newsletter.events.mime import Part
from newsletter.events.recipients import address_in

MAX_GROUPS = 50
NAMES = frozenset(
    {"original-recipient", "final-recipient", "x-actual-recipient", "action", "status", "diagnostic-code", "remote-mta"}
)
_RECIPIENT = ("final-recipient", "original-recipient", "x-actual-recipient")
_FIELD = re.compile(r"^([A-Za-z][\w-]{2,40})[ \t]*:[ \t]*(.*)$")
_START = re.compile(r"^(?:Original-Recipient|Final-Recipient|X-Actual-Recipient)[ \t]*:", re.IGNORECASE | re.MULTILINE)
_KIND_OF_CODE = re.compile(r"^\s*[A-Za-z][\w-]{0,20}[ \t]*;[ \t]*")


@dataclass(slots=True)
class Group:
    """The fields about one recipient, lower-case names."""

    fields: dict[str, str] = field(default_factory=dict)

    @property
    def recipient(self) -> str:
        """The address that failed, a full one where the report has it; empty when no field holds an address."""
        found = [address for name in _RECIPIENT if (address := address_in(self.fields.get(name, "")))]
        full = [address for address in found if "." in address.rpartition("@")[2]]
        return next(iter(full or found), "")

    @property
    def action(self) -> str:
        """failed, delayed, delivered, relayed, expanded, or empty."""
        words = re.findall(r"[a-z]+", self.fields.get("action", "").lower()[:40])
        return words[0] if words else ""

    @property
    def status(self) -> str:
        """The Status field as it stands."""
        return self.fields.get("status", "")

    @property
    def reply(self) -> str:
        """The Diagnostic-Code without its type."""
        return _KIND_OF_CODE.sub("", self.fields.get("diagnostic-code", ""), count=1).strip()

    @property
    def happened(self) -> bool:
        """Whether the mail was delivered or passed on."""
        return self.action in ("delivered", "relayed", "expanded") or (not self.action and self.status.startswith("2"))


def groups(parts: list[Part]) -> list[Group]:
    """Return the per-recipient groups of a message's parts."""
    for part in parts:
        if part.type in ("message/delivery-status", "message/global-delivery-status", "text/delivery-status"):
            found = parse(part.text() if part.get("content-transfer-encoding") else part.body)
            if found:
                return found
    for part in parts:
        if not part.children and part.type.startswith(("text/plain", "message/")):
            text = part.text()
            start = _START.search(text)
            if start and part.type != "message/rfc822":
                return parse(text[_paragraph(text, start.start()) :])
    return []


def _paragraph(text: str, at: int) -> int:
    """Return where the paragraph that holds ``at`` begins."""
    before = text.rfind("\n\n", 0, at)
    return before + 2 if before >= 0 else 0


def parse(text: str) -> list[Group]:
    """Return the groups of a delivery-status text that name a recipient or a status."""
    found: list[Group] = [Group()]
    last = ""
    for line in text.split("\n"):
        match = _FIELD.match(line)
        group = found[-1].fields
        if match:
            last = match[1].lower()
            if last not in NAMES:
                continue
            if last in group and last != "remote-mta":
                group = _next(found, last)
            group.setdefault(last, match[2].strip())
        elif not line.strip():
            last = ""
            if _complete(group) and len(found) < MAX_GROUPS:
                found.append(Group())
        elif last in NAMES and not line.startswith("--"):
            group[last] = f"{group.get(last, '')} {line.strip()}"[:2000]
    return [group for group in found if _complete(group.fields)]


def _next(found: list[Group], name: str) -> dict[str, str]:
    """Begin another group: a field has come a second time."""
    if len(found) < MAX_GROUPS:
        carried = {}
        previous = found[-1].fields
        if name == "final-recipient" and list(previous)[-1:] == ["original-recipient"]:
            carried = {"original-recipient": previous.pop("original-recipient")}
        found.append(Group(carried))
    return found[-1].fields


def _complete(group: dict[str, str]) -> bool:
    return any(name in group for name in _RECIPIENT) and (
        "action" in group or "status" in group or "diagnostic-code" in group
    )
