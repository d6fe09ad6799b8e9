"""A process that sends until it is killed: ``python sending_process.py <settings as JSON>``."""

import json
import sys

from newsletter import config, delivery
from newsletter.db import Database

if __name__ == "__main__":
    settings = config.load(**json.loads(sys.argv[1]))
    delivery.run(Database.of(settings), settings)
