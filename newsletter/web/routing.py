"""The two kinds of route that pages are made of: ``shows`` and ``does``.

Promise: what shows answers GET and HEAD and gets no form; what does answers POST
only. There is no third kind, so a state-changing GET cannot be written by
accident (threat T16). None of them appears in the OpenAPI document, which is the
JSON interface's own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from fastapi import APIRouter
from starlette.responses import Response

Handler = TypeVar("Handler", bound=Callable[..., Response])


class Pages(APIRouter):
    """A router of pages."""

    def shows(self, path: str) -> Callable[[Handler], Handler]:
        """Declare a page: GET and HEAD."""
        return self.api_route(path, methods=["GET", "HEAD"], include_in_schema=False)

    def does(self, path: str) -> Callable[[Handler], Handler]:
        """Declare an action: POST."""
        return self.api_route(path, methods=["POST"], include_in_schema=False)
