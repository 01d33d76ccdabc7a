"""Two scorings of the same images compared image by image, which tells smaller differences apart.

    python benchmarks/paired.py a/evaluation.json b/evaluation.json

The files are what ``spatialembed evaluate RUN DATA --split val --out a`` writes.
"""

import argparse
import json
from pathlib import Path

import numpy as np

KEYS = {"ap50": "AP at IoU .50", "ap": "mean AP"}


def paired(first: Path, second: Path, key: str) -> tuple[float, float, float]:
    """Mean of ``first`` over images, its difference to ``second``, and that one's standard error.

    Images are matched by name; neither file may have one that the other lacks.
    """
    a, b = (
        {image["name"]: image[key] for image in json.loads(file.read_text())["images"]}
        for file in (first, second)
    )
    if a.keys() != b.keys():
        raise SystemExit(f"{first} and {second} are of different images")
    difference = np.array([a[name] - b[name] for name in a])
    error = difference.std(ddof=1) / len(difference) ** 0.5
    return float(np.mean(list(a.values()))), float(difference.mean()), float(error)


def main() -> None:
    """Print the comparison."""
    parser = argparse.ArgumentParser()
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    given = parser.parse_args()
    for key, name in KEYS.items():
        mean, difference, error = paired(given.first, given.second, key)
        print(f"{name}: {mean:.3f}, {difference:+.4f} ± {error:.4f} against {given.second}")


if __name__ == "__main__":
    main()
