"""stub"""

from pathlib import Path


def recognize(root: Path) -> bool:
    return False
    return False
