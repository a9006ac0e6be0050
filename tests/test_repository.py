"""Rules that the repository as a whole keeps."""

import ast
import re
import subprocess
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

import chs_ml

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted((ROOT / "chs_ml").rglob("*.py"))
SOURCES = [*MODULES, *sorted((ROOT / "tests").rglob("*.py"))]

# put together here, so that this file does not hold what it looks for
MACHINE_PATH = re.compile(
    r"(?<![\w.\-/*])/(?:" + "|".join(["work", "root", "home", "Users", "tmp"]) + r")/\w"
)
REGISTRY = re.compile(
    "|".join(["pypi" + r"\.", "pythonho" + r"sted\.", "npmjs" + r"\.", "--index" + "-url", "--hash" + "="])
)
UNFINISHED = re.compile(r"\b(?:" + "|".join(["TO" + "DO", "FIX" + "ME", "X" + "XX"]) + r")\b")


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.fixture(scope="module")
def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def pins() -> list[str]:
    return (ROOT / "requirements" / "dev.txt").read_text(encoding="utf-8").splitlines()


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    """Text of each file that is, or would be, in the repository."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        pytest.skip(f"not a git checkout: {run.stderr.strip()}")
    found = {}
    for name in filter(None, run.stdout.split("\0")):
        content = (ROOT / name).read_bytes() if (ROOT / name).is_file() else b""
        if b"\0" not in content:
            found[name] = content.decode("utf-8", errors="replace")
    return found


def lines_with(pattern: re.Pattern[str], texts: dict[str, str]) -> list[str]:
    return [
        f"{name}:{number}: {line.strip()[:100]}"
        for name, text in texts.items()
        if pattern.search(text)
        for number, line in enumerate(text.splitlines(), start=1)
        if pattern.search(line)
    ]


def test_no_path_of_a_machine(texts: dict[str, str]) -> None:
    assert lines_with(MACHINE_PATH, texts) == []


def test_no_address_of_a_registry(texts: dict[str, str]) -> None:
    assert lines_with(REGISTRY, texts) == []


def test_nothing_is_left_unfinished() -> None:
    assert lines_with(UNFINISHED, {relative(p): p.read_text(encoding="utf-8") for p in SOURCES}) == []


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_modules_stay_small(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_functions_stay_small(path: Path) -> None:
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, functions):
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            length = int(body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
            assert length <= 50, f"{node.name} has {length} lines"


def test_the_version_has_one_source() -> None:
    assert version("chs-ml") == chs_ml.__version__


def test_the_changelog_is_open_and_explains_its_flag() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## \[(.+?)\]", text, flags=re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert "***Scores change***" in text


def test_every_dependency_has_a_lower_bound_and_a_pin(project: dict, pins: list[str]) -> None:
    for dependency in project["dependencies"]:
        name, bound = re.match(r"([a-z0-9\-]+)(.*)", dependency).groups()
        assert ">=" in bound, dependency
        assert any(line.startswith(f"{name}==") for line in pins), f"{name} is not pinned: make lock"


def test_pins_name_versions_only(pins: list[str]) -> None:
    for line in pins:
        assert re.fullmatch(r"[a-z0-9.\-]+==[\w.]+(?: ; .+)?", line), line
        assert "://" not in line
