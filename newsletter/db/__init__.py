"""Tables' base, column types, and the unit of work."""

from newsletter.db.base import Base, BigId, Id, Json, UtcDateTime, later, now, word
from newsletter.db.session import AWAY, Database, after_commit

__all__ = ["AWAY", "Base", "BigId", "Database", "Id", "Json", "UtcDateTime", "after_commit", "later", "now", "word"]
