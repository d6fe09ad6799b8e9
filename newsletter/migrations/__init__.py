"""Brings a database to the tables of this version; see README.md."""

from newsletter.migrations.upgrading import State, head, require_current, state, upgrade

__all__ = ["State", "head", "require_current", "state", "upgrade"]
