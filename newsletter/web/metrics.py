"""What the process counts about itself, in Prometheus' text form.

Promise: each application has a registry of its own; paths are counted by their
route, never by their text, so that no token or address becomes a label. What
the database knows (sends, deliveries) is asked for when somebody asks for it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Metrics:
    """Counters of one application."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "newsletter_http_requests", "Requests answered.", ("method", "route", "status"), registry=self.registry
        )
        self._seconds = Histogram(
            "newsletter_http_request_seconds", "Time to an answer.", ("route",), buckets=BUCKETS, registry=self.registry
        )

    def count(self, *, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def text(self, gauges: Mapping[str, Mapping[str, float]]) -> bytes:
        """Write everything; ``gauges`` are families by name (``newsletter_sends``) and state."""
        facts = CollectorRegistry()
        facts.register(_Gauges(gauges))
        return generate_latest(self.registry) + generate_latest(facts)


class _Gauges(Collector):
    def __init__(self, gauges: Mapping[str, Mapping[str, float]]) -> None:
        self.gauges = gauges

    def collect(self) -> Iterator[GaugeMetricFamily]:
        for name, values in self.gauges.items():
            what = name.removeprefix("newsletter_").replace("_", " ").capitalize()
            family = GaugeMetricFamily(name, f"{what} by state.", labels=["state"])
            for state, value in values.items():
                family.add_metric([state], value)
            yield family


class Counting:
    """ASGI middleware around everything: counts each request by the route that answered it."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and note how it was answered."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 500

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, note)
        finally:
            self.metrics.count(
                method=scope["method"] if scope["method"] in METHODS else "other",
                route=getattr(scope.get("route"), "path", "unknown"),
                status=status,
                seconds=time.perf_counter() - started,
            )
