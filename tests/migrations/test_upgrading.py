"""From nothing to this version's tables, on the database that the suite runs on."""

import threading

import pytest
from sqlalchemy import inspect, text
from sqlalchemy.exc import OperationalError

from newsletter import migrations
from newsletter.db import Base, Database, session
from newsletter.errors import Refused
from newsletter.migrations import upgrading
from newsletter.migrations.comparing import differences


@pytest.fixture
def empty(databases):
    url = databases.empty_url()
    database = Database(url)
    yield database
    database.dispose()
    databases.drop(url)


@pytest.fixture
def upgraded(empty):
    migrations.upgrade(empty)
    return empty


def test_an_empty_database_gets_every_table_of_the_models(upgraded):
    made = set(inspect(upgraded.engine).get_table_names())
    assert made == {*Base.metadata.tables, "alembic_version"}


def test_the_migrations_and_the_models_say_the_same(upgraded):
    assert differences(upgraded) == []


def test_differences_are_told(upgraded):
    with upgraded.connection() as connection:
        connection.execute(text("ALTER TABLE publications ADD COLUMN forgotten INTEGER"))
    assert "forgotten" in "".join(differences(upgraded))


def test_upgrading_tells_from_where_to_where(empty):
    assert migrations.upgrade(empty) == migrations.State("", migrations.head())


def test_a_second_upgrade_changes_nothing(upgraded):
    with upgraded.transaction() as session:
        session.execute(text("INSERT INTO login_attempts (key, at) VALUES ('k', '2026-11-20 15:00:00')"))
    assert migrations.upgrade(upgraded) == migrations.State(migrations.head(), migrations.head())
    with upgraded.read() as session:
        assert session.scalar(text("SELECT count(*) FROM login_attempts")) == 1


def test_two_upgrades_at_once_make_the_tables_once(databases, empty):
    failures = []

    def upgrade():
        database = Database(empty.url)
        try:
            migrations.upgrade(database)
        except Exception as error:  # noqa: BLE001 - told below
            failures.append(error)

    threads = [threading.Thread(target=upgrade) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert migrations.state(empty).up_to_date


def test_an_upgrade_that_fails_leaves_nothing(empty):
    with empty.connection() as connection:
        connection.execute(text("CREATE TABLE sends (id INTEGER)"))
    with pytest.raises((OperationalError, Exception), match="already exists"):
        migrations.upgrade(empty)
    assert inspect(empty.engine).get_table_names() == ["sends"]


def test_a_database_that_is_not_current_is_refused_with_what_to_do(empty):
    with pytest.raises(Refused, match=r"is empty .* run “newsletter migrate”"):
        migrations.require_current(empty)


def test_a_database_of_a_newer_version_is_refused(upgraded):
    with upgraded.connection() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(Refused, match="newer version"):
        migrations.require_current(upgraded)


def test_a_current_database_is_let_through(upgraded):
    migrations.require_current(upgraded)


def test_foreign_keys_hold_again_after_the_upgrade(upgraded):
    with pytest.raises(Exception, match=r"(?i)foreign key"), upgraded.connection() as connection:
        connection.execute(text("INSERT INTO sections (issue_id, position, name) VALUES (404, 1, 'x')"))


def test_postgresqls_hot_table_keeps_room_for_updates_in_place(upgraded):
    with upgraded.read() as session:
        if upgraded.dialect == "postgresql":
            options = session.scalar(text("SELECT reloptions FROM pg_class WHERE relname = 'deliveries'"))
            assert options == ["fillfactor=60"]
        else:  # SQLite updates in place and knows no such option
            made = session.scalar(text("SELECT sql FROM sqlite_master WHERE name = 'deliveries'"))
            assert "fillfactor" not in made


def test_a_table_in_use_is_waited_for_and_then_named_as_the_reason(upgraded, monkeypatch):
    monkeypatch.setattr(session, "BUSY_TIMEOUT_MS", 200)
    monkeypatch.setattr(upgrading, "LOCK_SECONDS", 1)
    other = Database(upgraded.url)
    with upgraded.connection() as holder:
        if upgraded.dialect == "postgresql":
            holder.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": upgrading.LOCK})
        with pytest.raises(Refused, match="Another program uses the tables"):
            migrations.upgrade(other)
