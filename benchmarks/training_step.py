"""A training step of 256² crops, batches of 8 with 20 objects each; in turns.

    python benchmarks/training_step.py

The baseline is branched ERFNet in float32, NCHW, with the naive loss (tests/reference.py), the way
the original trained. Elliptical bandwidths throughout, Adam, no data loading.
"""

from collections.abc import Callable
from functools import partial

import torch

from measure import network_rows, operations, side_by_side, write_table
from naive import reference
from spatialembed.loss import SpatialEmbeddingLoss
from spatialembed.models import build, freeze_batch_norm_statistics
from workload import NETWORKS, ellipses

BATCH, SIDE, OBJECTS = 8, 256, 20
CPU = torch.device("cpu")


def step(
    name: str,
    loss: Callable,
    fast: bool,
    side: int = SIDE,
    batch: int = BATCH,
    device: torch.device = CPU,
    n_sigma: int = 2,
    frozen: bool = False,
) -> Callable[[], None]:
    """One step of one of the networks on the same batch.

    Args:
        name: of :data:`workload.NETWORKS`.
        loss: of a raw output and a label mask.
        fast: bf16 and channels last.
        side, batch: of the crops.
        device: that it runs on.
        n_sigma: bandwidths of the network.
        frozen: whether the statistics of its batch norms stay.
    """
    torch.manual_seed(0)
    layout = torch.channels_last if fast else torch.contiguous_format
    kind, options = NETWORKS[name]
    network = build(kind, 3, n_sigma, 1, **options).to(device, memory_format=layout)
    if frozen:
        freeze_batch_norm_statistics(network)
    fused = (fast and device.type == "cuda") or None  # as training has it on a card
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-4, fused=fused)
    image, label_mask = shown(side, batch)
    image = image.to(device).contiguous(memory_format=layout)
    label_mask = label_mask.to(device)

    def work() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=fast):
            output = network(image)
        total = loss(output.float(), label_mask)["total"]
        optimizer.zero_grad()
        total.backward()
        optimizer.step()

    return work


def shown(side: int, batch: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Images with noise of torch's global generator, and their label masks."""
    masks = [torch.from_numpy(ellipses((side, side), OBJECTS, seed)) for seed in range(batch)]
    label_mask = torch.stack(masks)
    return (label_mask[:, None] > 0) * 0.5 + 0.2 * torch.rand(batch, 3, side, side), label_mask


def main() -> None:
    """Measure all cases."""
    ours, naive = SpatialEmbeddingLoss(n_sigma=2), partial(reference.loss, n_sigma=2)
    works = {
        "branched_erfnet, float32, naive loss": step("branched_erfnet", naive, False),
        "branched_erfnet, float32, our loss": step("branched_erfnet", ours, False),
        "branched_erfnet, bf16, channels last": step("branched_erfnet", ours, True),
        "residual_unet, bf16, channels last": step("residual_unet", ours, True),
        "residual_unet of nuclei, bf16, channels last": step("residual_unet of nuclei", ours, True),
    }
    times = side_by_side(works, 7)
    counts = {name.split(",")[0]: operations(work) for name, work in works.items()}
    rows = network_rows(times, counts)
    write_table("training_step", ["step", "time", "faster", "of the limit"], rows)


if __name__ == "__main__":
    main()
