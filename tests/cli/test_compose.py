"""docker-compose.yml and .env.example, held against the settings and the commands."""

import re
from pathlib import Path

import pytest
import yaml

from newsletter.cli.root import app
from newsletter.config import PREFIX, SECRETS, Settings

TOP = Path(__file__).parent.parent.parent
COMPOSE = yaml.safe_load((TOP / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
OURS = {name: one for name, one in SERVICES.items() if one["image"].startswith("newsletter:")}
SETTINGS = {PREFIX + name.upper() for name in Settings.model_fields}
EXAMPLE = (TOP / ".env.example").read_text()


def test_the_whole_newsroom_is_there():
    assert {"postgres", "redis", "migrate", "web", "worker", "beat", "bounces", "mailpit"} == set(SERVICES)


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_pinned_to_a_tag(name):
    image, _, tag = SERVICES[name]["image"].rpartition(":")
    assert image
    assert re.search(r"\d+\.\d+", tag), "a moving tag is no pin"


@pytest.mark.parametrize("name", SERVICES)
def test_nothing_runs_as_root(name):
    assert str(SERVICES[name]["user"]).split(":")[0] not in ("root", "0", "")


@pytest.mark.parametrize("name", SERVICES)
def test_file_systems_are_read_only_and_nobody_gains_privileges(name):
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", [name for name in SERVICES if name != "migrate"])
def test_every_lasting_service_says_how_it_is(name):
    assert SERVICES[name]["healthcheck"]["test"]
    assert SERVICES[name]["restart"] == "unless-stopped"


def test_workers_can_be_multiplied():
    worker = SERVICES["worker"]
    assert "container_name" not in worker
    assert "ports" not in worker


@pytest.mark.parametrize("name", OURS)
def test_only_real_settings_are_set(name):
    ours = {setting for setting in OURS[name]["environment"] if setting.startswith(PREFIX)}
    assert ours <= SETTINGS
    assert ours == SETTINGS, "Compose passes every setting on"


@pytest.mark.parametrize("name", OURS)
def test_commands_exist_and_take_these_arguments(name):
    from typer.main import get_command

    program, *arguments = OURS[name]["command"]
    assert program == "newsletter"
    command = get_command(app)
    while hasattr(command, "commands"):
        word = arguments.pop(0)
        assert word in command.commands, f"there is no command {word}"
        command = command.commands[word]
    command.make_context(word, arguments)  # raises for a wrong option


def test_the_database_is_migrated_before_anything_uses_it():
    assert SERVICES["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    for name in ("web", "worker", "beat", "bounces"):
        assert SERVICES[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}


def test_ports_are_open_on_this_machine_only():
    for service in SERVICES.values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_volumes_are_declared():
    used = {volume.partition(":")[0] for one in SERVICES.values() for volume in one.get("volumes", [])}
    assert used == set(COMPOSE["volumes"])


def test_a_worker_has_time_to_finish_what_is_on_the_wire():
    assert int(SERVICES["worker"]["stop_grace_period"].removesuffix("s")) > 30


def test_the_image_is_built_of_what_is_there():
    recipe = SERVICES["web"]["build"]["dockerfile_inline"]
    copied = [word for line in re.findall(r"^COPY (.+)$", recipe, re.MULTILINE) for word in line.split()[:-1]]
    assert "requirements.lock" in copied
    assert [name for name in copied if not (TOP / name).exists()] == []
    assert "--require-hashes" in recipe
    assert re.search(r"^FROM python:3\.\d+\.\d+-slim-\w+$", recipe, re.MULTILINE)
    assert re.search(r"^USER \d+:\d+$", recipe, re.MULTILINE)


def test_every_variable_is_in_the_example_or_has_a_default():
    text = (TOP / "docker-compose.yml").read_text()
    needed = {name for name, rest in re.findall(r"\$\{(\w+)(:[-?][^}]*)?\}", text) if not rest.startswith(":-")}
    assert needed == {"POSTGRES_PASSWORD", "NEWSLETTER_SECRET_KEY"}
    assert all(re.search(rf"^{name}=", EXAMPLE, re.MULTILINE) for name in needed)


def test_the_example_has_every_setting_once_with_its_default_and_a_comment():
    lines = EXAMPLE.splitlines()
    set_lines = {line.partition("=")[0]: index for index, line in enumerate(lines) if re.match(r"\w+=", line)}
    assert set(set_lines) == SETTINGS | {"POSTGRES_PASSWORD"}
    for setting in SETTINGS:
        index = set_lines[setting]
        assert lines[index - 1].startswith("# "), f"{setting} has no comment"
        default = Settings.model_fields[setting.removeprefix(PREFIX).lower()].default
        assert lines[index].partition("=")[2] == ("" if default in ((), None) else str(default))


def test_the_example_names_the_settings_that_may_lie_in_a_file():
    head = EXAMPLE.split("# ---")[0]
    assert all(name in head for name in SECRETS)
