"""The demonstration: an invented newsroom, its readers, their mailboxes, and one week of their lives."""
