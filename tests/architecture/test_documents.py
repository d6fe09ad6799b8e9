"""What is promised in documents exists, and what exists is documented."""

import re
from pathlib import Path

import pytest
import typer.main

from newsletter import config

ROOT = Path(__file__).parents[2]
OPERATING = (ROOT / "docs" / "operating.md").read_text() if (ROOT / "docs" / "operating.md").exists() else ""
SETTINGS = [config.PREFIX + name.upper() for name in config.Settings.model_fields]


def _commands():
    from newsletter.cli import app

    def walk(command, words):
        children = getattr(command, "commands", None)
        if children is None:
            yield " ".join(words)
            return
        for name, child in children.items():
            if not child.hidden:
                yield from walk(child, [*words, name])

    return sorted(walk(typer.main.get_command(app), ["newsletter"]))


def _paths(settings, database):
    from newsletter.web.app import create_app

    def walk(routes):
        for route in routes:
            if included := getattr(route, "original_router", None):
                yield from walk(included.routes)
            else:
                yield route.path

    return sorted(set(walk(create_app(settings, database).routes)))


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_is_documented_and_stands_in_the_example(name):
    assert f"`{name}`" in OPERATING
    assert re.search(rf"^#? ?{name}=", (ROOT / ".env.example").read_text(), re.MULTILINE)


def test_no_document_names_a_setting_that_does_not_exist():
    known = set(SETTINGS) | {f"{config.PREFIX}{name}_FILE" for name in config.SECRETS}
    known |= {f"{config.PREFIX}TEST_DATABASE"}
    for path in [
        ROOT / "README.md",
        ROOT / ".env.example",
        ROOT / "docker-compose.yml",
        *(ROOT / "docs").rglob("*.md"),
    ]:
        named = set(re.findall(rf"\b{config.PREFIX}[A-Z_]+\b", path.read_text())) - {f"{config.PREFIX}"}
        assert named <= known, f"{path.name} names {sorted(named - known)}"


def test_every_command_is_documented():
    missing = [command for command in _commands() if command not in OPERATING]
    assert not missing


def test_every_url_is_documented(settings, database):
    def plain(path):
        return re.sub(r"\{[^}]*\}", "<>", path)

    documented = {re.sub(r"<[^>]*>", "<>", path) for path in re.findall(r"`(/[^`\s]*)`", OPERATING)}
    served = {plain(path) for path in _paths(settings, database)}
    assert served - documented == set(), "not documented"
    assert documented - served == set(), "documented, but not served"


@pytest.mark.parametrize(
    "path", [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))], ids=lambda path: str(path.relative_to(ROOT))
)
def test_every_link_between_documents_leads_somewhere(path):
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text()):
        if not re.match(r"[a-z]+:", target):
            assert (path.parent / target).exists(), target


def test_every_make_recipe_in_the_readme_exists():
    recipes = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z]+)\b", (ROOT / "README.md").read_text()))
    assert {"demo", "test"} <= named <= recipes
