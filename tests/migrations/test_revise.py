import shutil

from newsletter import migrations
from newsletter.migrations import revise, upgrading


def test_a_developer_gets_the_next_number(tmp_path, monkeypatch, capsys):
    copy = tmp_path / "migrations"
    shutil.copytree(upgrading.FOLDER, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(upgrading, "FOLDER", copy)
    migrations.head.cache_clear()
    try:
        before = int(migrations.head())
        revise.main("nothing changed")
        written = copy / "versions" / f"{before + 1:04d}_nothing_changed.py"
        assert f"down_revision = '{before:04d}'" in written.read_text()
        assert "    pass" in written.read_text(), "the models and the revisions agree"
        assert written.name in capsys.readouterr().out
    finally:
        migrations.head.cache_clear()
