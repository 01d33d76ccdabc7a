"""Instance segmentation by spatial embeddings with a learned clustering bandwidth.

Neven, De Brabandere, Proesmans, Van Gool: *Instance Segmentation by Jointly Optimizing
Spatial Embeddings and Clustering Bandwidth*, CVPR 2019 (arXiv 1906.11109).

Importing the package is quick: a public name loads what it needs when it is first used.
"""

from importlib import import_module
from typing import Any

_PUBLIC = {
    "load": "spatialembed.inference.loading",
    "Model": "spatialembed.inference.predictor",
    "SpatialEmbeddingLoss": "spatialembed.loss",
    "cluster": "spatialembed.clustering",
    "Instances": "spatialembed.instances",
    "open_data": "spatialembed.data",
    "train": "spatialembed.training",
    "evaluate": "spatialembed.inference.evaluate",
    "track": "spatialembed.tracking",
    "UserError": "spatialembed.errors",
}

__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return _version()
    if name not in _PUBLIC:
        raise AttributeError(f"module 'spatialembed' has no attribute '{name}'")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)


def _version() -> str:
    """Of the tag that was built or the commit that was installed; of sources on a path, none."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("spatialembed")
    except PackageNotFoundError:
        return "not installed"
