"""Imports every room's tables, so that ``Base.metadata`` is complete.

Promise: after this import the metadata holds all tables; only migrations (and
tests) may do it, since it reaches into every room.
"""

import newsletter.articles.models
import newsletter.audience.models
import newsletter.delivery.models
import newsletter.editions.models
import newsletter.events.models
import newsletter.issues.models
import newsletter.notices.models
import newsletter.publications.models
import newsletter.staff.models  # noqa: F401 - imported for their effect
from newsletter.db import Base

metadata = Base.metadata
