"""The Celery application of this process, configured by the environment.

Promise: importing this module reads the settings, takes over the logging, and
makes ``app``; a wrong setting raises ``ConfigError``. It opens no connection.
"""

from __future__ import annotations

from newsletter import config
from newsletter.jobs.processes import prepared

app = prepared(config.load())
