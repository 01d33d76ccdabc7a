#!/bin/sh
# geff 1.3.1.1.3 wants numcodecs<0.16 of older pips, and takes any of newer ones.
#
# Guessed: a bound for Python 3.10 and 3.11. Seen: its marker is python_version > '3.10,<=3.11',
# which is no version. Up to packaging 23 (in pip 23.2, which comes with Python 3.11) texts are
# compared, so that it holds on 3.11 to 3.13, and beside numcodecs 0.16 pip goes back to geff 1.1.5
# without a word; later ones never have it hold. Ends with an error if that has changed.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" download --quiet --no-deps --dest "$folder" geff==1.3.1.1.3
for packaging in 23.1 26.3; do
  "$folder/venv/bin/pip" install --quiet packaging==$packaging
  "$folder/venv/bin/python" - "$folder" $packaging <<'PYTHON'
import sys
import zipfile
from pathlib import Path

from packaging.requirements import Requirement

folder, version = sys.argv[1:]
[wheel] = Path(folder).glob("geff-*.whl")
with zipfile.ZipFile(wheel) as file:
    [name] = [name for name in file.namelist() if name.endswith("METADATA")]
    lines = file.read(name).decode().splitlines()
wanted = [line.partition(": ")[2] for line in lines if line.startswith("Requires-Dist: numcodecs<")]
pythons = ("3.11", "3.12", "3.13")
markers = [Requirement(text).marker for text in wanted]
held = [p for p in pythons if any(m.evaluate({"python_version": p}) for m in markers)]
print("packaging", version, wanted, "holds on", held)
sys.exit(held != (list(pythons) if version == "23.1" else []))
PYTHON
done
# seen: packaging 23.1 ["numcodecs<0.16,>=0.13; python_version > '3.10,<=3.11'"] holds on ['3.11', '3.12', '3.13']
# seen: packaging 26.3 ["numcodecs<0.16,>=0.13; python_version > '3.10,<=3.11'"] holds on []
