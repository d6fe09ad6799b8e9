"""The wheel carries templates and migrations and runs without the checkout."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def _run(site, *words, cwd):
    # -P keeps the working folder off the path; PYTHONPATH comes before the checkout's own entry.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("NEWSLETTER_")} | {"PYTHONPATH": str(site)}
    return subprocess.run(
        [sys.executable, "-P", *words], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def test_it_carries_every_template_and_migration(installed):
    for top, inside in ((ROOT / "templates", "templates"), (ROOT / "newsletter" / "migrations", "migrations")):
        wanted = {str(p.relative_to(top)) for p in top.rglob("*") if p.is_file() and "__pycache__" not in p.parts}
        carried = {
            str(p.relative_to(installed / "newsletter" / inside))
            for p in (installed / "newsletter" / inside).rglob("*")
            if p.is_file()
        }
        assert wanted <= carried


def test_it_makes_a_database_and_a_publication_far_from_the_checkout(installed, tmp_path):
    where = _run(installed, "-c", "import newsletter; print(newsletter.__file__)", cwd=tmp_path)
    assert where.stdout.startswith(str(installed))
    for words in (
        ["migrate"],
        ["publication", "create", "weekly", "--name", "Weekly", "--from", "Desk <desk@example.org>",
         "--address", "1 Street, Town", "--timezone", "Europe/London"],
    ):  # fmt: skip
        done = _run(installed, "-m", "newsletter", *words, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
