"""Tables of the publications room: the newsletter title and its blueprint of sections."""

from __future__ import annotations

import datetime as dt
import enum
from typing import Any

from sqlalchemy import ForeignKey, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.db import Base, Id, word


class DeadlineRule(enum.StrEnum):
    """What happens at the hour when nobody has approved the issue."""

    HOLD = "hold"
    SEND = "send"
    SKIP = "skip"


class UncertainPolicy(enum.StrEnum):
    """What becomes of a delivery whose reply was lost, after 15 minutes without evidence."""

    ASSUME_ACCEPTED = "assume_accepted"
    SEND_AGAIN = "send_again"
    HOLD = "hold"


class Publication(Base):
    """A newsletter title readers join: brand, sender identity, cadence."""

    __tablename__ = "publications"

    id: Mapped[Id]
    slug: Mapped[str] = mapped_column(String(60), unique=True)
    name: Mapped[str] = mapped_column(String(120))
    tagline: Mapped[str] = mapped_column(String(300), default="")
    from_name: Mapped[str] = mapped_column(String(120))
    from_address: Mapped[str] = mapped_column(String(254))
    reply_to: Mapped[str] = mapped_column(String(254), default="")
    postal_address: Mapped[str] = mapped_column(Text)
    timezone: Mapped[str] = mapped_column(String(64))
    language: Mapped[str] = mapped_column(String(35), default="en")
    direction: Mapped[str] = mapped_column(String(3), default="ltr")
    website: Mapped[str] = mapped_column(String(500), default="")
    theme: Mapped[str] = mapped_column(String(60), default="weekly")
    brand: Mapped[dict[str, Any]] = mapped_column(default=dict)  # see publications.brand.Brand
    deadline_rule: Mapped[DeadlineRule] = mapped_column(word(DeadlineRule), default=DeadlineRule.HOLD)
    uncertain_policy: Mapped[UncertainPolicy] = mapped_column(
        word(UncertainPolicy), default=UncertainPolicy.ASSUME_ACCEPTED
    )
    tracking: Mapped[bool] = mapped_column(default=True)
    next_number: Mapped[int] = mapped_column(Integer, default=1)
    created_at: Mapped[dt.datetime]


class BlueprintSection(Base):
    """One section that every issue of a publication starts with, in order."""

    __tablename__ = "blueprint_sections"
    __table_args__ = (UniqueConstraint("publication_id", "name"),)

    id: Mapped[Id]
    publication_id: Mapped[int] = mapped_column(ForeignKey("publications.id", ondelete="CASCADE"))
    position: Mapped[int] = mapped_column(Integer)
    name: Mapped[str] = mapped_column(String(120))
    takes: Mapped[list[str]] = mapped_column(default=list)  # kinds, regions, section names; empty takes what is left
    cap: Mapped[int] = mapped_column(Integer, default=12)
