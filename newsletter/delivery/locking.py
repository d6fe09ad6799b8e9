"""Locking many deliveries of a send at once, always in the same order.

Promise: whoever picks rows with ``in_order`` locks them in the order of the key, as
the ledger does, so that the two cannot wait for each other. It changes nothing.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, select

from newsletter.delivery.models import Delivery


def in_order(send_id: int, *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return the condition of an UPDATE that locks a send's deliveries in order before it changes any of them."""
    rows = (
        select(Delivery.seq)
        .where(Delivery.send_id == send_id, *conditions)
        .order_by(Delivery.seq)
        .with_for_update()
        .cte("rows")
    )
    return (Delivery.send_id == send_id) & Delivery.seq.in_(select(rows.c.seq))
