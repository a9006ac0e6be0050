"""The public names, and what it costs to start."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import chs_ml as chs

HEAVY = {"lightgbm", "matplotlib", "mlflow", "numba", "pandas", "pyarrow", "scipy", "shap", "sklearn"}


def modules_after(statement: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after a statement."""
    report = "import json, sys; print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    run = subprocess.run(
        [sys.executable, "-c", f"{statement}\n{report}"], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    return set(json.loads(run.stdout))


@pytest.mark.parametrize("name", chs.__all__)
def test_each_public_name_loads_and_is_documented(name: str) -> None:
    value = getattr(chs, name)
    assert value.__doc__, f"{name} has no docstring"
    assert not value.__doc__.startswith(f"{name}("), f"{name} has only the docstring that dataclass makes"


def test_names_are_listed_once_and_shown() -> None:
    assert len(chs.__all__) == len(set(chs.__all__))
    assert set(chs.__all__) <= set(dir(chs))


def test_public_names_stand_in_corridor_order() -> None:
    stops = ["simulate", "load_recipe", "build_dataset", "train", "explain", "validate", "compare"]
    assert [name for name in chs.__all__ if name in stops] == stops


def test_what_type_checkers_see_is_what_is_loaded() -> None:
    tree = ast.parse(Path(str(chs.__file__)).read_text(encoding="utf-8"))
    imports = [
        n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and str(n.module).startswith("chs_ml.")
    ]
    seen = {str(n.module).removeprefix("chs_ml."): tuple(a.name for a in n.names) for n in imports}
    assert seen == chs._HOMES
    assert {name for names in seen.values() for name in names} == set(chs.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'chs_ml' has no attribute 'no_such_name'"):
        _ = chs.no_such_name


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert not (HEAVY | {"numpy", "pydantic", "rich", "typer"}) & modules_after("import chs_ml")


def test_starting_the_command_line_loads_nothing_heavy() -> None:
    assert not HEAVY & modules_after("import chs_ml.cli")


def test_the_installed_command_shows_its_help() -> None:
    command = Path(sys.executable).with_name("chs-ml")
    run = subprocess.run([command, "--help"], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "demo" in run.stdout
