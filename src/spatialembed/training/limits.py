"""What a GPU may lack, told in a sentence: memory, and operations that give the same bits again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from spatialembed.errors import UserError
from spatialembed.inference.torch_network import pick_device
from spatialembed.training.config import TrainConfig


@contextmanager
def steps_within_memory(config: TrainConfig) -> Iterator[None]:
    """Say what to lower where the memory of a GPU runs out.

    Raises:
        UserError: it did.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        scheduled = config.scheduled()
        stages = [f"{s.batch_size} crops of {s.crop_size}²" for s in scheduled]
        lower = "another --out with a recipe of smaller batch_size or crop_size"
        if len({s.batch_size for s in scheduled}) == 1:  # which --batch makes of all stages
            lower += ", or a smaller --batch"
        lower += "" if config.precision == "bf16" else ", or --precision bf16"
        raise UserError(
            f"the GPU's memory ran out (steps of {', then '.join(stages)} pixels): start again in "
            f"{lower}; the last checkpoint is kept, and --resume goes on from it where more memory "
            "is free"
        ) from error


@contextmanager
def validation_within_memory(name: str) -> Iterator[None]:
    """Say what to do where a validation image of that name does not fit on a GPU.

    Raises:
        UserError: it does not.
    """
    try:
        yield
    except UserError as error:
        if not isinstance(error.__cause__, torch.OutOfMemoryError):
            raise
        raise UserError(
            f"the GPU's memory ran out over {name}, an image to validate on: start again in "
            "another --out with smaller images to validate on, or --precision bf16; the last "
            "checkpoint is kept, and --resume goes on from it where more memory is free"
        ) from error


@contextmanager
def deterministic(config: TrainConfig) -> Iterator[None]:
    """Let a GPU give the same bits for the same steps, if the run asks for that.

    Raises:
        UserError: an operation can not.
    """
    if not config.deterministic or pick_device(config.device).type != "cuda":
        yield
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # torch asks for it
    before = torch.get_deterministic_debug_mode()
    torch.set_deterministic_debug_mode("error")
    try:
        yield
    except RuntimeError as error:
        if "deterministic" not in str(error):
            raise
        raise UserError(f"leave out --deterministic: {str(error).splitlines()[0]}") from error
    finally:
        torch.set_deterministic_debug_mode(before)
