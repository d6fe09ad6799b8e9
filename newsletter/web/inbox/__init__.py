"""The local inbox: what the demonstration's mail servers received, as pages."""

from newsletter.web.inbox.app import create_app
from newsletter.web.inbox.box import Box, Fate, Mail

__all__ = ["Box", "Fate", "Mail", "create_app"]
