import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from newsletter import config
from newsletter.errors import ConfigError


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch, tmp_path):
    for name in config.Settings.model_fields:
        monkeypatch.delenv(config.PREFIX + name.upper(), raising=False)
    monkeypatch.setenv("NEWSLETTER_DATA_DIR", str(tmp_path / "data"))


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        ("SMTP_URL", "http://relay.example.org", "smtp://"),
        ("SMTP_URL", "smtp://relay.example.org:mail", "Port"),
        ("BASE_URL", "news.example.org", "https://"),
        ("BASE_URL", "https://example.org/news", "path"),
        ("BASE_URL", "https://nachrichten.exämple.org", "ASCII"),
        ("SECRET_KEY", "short", "32"),
        ("DATABASE_URL", "mysql://db/news", "postgresql://"),
        ("FETCH_ALLOW", "10.0.0.0/99", "10.0.0.0/99"),
        ("LOG_FORMAT", "xml", "json"),
    ],
)
def test_a_wrong_value_stops_the_start_with_the_settings_name(monkeypatch, name, value, word):
    monkeypatch.setenv(config.PREFIX + name, value)
    with pytest.raises(ConfigError, match=word) as caught:
        config.load()
    assert caught.value.setting == config.PREFIX + name


def test_several_relays_and_networks_are_separated_by_spaces(monkeypatch):
    monkeypatch.setenv("NEWSLETTER_SMTP_URL", "smtp://a.example.org smtps://u:p@b.example.org:465")
    monkeypatch.setenv("NEWSLETTER_FETCH_ALLOW", "cms.local 10.1.0.0/16")
    settings = config.load()
    assert settings.smtp_url == ("smtp://a.example.org", "smtps://u:p@b.example.org:465")
    assert settings.fetch_allow == ("cms.local", "10.1.0.0/16")


def test_a_secret_may_come_from_a_file_but_not_from_both(monkeypatch, tmp_path):
    (tmp_path / "key").write_text("a key from a file that is long enough\n")
    monkeypatch.setenv("NEWSLETTER_SECRET_KEY_FILE", str(tmp_path / "key"))
    assert config.load().secret == b"a key from a file that is long enough"
    monkeypatch.setenv("NEWSLETTER_SECRET_KEY", "x" * 40)
    with pytest.raises(ConfigError, match="not both"):
        config.load()
    monkeypatch.delenv("NEWSLETTER_SECRET_KEY")
    monkeypatch.setenv("NEWSLETTER_SECRET_KEY_FILE", str(tmp_path / "missing"))
    with pytest.raises(ConfigError, match="cannot read"):
        config.load()


def test_without_a_key_one_is_made_once_for_everybody_and_kept_private(tmp_path):
    with ThreadPoolExecutor(8) as threads:
        keys = set(threads.map(lambda _: config.load().secret, range(16)))
    assert len(keys) == 1
    assert len(keys.pop()) >= config.MIN_SECRET_LENGTH
    (kept,) = (tmp_path / "data").iterdir()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_addresses_of_databases_and_brokers_have_sensible_defaults(monkeypatch, tmp_path):
    settings = config.load(data_dir=tmp_path / "a b#c")
    assert settings.database.startswith("sqlite:///")
    assert settings.broker.endswith("/a%20b%23c/valkey/valkey.sock")
    assert settings.embedded_broker
    monkeypatch.setenv("NEWSLETTER_DATABASE_URL", "postgres://u:p@db/news")
    monkeypatch.setenv("NEWSLETTER_BROKER_URL", "redis://cache/0")
    settings = config.load()
    assert settings.database == "postgresql+psycopg://u:p@db/news"
    assert not settings.embedded_broker
