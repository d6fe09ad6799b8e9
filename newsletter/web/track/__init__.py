"""Counted links and the picture that tells of an opened mail."""
