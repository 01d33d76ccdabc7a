"""What a card does for the loss, and waits for, whatever is in the batch."""

import re
import warnings
from functools import partial

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from spatialembed.loss import SpatialEmbeddingLoss
from test_loss import scene
from test_loss_devices import by_torch

WAITS = 5
"""A card is waited for so often in one loss, forward and backward: told a size each time."""


@pytest.mark.gpu
@pytest.mark.parametrize("center", ["centroid", "learned"])
def test_a_card_is_waited_for_equally_often_whatever_is_in_the_batch(center):
    loss = SpatialEmbeddingLoss(center=center).cuda()
    waits = []
    for objects, batch in [(1, 1), (7, 2), (60, 5)]:
        output, label_mask, _ = scene(objects, batch=batch)
        output, label_mask = output.float().cuda().requires_grad_(), label_mask.cuda()
        loss(output, label_mask)["total"].backward()  # what is set up once is not counted
        torch.cuda.synchronize()
        torch.cuda.set_sync_debug_mode("warn")
        try:
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                loss(output, label_mask)["total"].backward()
        finally:
            torch.cuda.set_sync_debug_mode("default")
        waits.append(sum("synchroniz" in str(w.message) for w in told))
    assert len(set(waits)) == 1, waits
    assert waits[0] <= WAITS


class Operations(TorchDispatchMode):
    """Names of what is done, but for new ways of looking at the same memory."""

    FREE = re.compile("view|slice|select|expand|(un)?squeeze|transpose|permute|split|empty|detach")

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.__name__.split(".")[0]
        if not self.FREE.match(name.lstrip("_")) or name == "index_select":
            self.names.append(name)
        return function(*args, **(kwargs or {}))


TOLD = {"_local_scalar_dense", "nonzero", "_unique2", "bincount", "masked_select", "is_nonzero"}
"""Operations that wait for a card."""


@pytest.mark.parametrize("center", ["centroid", "learned"])
def test_the_number_of_operations_is_independent_of_what_is_in_the_batch(center):
    counted = []
    for objects, batch in [(7, 2), (60, 5)]:
        output, label_mask, _ = scene(objects, batch=batch)
        output = output.float().requires_grad_()
        with Operations() as done:
            by_torch(partial(SpatialEmbeddingLoss(center=center), output, label_mask))
        counted.append(done.names)
    assert counted[0] == counted[1]
    assert len(counted[0]) < 450
    assert len([name for name in counted[0] if name in TOLD]) <= WAITS
