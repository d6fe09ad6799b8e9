"""The frozen values that reports are made of, and their form as JSON.

Promise: an ``IssueReport`` holds for an issue in any state; what has not happened
is 0 or None. ``as_json`` is flat, with every state under its own name.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from newsletter.audience import Counts, GrowthRow
from newsletter.delivery.models import DeliveryState
from newsletter.events import BounceClass


@dataclass(frozen=True, slots=True)
class Reach:
    """Distinct copies: those that a person seems to have opened or clicked, and all."""

    human: int = 0
    raw: int = 0


@dataclass(frozen=True, slots=True)
class StoryClicks:
    """How one story's links were followed. ``readers`` are distinct people, ``clicks`` every time; both by people."""

    article_id: int | None
    headline: str
    url: str
    readers: int
    readers_raw: int
    clicks: int

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Provider:
    """How the copies for one mailbox provider, named by its domain, went."""

    domain: str
    audience: int
    accepted: int
    refused: int

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class IssueReport:
    """One issue, from its audience to its leavers.

    ``states`` has every state of the ledger; ``bounces`` only the classes that
    occurred, each delivery once, by the last thing said about it. ``opens`` are an
    upper bound: mail programs load pictures for people who did not look.
    """

    issue_id: int
    publication_id: int
    number: int
    title: str
    state: str
    send_ids: tuple[int, ...]
    audience: int
    states: dict[DeliveryState, int]
    bounces: dict[BounceClass, int]
    complaints: int
    auto_replies: int
    unsubscribes: int
    opens: Reach
    clicks: Reach
    stories: tuple[StoryClicks, ...]
    providers: tuple[Provider, ...]
    started_at: dt.datetime | None
    finished_at: dt.datetime | None
    seconds: float | None

    @property
    def adds_up(self) -> bool:
        """Whether the audience is the sum of the states, as the ledger promises."""
        return self.audience == sum(self.states.values())

    @property
    def bounced(self) -> int:
        """Deliveries that bounced for whatever reason."""
        return sum(self.bounces.values())

    @property
    def rate(self) -> float | None:
        """Accepted messages a second, while the send ran."""
        return round(self.states[DeliveryState.ACCEPTED] / self.seconds, 1) if self.seconds else None

    def as_json(self) -> dict[str, Any]:
        """Return the document of ``newsletter report --json``."""
        return {
            "issue": self.issue_id,
            "publication": self.publication_id,
            "number": self.number,
            "title": self.title,
            "state": self.state,
            "sends": list(self.send_ids),
            "audience": self.audience,
            **{state.value: count for state, count in self.states.items()},
            "adds_up": self.adds_up,
            "bounced": self.bounced,
            "bounces": {kind.value: count for kind, count in self.bounces.items()},
            "complaints": self.complaints,
            "auto_replies": self.auto_replies,
            "unsubscribes": self.unsubscribes,
            "opens": self.opens.human,
            "opens_raw": self.opens.raw,
            "clicks": self.clicks.human,
            "clicks_raw": self.clicks.raw,
            "stories": [story.as_json() for story in self.stories],
            "providers": [provider.as_json() for provider in self.providers],
            "started_at": self.started_at.isoformat() if self.started_at else None,
            "finished_at": self.finished_at.isoformat() if self.finished_at else None,
            "seconds": self.seconds,
            "rate": self.rate,
        }


@dataclass(frozen=True, slots=True)
class IssueLine:
    """One issue in a row of issues."""

    issue_id: int
    number: int
    title: str
    date: str
    state: str
    audience: int
    bounced: int
    complaints: int
    unsubscribes: int
    opens: Reach
    clicks: Reach
    finished_at: dt.datetime | None


@dataclass(frozen=True, slots=True)
class PublicationOverview:
    """How a publication is doing: who reads it, who came and went, and its last issues, newest first."""

    publication_id: int
    readers: Counts
    growth: tuple[GrowthRow, ...]
    issues: tuple[IssueLine, ...]
