"""A torch network on a card: pictures go there as they are stored, raw outputs stay there."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from spatialembed.embedding import Array
from spatialembed.inference.cuda_graphs import Graphs
from spatialembed.inference.tiles import memory, side_within
from spatialembed.inference.torch_network import Precision, checked
from spatialembed.models import forward_any_size

TYPES = {"float32": torch.float32, "bf16": torch.bfloat16}

BATCH_PIXELS = 2**23
"""Of images that are computed at a time; more keep a card no busier."""


class CudaNetwork:
    """A network whose weights are on a card, for prediction alone.

    In float32 convolutions multiply in TF32 where torch lets them, as it does by default. Kernels
    are chosen by shape and not by trial (``cudnn.benchmark``), so that what an image gives does not
    depend on the images before it. It works on a CPU too, for tests.

    Args:
        module: maps (B, C, H, W) float to (B, 2 + n_sigma + K, H, W) raw output. It becomes the
            network's own: its weights are cast, once.
        precision: "float32", or "bf16" for weights, images and outputs in bfloat16.

    Attributes:
        side: of the largest image that is taken at once, by the card's memory.

    Raises:
        UserError: another precision.
    """

    def __init__(self, module: nn.Module, precision: Precision = "float32") -> None:
        self.precision = checked(precision)
        self.type = TYPES[precision]
        self.module = module.eval().to(self.type)
        self.device = next(module.parameters()).device
        self.on_card = self.device.type == "cuda"
        held = (
            torch.cuda.get_device_properties(self.device).total_memory if self.on_card else memory()
        )
        self.side = side_within(held)
        self.graphs = Graphs(self._forward)
        self.graphs.records = self.on_card

    def __call__(self, image: Array) -> Float[Tensor, "M H W"]:
        """Raw output (2 + n_sigma + K, H, W) of one normalised image, on the card."""
        return self.many([image])[0]

    def many(self, images: Sequence[Array]) -> list[Tensor]:
        """Raw outputs (2 + n_sigma + K, H, W) of normalised images of one shape, on the card.

        Args:
            images: (C, H, W) float32 each, of numpy or on the card.

        Returns:
            Contiguous tensors in the network's precision.

        Raises:
            torch.OutOfMemoryError: one image alone is too large for the card.
        """
        height, width = images[0].shape[1:]
        most = max(1, min(self.side**2, BATCH_PIXELS) // max(1, height * width))
        outputs: list[Tensor] = []
        with torch.inference_mode(), self._here():
            for start in range(0, len(images), most):
                outputs += self._outputs(images[start : start + most])
        return outputs

    def uploaded(self, array: np.ndarray) -> Tensor:
        """A copy on the card, by way of memory that it reads itself while this goes on."""
        given = torch.from_numpy(_readable(array))
        with self._here():
            # A block of its own, which torch does not give out again before it was read.
            held = torch.empty(given.shape, dtype=given.dtype, pin_memory=self.on_card)
            held.copy_(given)  # by all threads, as numpy does not
            return held.to(self.device, non_blocking=True)

    def levels(self, pixels: np.ndarray) -> Int[Tensor, "H W C"]:
        """Pixels (H, W, C) of uint8 or uint16 as int32 on the card."""
        if pixels.dtype == np.uint8:
            return self.uploaded(pixels).int()
        # As signed ones, which torch knows better.
        return self.uploaded(pixels.view(np.int16)).int() & 0xFFFF

    def counted(self, levels: Int[Tensor, "H W C"], values: int) -> Int[np.ndarray, "C V"]:
        """How many pixels have each of the ``values`` from 0 on, channel by channel."""
        channels = levels.shape[-1]
        with self._here():
            place = self._places(levels, channels, values).flatten()
            counts = torch.bincount(place, minlength=channels * values).reshape(channels, values)
            result: np.ndarray = counts.cpu().numpy()
        return result

    def looked_up(
        self, levels: Int[Tensor, "H W C"], table: Float[np.ndarray, "V C"]
    ) -> Float[Tensor, "C H W"]:
        """What ``table`` says of each value of (H, W, C) pixels, or (H, W, 1).

        (C, H, W) float32 that lies in memory as the pixels do: channels last.
        """
        values = self.uploaded(np.ascontiguousarray(table.T)).flatten()
        with self._here():
            place = self._places(levels, table.shape[1], len(table))
            seen = values.index_select(0, place.flatten()).reshape(place.shape)
        return seen.permute(2, 0, 1)

    def _places(self, levels: Tensor, channels: int, values: int) -> Tensor:
        """(H, W, C) where each pixel's value stands in tables of all channels, one by one."""
        if channels == 1:
            return levels
        end = values * channels
        return levels + torch.arange(0, end, values, dtype=torch.int32, device=self.device)

    def _outputs(self, images: Sequence[Array]) -> list[Tensor]:
        try:
            return list(self.graphs(self._stacked(images)))
        except torch.OutOfMemoryError:
            pass  # and no longer the frames that hold what was computed
        self.graphs.clear()
        torch.cuda.empty_cache()
        return [self._forward(self._stacked([image]))[0] for image in images]

    def _stacked(self, images: Sequence[Array]) -> Tensor:
        """(B, C, H, W) on the card; of one image that lies there, that memory itself."""
        there = [self.uploaded(i) if isinstance(i, np.ndarray) else i for i in images]
        return there[0][None] if len(there) == 1 else torch.stack(there)

    def _forward(self, batch: Tensor) -> Tensor:
        low = batch.to(self.type).contiguous(memory_format=torch.channels_last)
        output = forward_any_size(self.module, low)
        return output.contiguous()  # what reads it goes map by map

    def _here(self) -> Any:
        """The card as torch's current one, which streams and graphs go by."""
        return torch.cuda.device(self.device) if self.on_card else nullcontext()


class _Readable:
    """Memory of an array as numpy is told of it."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array  # which must live on
        place: int = array.__array_interface__["data"][0]
        self.__array_interface__ = {**array.__array_interface__, "data": (place, False)}


def _readable(array: np.ndarray) -> np.ndarray:
    """An array's memory, only to be read, as one that torch takes without a word.

    It warns of those that cannot be written to, as decoded pictures are, and refuses those that run
    backwards or lie between other fields.
    """
    if any(step < 0 or step % array.itemsize for step in array.strides):
        array = np.ascontiguousarray(array)
    return np.asarray(_Readable(array))
