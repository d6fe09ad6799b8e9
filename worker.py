"""The Celery application: ``celery -A worker worker`` and ``celery -A worker beat``.

Configured by the environment (docs/operating.md). ``newsletter worker`` and
``newsletter beat`` run the same application where only the wheel is installed.
"""

from newsletter.errors import ConfigError

try:
    from newsletter.jobs.app import app
except ConfigError as error:
    raise SystemExit(str(error)) from None

__all__ = ["app"]
