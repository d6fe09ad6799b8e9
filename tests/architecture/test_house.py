"""The rules of the house that no linter knows: sizes, promises, READMEs, names."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "newsletter"
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if "versions" not in path.parts)
ROOMS = sorted(path.parent for path in PACKAGE.glob("*/__init__.py"))
LONGEST_MODULE = 400
LONG_FUNCTION_P90 = 30


def _name(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_a_module_is_short_and_opens_with_its_promise(path):
    source = path.read_text()
    assert len(source.splitlines()) <= LONGEST_MODULE
    docstring = ast.get_docstring(ast.parse(source))
    assert docstring, "a module opens with a paragraph: its job, what it promises, what it does not"
    if path.name != "__init__.py" and len(source.splitlines()) > 60:
        assert len(docstring.split()) >= 12, "the opening paragraph is too short to promise anything"


def test_functions_stay_short():
    lengths = sorted(
        node.end_lineno - node.lineno + 1
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    assert lengths[int(len(lengths) * 0.9)] <= LONG_FUNCTION_P90


@pytest.mark.parametrize("room", ROOMS, ids=_name)
def test_a_room_has_a_readme_that_says_its_job(room):
    text = (room / "README.md").read_text()
    assert text.startswith("# ")
    assert 5 <= len(text.splitlines()) <= 40
    assert "table" in text.casefold(), "a README names the tables the room owns, or says that it owns none"


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_no_module_is_a_drawer(path):
    assert path.stem not in {
        "service",
        "services",
        "utils",
        "util",
        "helpers",
        "manager",
        "common",
        "misc",
        "base_utils",
    }


def test_a_table_is_mapped_only_in_its_rooms_models():
    for path in MODULES:
        if "__tablename__" in path.read_text():
            assert path.name == "models.py", f"{_name(path)} maps a table"


def test_only_config_reads_the_environment_and_only_clock_reads_the_wall_clock():
    # Those who start processes hand their own environment on; that is no reading of settings.
    may_pass_environment_on = {"newsletter/config.py", "newsletter/cli/supervise.py"}
    for path in MODULES:
        source = path.read_text()
        if re.search(r"\bos\.environ\b", source):
            assert _name(path) in may_pass_environment_on | {
                name for name in map(_name, MODULES) if name.startswith("newsletter/cli/")
            }, f"{_name(path)} reads the environment; newsletter.config does that"
        if re.search(r"\bdatetime\.now\(|\bdate\.today\(|\btime\.time\(", source):
            assert _name(path) == "newsletter/kit/clock.py", f"{_name(path)} reads the wall clock; kit.clock does that"


def test_the_top_level_holds_only_what_a_newcomer_expects():
    import subprocess

    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    top = {name.split("/")[0] for name in tracked}
    assert top <= {
        "pyproject.toml", "newsletter", "templates", "worker.py", "tests", "docker-compose.yml",
        "README.md", "CHANGELOG.md", "LICENSE", "Makefile", "requirements.lock", "requirements-dev.lock",
        "docs", "bench", ".ci", ".env.example", ".gitignore", ".pre-commit-config.yaml",
    }  # fmt: skip
    assert (ROOT / "worker.py").is_file()


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_a_lock_pins_with_hashes_and_names_no_address(name):
    text = (ROOT / name).read_text()
    assert "://" not in text
    blocks = re.split(r"\n(?=[a-z0-9])", text.strip())
    for block in blocks:
        assert re.match(r"[a-z0-9._-]+==", block), block[:60]
        assert "--hash=sha256:" in block, block[:60]


def test_every_ignored_lint_rule_gives_its_reason():
    text = (ROOT / "pyproject.toml").read_text()
    ruff = text[text.index("[tool.ruff.lint]") : text.index("[tool.ruff.lint.flake8")]
    for line in ruff.splitlines():
        if re.match(r'\s+"[A-Z]+[0-9]*",', line):
            assert re.search(r"\",\s+# \S+", line), line
    for path in MODULES:
        for line in path.read_text().splitlines():
            if "# noqa" in line:
                assert re.search(r"# noqa: [A-Z0-9, ]+ - \S+", line), f"{_name(path)}: {line.strip()}"
