"""The wheel, installed by itself, runs away from the checkout and has its recipes inside."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]


def run_python(*arguments: object, cwd: Path, path: str = "") -> str:
    command = [sys.executable, *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A folder with the built wheel unpacked as pip installs it."""
    pytest.importorskip("hatch_vcs")
    if not (ROOT / "pyproject.toml").is_file():
        pytest.skip("the tests are not in a checkout, so there is nothing to build")
    folder = tmp_path_factory.mktemp("wheel")
    build = ["-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT]
    run_python(*build, cwd=folder)
    [wheel] = folder.glob("spatialembed-*.whl")
    target = folder / "site"
    install = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    run_python(*install, "--target", target, wheel, cwd=folder)
    return target


def outside(installed: Path, code: str) -> str:
    """Run code with the installed wheel first and this environment's libraries behind it."""
    return run_python("-c", code, cwd=installed.parent, path=str(installed))


def test_it_is_the_wheel_that_is_imported(installed) -> None:
    where = outside(installed, "import spatialembed; print(spatialembed.__file__)")
    assert Path(where.strip()).is_relative_to(installed)


def test_it_knows_its_version_and_is_no_larger_than_its_models_make_it(installed) -> None:
    version = outside(installed, "import spatialembed; print(spatialembed.__version__)").strip()
    [wheel] = installed.parent.glob("*.whl")
    assert wheel.name.startswith(f"spatialembed-{version}-")
    assert wheel.stat().st_size <= 40_000_000


@pytest.mark.parametrize(("described", "version"), [("v1.2.3", "1.2.3"), (None, "0.0.0")])
def test_sources_without_git_are_built_too(tmp_path, described, version) -> None:
    pytest.importorskip("hatch_vcs")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    if described:  # as an archive of git says it
        (tmp_path / ".git_archival.txt").write_text(f"node: 0\ndescribe-name: {described}\n")
    assert run_python("-m", "hatchling", "version", cwd=tmp_path).strip() == version


CONDA = {"torch": "pytorch", "lightning-fabric": "pytorch-lightning"}
"""Names of conda-forge that are others; the second holds the module of the first."""


def test_the_recipe_for_conda_forge_needs_what_the_package_needs() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    recipe = yaml.safe_load((ROOT / "conda" / "recipe.yaml").read_text(encoding="utf-8"))
    needs = dict(
        re.match(r"([\w-]+)[^>]*(>=[\d.]+)", one).groups() for one in project["dependencies"]
    )
    there = dict(f"{one} ".split(" ", 1) for one in recipe["requirements"]["run"])
    for name, version in needs.items():
        assert there[CONDA.get(name, name)].strip() == version, name
    assert project["requires-python"] == f">={recipe['context']['python_min']}"


def test_recipes_are_inside(installed) -> None:
    names = outside(
        installed,
        "from spatialembed.cli.options import read_recipe\n"
        "from spatialembed.cli.recipe import recipes\n"
        "for path in recipes():\n    print(path, read_recipe(path.stem, 'data').n_sigma)",
    )
    inside = [Path(line.split(" ")[0]) for line in names.splitlines()]
    assert all(path.parent == installed / "spatialembed" / "recipes" for path in inside)
    assert {path.name for path in inside} == {path.name for path in ROOT.glob("recipes/*.yaml")}


def test_shipped_models_are_inside(installed) -> None:
    code = "import spatialembed as se; print(se.load('nuclei', 'cpu').spec.trained_on)"
    assert outside(installed, code).strip()
    assert (installed / "spatialembed" / "shipped" / "nuclei.md").is_file()


def test_files_that_are_not_code_are_inside(installed) -> None:
    source = ROOT / "src" / "spatialembed"
    for path in source.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            assert (installed / "spatialembed" / path.relative_to(source)).is_file(), path
    assert list(installed.glob("spatialembed-*.dist-info/licenses/LICENSE"))


def test_command_runs(installed) -> None:
    assert (installed / "bin" / "spatialembed").is_file()
    code = "import sys; from spatialembed.cli.main import main; sys.exit(main(['--help']))"
    assert "predict" in outside(installed, code)
