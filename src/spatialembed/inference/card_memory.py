"""What is said where an image is too large for the memory of a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from spatialembed.errors import UserError


@contextmanager
def image_within_memory(name: str) -> Iterator[None]:
    """Say what to do about an image of that name that does not fit on a card.

    Raises:
        UserError: what is done within took more memory than a GPU has.
    """
    try:
        yield
    except RuntimeError as error:
        if type(error).__name__ != "OutOfMemoryError":  # torch's, which need not be loaded
            raise
        raise UserError(
            f"{name} is too large for what is free of the GPU's memory: add --precision bf16, "
            "predict it in tiles with --out labels.zarr (from OME-Zarr or tiled TIFF), or add "
            "--device cpu"
        ) from error
