"""Reader pages: joining, the archive, confirming, leaving, preferences. All work without JavaScript."""
