"""The wheel as a user gets it: installed into an empty environment of each Python, and run.

    python benchmarks/fresh_install.py

Builds it, looks into it, installs it with what it needs and no extra, and runs two commands on a
generated image. Of Pythons that are not on the machine only the wheels are looked up. Where an
index has torch with CUDA alone, CUDA's packages (gigabytes) stay away: torch cannot be imported
then, nor is it here.
"""

import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

ROOT = Path(__file__).parents[1]
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
CUDA = re.compile(r"nvidia-|cuda-|triton$")
MEGABYTES = 40
DISCS = ((30, 40), (90, 50), (60, 100))
"""Centers of what the image shows."""


def run(*command: object, cwd: Path | None = None) -> str:
    """What a command prints, run as by a user whose environment names no checkout."""
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run([*map(str, command)], cwd=cwd, env=clean, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}:\n{done.stdout}{done.stderr}")
    return done.stdout


def built(folder: Path) -> Path:
    """The wheel, which holds the package, every recipe and model, and nothing else."""
    run(sys.executable, "-m", "build", "--wheel", "--outdir", folder, ROOT)
    [wheel] = folder.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    data = [path for kind in ("recipes", "shipped") for path in (ROOT / kind).iterdir()]
    missing = {f"spatialembed/{path.relative_to(ROOT)}" for path in data} - {*names}
    others = [name for name in names if not re.match(r"spatialembed(-[^/]+\.dist-info)?/", name)]
    tests = [name for name in names if re.search(r"/(test_|conftest|tests/)", name)]
    megabytes = wheel.stat().st_size / 1e6
    print(f"{wheel.name}: {megabytes:.1f} MB, {len(names)} files", flush=True)
    if missing or others or tests or megabytes > MEGABYTES:
        raise SystemExit(f"missing {missing}, not of the package {others}, tests {tests}")
    return wheel


def python(version: str) -> str | None:
    """An interpreter of that version, on the path or of pyenv, which runs."""
    name = f"python{version}"
    roots = glob.glob(os.path.expanduser(f"~/.pyenv/versions/{version}*/bin/{name}"))
    for path in filter(None, (shutil.which(name), *roots)):
        if subprocess.run([path, "-c", "import venv"], capture_output=True).returncode == 0:
            return path
    return None


def install(interpreter: str, wheel: Path, folder: Path) -> tuple[Path, str]:
    """The folder of its programs, and what was left away."""
    run(interpreter, "-m", "venv", folder)
    programs = folder / "bin"
    pip = programs / "python", "-m", "pip", "install", "--quiet", "-c", ROOT / "constraints.txt"
    run(*pip, "--upgrade", "pip")
    report = folder / "report.json"
    run(*pip, "--dry-run", "--report", report, wheel)
    found = [one["metadata"] for one in json.loads(report.read_text())["install"]]
    kept = [one for one in found if not CUDA.match(one["name"])]
    pins = [f"{one['name']}=={one['version']}" for one in kept if one["name"] != "spatialembed"]
    run(*pip, "--no-deps", wheel, *pins)
    if len(kept) < len(found):
        return programs, f"without {len(found) - len(kept)} packages of CUDA"
    run(programs / "python", "-m", "pip", "check")
    return programs, "all of its dependencies"


def looked_up(version: str, wheel: Path, folder: Path) -> str:
    """What an index has for a Python that is not here."""
    report = folder / "report.json"
    pip = sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"
    constraints = "-c", ROOT / "constraints.txt"
    where = "--only-binary", ":all:", "--python-version", version, "--target", folder / "none"
    run(*pip, *constraints, *where, "--report", report, wheel)
    return f"{len(json.loads(report.read_text())['install']) - 1} dependencies have wheels"


def try_out(programs: Path, folder: Path) -> str:
    """Two commands of a user, in an empty folder; what came out is looked at."""
    folder.mkdir()
    y, x = np.indices((128, 128))
    image = np.full((128, 128), 30, np.uint8)
    for cy, cx in DISCS:
        image[(y - cy) ** 2 + (x - cx) ** 2 < 110] = 200
    Image.fromarray(image).save(folder / "image.png")
    told = run(programs / "spatialembed", "models", cwd=folder)
    names = [line.partition(":")[0] for line in told.splitlines()]
    assert names == sorted(path.stem for path in ROOT.glob("shipped/*.safetensors")), told
    run(programs / "spatialembed", "predict", "nuclei", "image.png", "--out", "found", cwd=folder)
    [labels] = (folder / "found").glob("*.tif")
    found = tifffile.imread(labels)
    assert len({int(found[center]) for center in DISCS} - {0}) == found.max() == len(DISCS)
    assert 0.8 < (found > 0).sum() / (image > 30).sum() < 1.3
    assert (folder / "found" / "settings.json").is_file()
    return f"{len(names)} models, {found.max()} of {len(DISCS)} objects"


def main() -> None:
    """A line for the wheel and one for each Python."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wheel = built(folder)
        for version in PYTHONS:
            interpreter = python(version)
            if interpreter is None:
                there = looked_up(version, wheel, folder)
                print(f"Python {version}: not on this machine, not tried; {there}", flush=True)
                continue
            start = time.perf_counter()
            programs, how = install(interpreter, wheel, folder / version)
            seconds = time.perf_counter() - start
            told = run(programs / "spatialembed", "--version").strip()
            outcome = try_out(programs, folder / f"as_user_{version}")
            print(f"Python {version}: {told}, {how}, in {seconds:.0f} s; {outcome}", flush=True)
            shutil.rmtree(folder / version)


if __name__ == "__main__":
    main()
