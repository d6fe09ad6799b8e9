"""Whether the process is up, whether it can work, and what it counts.

Promise: ``/healthz`` asks nothing and answers while the process lives;
``/readyz`` asks the database, and whoever started the server says what else is
required of it (the tables' version);
``/metrics`` is for the local network only and holds no address and no token.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Mapping
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session
from starlette.responses import JSONResponse, PlainTextResponse, Response

from newsletter import delivery
from newsletter.delivery.models import DeliveryState, Send, SendState
from newsletter.errors import NewsletterError, NotFound
from newsletter.kit import clock
from newsletter.web.access import Anyone
from newsletter.web.routing import Pages
from newsletter.web.security import NO_STORE
from newsletter.web.visits import Visit

LIVE: Final = (SendState.SENDING, SendState.PAUSED)

routes = Pages()


@routes.shows("/healthz")
def healthz(visit: Anyone) -> Response:  # noqa: ARG001 - every handler declares who may call it
    """Say that the process is up."""
    return PlainTextResponse("ok\n", headers={"Cache-Control": NO_STORE})


@routes.shows("/readyz")
def readyz(visit: Anyone) -> Response:
    """Say whether requests can be served, and if not, why."""
    problems = _problems(visit)
    body = {"ready": not problems, "problems": problems}
    return JSONResponse(body, 503 if problems else 200, headers={"Cache-Control": NO_STORE})


@routes.shows("/metrics")
def metrics(visit: Anyone) -> Response:
    """Give the counters, to callers from the local network that came without a proxy."""
    if not _is_near(visit):
        raise NotFound("There is no page at this address.")
    with visit.reading() as session:
        gauges = {
            "newsletter_sends": _sends(session),
            "newsletter_live_deliveries": _deliveries(session),
            "newsletter_paces": Counter(str(row.standing(clock.now())) for row in delivery.every_pace(session)),
        }
    body = visit.site.metrics.text(gauges)
    return Response(body, media_type=CONTENT_TYPE_LATEST, headers={"Cache-Control": NO_STORE})


def _problems(visit: Visit) -> list[str]:
    try:
        visit.site.require_ready(visit.site.database)
    except NewsletterError as error:
        return [error.message]
    except SQLAlchemyError as error:
        return [f"The database does not answer ({type(error).__name__})."]
    return []


def _is_near(visit: Visit) -> bool:
    if "x-forwarded-for" in visit.request.headers or "forwarded" in visit.request.headers:
        return False
    try:
        return ipaddress.ip_address(visit.host).is_private
    except ValueError:
        return False


def _sends(session: Session) -> Mapping[str, float]:
    rows = session.execute(select(Send.state, func.count()).group_by(Send.state))
    return dict.fromkeys((state.value for state in SendState), 0) | {state.value: count for state, count in rows}


def _deliveries(session: Session) -> Mapping[str, float]:
    """Count the deliveries of sends that are going on; those of finished sends are in their reports."""
    counts = Counter(dict.fromkeys((state.value for state in DeliveryState), 0))
    for send_id in session.scalars(select(Send.id).where(Send.state.in_(LIVE))).all():
        status = delivery.status(session, send_id)
        counts.update({state.value: getattr(status, state.value) for state in DeliveryState})
    return counts
