"""Fixtures for every test: a real database, settings under a temporary folder."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from newsletter import config

sys.path.insert(0, str(Path(__file__).parent))  # factories and fixtures are imported by name

pytest_plugins = ["fixtures.browsers", "fixtures.databases", "fixtures.mail", "journeys.magazine"]


@pytest.fixture
def settings(tmp_path, database_url) -> config.Settings:
    return config.load(
        data_dir=tmp_path,
        database_url=database_url,
        secret_key="a test key that is long enough to be accepted",
        base_url="http://news.example.test",
    )
