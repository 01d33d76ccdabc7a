"""The part of a raw output that clustering looks at, fetched from where the output lies.

A card holds 42 MB of raw output for a street scene, of which a few percent may be foreground. Only
the raw numbers of these pixels cross to the host, and all arithmetic is done there: what is found
equals what is found in a copy of the whole output to the last bit.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from spatialembed.embedding import Array


def is_elsewhere(output: Array) -> bool:
    """Whether it is a tensor that does not lie on the host."""
    return not isinstance(output, np.ndarray) and output.device.type != "cpu"


def pack(output: Any, first_seed: int, lowest: float) -> tuple[np.ndarray, np.ndarray]:
    """Pixels of a tensor whose seed logit of some class is at least ``lowest``, and their output.

    Returns:
        (M,) int32 flat pixels, increasing, and (C, M) float32, the seed logits NaN of a pixel
        whose output is not finite in every channel.
    """
    import torch

    with torch.inference_mode():
        flat = output.detach().reshape(len(output), math.prod(output.shape[1:]))
        # Compared in float32, as on the host: in bf16 the bound itself would be rounded.
        bright = flat[first_seed:].float() >= lowest
        index = (bright[0] if len(bright) == 1 else bright.any(0)).nonzero().squeeze(1)
        # One array, and so one transfer. Pixels travel as the bits of float32 numbers.
        size = len(flat) + 1, len(index)
        packed = torch.empty(size, dtype=torch.float32, device=flat.device)
        values = packed[1:].copy_(flat.index_select(1, index))
        values[first_seed:] += (values * 0).sum(0)  # NaN where any channel is not finite
        packed[0].view(torch.int32).copy_(index)
        here = _to_host(packed).numpy()
    return here[0].view(np.int32), here[1:]


def _to_host(tensor: Any) -> Any:
    """A copy on the host: through page-locked memory, which torch keeps and gives out again."""
    import torch

    if tensor.device.type != "cuda":
        return tensor.cpu()
    here = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    here.copy_(tensor, non_blocking=True)
    torch.cuda.current_stream(tensor.device).synchronize()
    return here
