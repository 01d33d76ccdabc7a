"""Imports point down only, and the light parts of the package load no torch."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import spatialembed

SOURCE = Path(spatialembed.__file__).parent

# Lowest first. Names on one line are siblings: they do not import each other.
LEVELS = [
    {"", "errors", "console"},
    {"files", "embedding", "instances", "lovasz"},
    {"kernels", "metrics", "models", "data.images"},
    {"terms", "pictures", "data.sample", "data.sample_files"},
    {"loss", "clustering", "refinement", "data.large_sample", "data.parts", "data.volume_objects"},
    {"data.data_set"},
    {"data.annotations", "data.index_cache", "data.mixture", "data.targets"},
    {"data.layouts", "data.index"},
    {"data.open", "data.crops"},
    {"data.held_out"},
    {"data.checks"},
    {"data", "formats"},
    {"inference", "convert", "tracking"},
    {"training", "export", "large"},
    {"report", "app", "plugin"},
    {"demo"},
    {"cli"},
    {"__main__"},
]
LEVEL_OF = {part: level for level, parts in enumerate(LEVELS) for part in parts}


def part_of(module: str) -> str:
    """The part of the house a module below ``spatialembed`` is in: its longest name in LEVELS."""
    names = module.split(".")
    for length in range(len(names), 0, -1):
        if (name := ".".join(names[:length])) in LEVEL_OF:
            return name
    raise AssertionError(f"say in tests/test_arrows.py which level '{module}' is on")


def imports(source: str, module: str, is_package: bool = False) -> set[str]:
    """Modules below ``spatialembed`` that the source of ``module`` imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = ["spatialembed", *module.split(".")]
                parents = parents[: len(parents) - node.level + is_package]
                base = ".".join([*parents, base] if base else parents)
            names = [f"{base}.{alias.name}" for alias in node.names]
        else:
            continue
        found |= {name for name in names if name.split(".")[0] == "spatialembed"}
    return {name.removeprefix("spatialembed").removeprefix(".") for name in found}


def points_down(importer: str, imported: str) -> bool:
    source = part_of(importer)
    # `from spatialembed import __version__` is the package itself, at the bottom.
    root = "." not in imported and imported.startswith("__") and imported != "__main__"
    target = "" if root or not imported else part_of(imported)
    return source == target or LEVEL_OF[target] < LEVEL_OF[source]


FILES = sorted(path for path in SOURCE.rglob("*.py") if path != SOURCE / "__init__.py")


def is_package(path: Path) -> bool:
    return path.name == "__init__.py"


def module_of(path: Path) -> str:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if is_package(path) else parts)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_point_down(path: Path) -> None:
    module = module_of(path)
    upward = {
        name
        for name in imports(path.read_text(encoding="utf-8"), module, is_package(path))
        if not points_down(module, name)
    }
    assert not upward, f"{module} imports upwards or sideways: {sorted(upward)}"


def test_no_file_imports_itself_by_way_of_others() -> None:
    modules = {module_of(path): path for path in FILES}
    graph = {
        module: {
            name if name in modules else name.rpartition(".")[0]
            for name in imports(path.read_text(encoding="utf-8"), module, is_package(path))
        }
        - {module}
        for module, path in modules.items()
    }
    list(TopologicalSorter(graph).static_order())  # raises CycleError, which names them


def test_the_paper_alone_is_at_the_top() -> None:
    top = {path.stem for path in SOURCE.glob("*.py")} - {"__init__", "__main__"}
    assert top == {"embedding", "lovasz", "loss", "clustering", "refinement", "instances"}


@pytest.mark.parametrize(
    ("importer", "imported", "down"),
    [
        ("loss", "lovasz", True),
        ("loss", "clustering.cluster", False),
        ("data.crops.cropper", "data.sample.Sample", True),
        ("data.crops.cropper", "report.page", False),
        ("training.loop", "inference.predictor", True),
        ("inference.predictor", "training.loop", False),
        ("training.loop", "pictures.overlay", True),
        ("training.loop", "report.page", False),
        ("embedding", "errors", True),
        ("models.checkpoint", "__version__", True),
    ],
)
def test_arrow_of(importer: str, imported: str, down: bool) -> None:
    assert points_down(importer, imported) is down


def test_imports_are_seen_wherever_they_stand() -> None:
    source = (
        "import spatialembed.loss\n"
        "def f():\n    from ..training import loop\n    from .sample import Sample\n"
        "if TYPE_CHECKING:\n    from spatialembed.cli import main\n"
    )
    assert imports(source, "data.crops") == {
        "loss",
        "training.loop",
        "data.sample.Sample",
        "cli.main",
    }


LIGHT = [
    "spatialembed",
    "spatialembed.clustering",
    "spatialembed.instances",
    "spatialembed.formats.label_images",
    "spatialembed.embedding",
    "spatialembed.models.normalization",
    "spatialembed.data",
    "spatialembed.data.checks.check",
    "spatialembed.demo.scenes",
    "spatialembed.demo.sequences",
    "spatialembed.demo.volumes",
    "spatialembed.metrics",
    "spatialembed.pictures",
    "spatialembed.report.page",
    "spatialembed.tracking.frames",
    "spatialembed.training.config",
    "spatialembed.cli.main",
]


def test_none_of_them_loads_torch() -> None:
    """In one process: what the first that does is called is all there is to know."""
    code = (
        "import importlib, sys\nfor module in sys.argv[1:]:\n    importlib.import_module(module)\n"
    )
    code += "    if 'torch' in sys.modules:\n        sys.exit(print(module))"
    assert run_python("-c", code, *LIGHT) == ""


def test_predict_starts_without_torch_and_most_of_scipy(tmp_path) -> None:
    Image.fromarray(np.zeros((40, 40), np.uint8)).save(tmp_path / "one.png")
    code = (
        "import sys\nfrom spatialembed.cli.main import main\n"
        f"main(['predict', 'nuclei', {str(tmp_path / 'one.png')!r}, '--out', {str(tmp_path)!r}])\n"
        "print([name for name in ('torch', 'scipy.ndimage') if name in sys.modules])"
    )
    assert run_python("-c", code).splitlines()[-1] == "[]"


def test_help_loads_no_torch() -> None:
    code = (
        "import sys\nfrom spatialembed.cli.main import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print('torch' in sys.modules)"
    )
    text = run_python("-c", code)
    assert text.splitlines()[-1] == "False"
    assert "predict" in text


def run_python(*arguments: str) -> str:
    return subprocess.run(
        [sys.executable, *arguments], check=True, capture_output=True, text=True
    ).stdout
