"""Kernels are those of the sources that are there, whatever was compiled before."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import spatialembed
from spatialembed.kernels.compiling import KEPT

SOURCE = Path(spatialembed.__file__).parent
REACH = """
import numpy as np
from spatialembed.kernels.grid import Grid
from spatialembed.kernels.reach import Margin, block_in_reach
block, one = np.zeros((3, 1), np.int64), np.ones(1, np.float32)
grid = Grid(np.zeros(1), np.ones(1), np.array([10]))
block_in_reach(Margin(5 * one, one, np.float32(99**2)), grid, block)
print(block[1, 0])
"""
"""A kernel that calls one of another file, grid.py, for the last cell of ten in reach."""

RIGHT = "9"


@pytest.fixture
def package(tmp_path) -> Path:
    """A copy of the package that nothing was compiled in."""
    copy = tmp_path / "copy" / "spatialembed"
    shutil.copytree(SOURCE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def start(package: Path, code: str, **variables: object) -> subprocess.Popen:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA_")}
    environment |= {"PYTHONPATH": str(package.parent), "XDG_CACHE_HOME": str(package.parent / "u")}
    environment |= {name: str(value) for name, value in variables.items()}
    return subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True
    )


def run(package: Path, code: str = REACH, **variables: object) -> str:
    process = start(package, code, **variables)
    said = process.communicate()[0].strip()
    assert process.returncode == 0
    return said


def kept(place: Path) -> list[Path]:
    """Files of compiled kernels."""
    return sorted(place.rglob("*.nbc"))


def test_an_edited_kernel_is_compiled_anew_in_those_that_call_it(package) -> None:
    both = [start(package, REACH), start(package, REACH)]  # at once, with nothing compiled yet
    assert [process.communicate()[0].strip() for process in both] == [RIGHT, RIGHT]
    first = kept(package / "kernels" / "__pycache__")
    assert first
    times = [path.stat().st_mtime_ns for path in first]
    assert run(package) == RIGHT
    assert kept(package / "kernels" / "__pycache__") == first
    assert [path.stat().st_mtime_ns for path in first] == times  # taken as it was
    before = (package / "kernels" / "grid.py").read_text()
    edited = before.replace("counts[d] - 1.0", "counts[d] - 3.0")
    assert edited != before
    (package / "kernels" / "grid.py").write_text(edited)
    assert run(package) == "7"
    (package / "kernels" / "grid.py").write_text(before)
    assert run(package) == RIGHT
    assert set(first) <= set(kept(package / "kernels" / "__pycache__"))


def test_kernels_are_kept_where_the_user_says(package, tmp_path) -> None:
    code = f"{REACH}\nimport numba; print(numba.config.CACHE_DIR)"
    said = run(package, code, NUMBA_CACHE_DIR=tmp_path / "mine").split()
    assert said == [RIGHT, str(tmp_path / "mine")]  # other libraries' as before
    assert kept(tmp_path / "mine")
    assert not kept(package)


def test_a_package_that_cannot_be_written_to_keeps_them_in_the_users_cache(package) -> None:
    (package / "kernels" / "__pycache__").write_text("no folder")
    assert run(package) == RIGHT
    assert kept(package.parent / "u" / "spatialembed")
    shutil.rmtree(package.parent / "u")
    (package.parent / "u").write_text("no folder either")
    assert run(package) == RIGHT  # compiled each time


def test_folders_of_former_sources_do_not_pile_up(package) -> None:
    where = "from spatialembed.kernels.compiling import cache_folder; print(cache_folder())"
    own = Path(run(package, where))
    for age in range(KEPT + 3):
        former = own.with_name(f"{own.name[:17]}former{age}")
        former.mkdir()
        os.utime(former, (age, age))
    (package / "kernels" / "grid.py").write_text(
        (package / "kernels" / "grid.py").read_text() + "# another\n"
    )
    now = Path(run(package, where))
    left = {folder.name[17:] for folder in own.parent.glob("kernels-*")}
    latest = {f"former{age}" for age in range(4, KEPT + 3)}
    assert left == {own.name[17:], now.name[17:], *latest}


FILES = {path: path.read_text(encoding="utf-8") for path in SOURCE.rglob("*.py")}
WITH_KERNELS = [path for path, text in FILES.items() if "@kernel(" in text]


def test_every_kernel_is_made_by_the_decorator() -> None:
    assert len(WITH_KERNELS) > 8
    for path, text in FILES.items():
        assert "njit" not in text or path.name == "compiling.py", path


@pytest.mark.parametrize("path", WITH_KERNELS, ids=lambda path: path.stem)
def test_kernels_use_nothing_of_files_without(path) -> None:
    """An edit of these would not be seen: what kernels call and read must be in files with some."""
    tree = ast.parse(FILES[path])
    foreign = {
        alias.asname or alias.name: SOURCE.joinpath(*node.module.split(".")[1:]).with_suffix(".py")
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("spatialembed.")
        for alias in node.names
    }
    for function in tree.body:
        if isinstance(function, ast.FunctionDef) and any(
            isinstance(d, ast.Call) and getattr(d.func, "id", "") == "kernel"
            for d in function.decorator_list
        ):
            for node in (n for line in function.body for n in ast.walk(line)):
                if isinstance(node, ast.Name) and node.id in foreign:
                    assert foreign[node.id] in WITH_KERNELS, (function.name, node.id)
