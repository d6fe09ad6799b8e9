"""Every error this program raises on purpose, in one tree.

Promise: a ``NewsletterError`` carries one sentence a person can act on. Doors
(web, cli, jobs) turn it into a page, an exit code or a log line; rooms never do.
Anything else that escapes a room is a bug and is shown as one.

    NewsletterError
    ├── UserError            the request cannot be carried out; says what to do   exit 1
    │   ├── Invalid          a value is wrong; names the field                    HTTP 422
    │   ├── NotFound         the thing named does not exist                       HTTP 404
    │   ├── Forbidden        this person may not do that                          HTTP 403
    │   ├── Conflict         somebody else changed it first, or it exists         HTTP 409
    │   ├── Refused          not allowed in the state it is in                    HTTP 409
    │   └── BadToken         a link's token is forged, damaged or of another kind HTTP 404
    ├── ConfigError          a setting is missing or wrong; stops the start       exit 1
    ├── FetchError           a source could not be read; shown at the source
    │   └── UnsafeAddress    the address is private or not HTTP (threat T19)
    ├── FeedError            what was fetched is not a feed we can read
    └── TransportError       mail could not be handed to a relay
"""

from __future__ import annotations

__all__ = [
    "BadToken",
    "ConfigError",
    "Conflict",
    "FeedError",
    "FetchError",
    "Forbidden",
    "Invalid",
    "NewsletterError",
    "NotFound",
    "Refused",
    "TransportError",
    "UnsafeAddress",
    "UserError",
]


class NewsletterError(Exception):
    """Base of the tree. ``message`` is one sentence for a person."""

    status: int = 500

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class UserError(NewsletterError):
    """The request cannot be carried out as it stands."""

    status = 400


class Invalid(UserError):
    """A value is wrong. ``field`` is the name of the form field or option, if one is to blame."""

    status = 422

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class NotFound(UserError):
    """The thing that was named does not exist."""

    status = 404


class Forbidden(UserError):
    """The person's role does not allow it."""

    status = 403


class Conflict(UserError):
    """It exists already, or somebody else changed it first."""

    status = 409


class Refused(UserError):
    """The state a thing is in does not allow what was asked."""

    status = 409


class BadToken(UserError):
    """A signed token does not verify. Says nothing about why, since the reason helps a forger."""

    status = 404

    def __init__(self, message: str = "This link is not valid.") -> None:
        super().__init__(message)


class ConfigError(NewsletterError):
    """A setting is missing or wrong. ``setting`` is its full environment name."""

    def __init__(self, setting: str, message: str) -> None:
        super().__init__(f"{setting}: {message}")
        self.setting = setting


class FetchError(NewsletterError):
    """A source's address could not be read: DNS, connection, time, size or HTTP status."""


class UnsafeAddress(FetchError):
    """The address is not public HTTP; fetching it could reach inside the network (T19)."""


class FeedError(NewsletterError):
    """What a source returned is not a feed that we can read."""


class TransportError(NewsletterError):
    """A relay could not be reached or spoke nonsense; nothing was handed over."""
