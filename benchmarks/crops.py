"""What one worker draws from full-size street scenes, against what a training step takes.

    python benchmarks/crops.py

Generated scenes of 2048×1024 in the Cityscapes layout, more of them than the worker may keep in
memory (500 MB). The step is that of training_step.py's fastest row, or branched ERFNet's on 512²
crops as in the paper's first stage.
"""

import tempfile
from pathlib import Path

import torch

from measure import seconds, write_table
from spatialembed.data.crops.augmentation import Augmentation
from spatialembed.data.crops.cropper import Cropper
from spatialembed.data.index import object_index
from spatialembed.data.open import open_data
from spatialembed.demo.scenes import make_scenes
from spatialembed.loss import SpatialEmbeddingLoss
from spatialembed.models.normalization import Normalization
from training_step import step

SCENES, DRAWN = 40, 120


def drawn_per_second(cropper: Cropper) -> float:
    """Crops a second in this process, which is one worker's rate."""
    for number in range(8):
        cropper.draw(number)
    return DRAWN / seconds(lambda: [cropper.draw(8 + number) for number in range(DRAWN)])


def main() -> None:
    """Measure both sizes of crops."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        make_scenes(Path(folder), SCENES, 0, (2048, 1024))
        data = open_data(Path(folder), "train")
        index = object_index(data)
        augmentation = Augmentation(scale=(0.7, 1.4), brightness=0.1, contrast=0.2, turn=False)
        rates = {
            size: drawn_per_second(
                Cropper(
                    data, Normalization().fixed, size, index,
                    augmentation=augmentation, cache_bytes=500_000_000,
                )
            )
            for size in (256, 512)
        }  # fmt: skip
    torch.set_num_threads(2)
    loss = SpatialEmbeddingLoss(n_sigma=2)
    rows = []
    for size, name in ((256, "residual_unet of nuclei"), (512, "branched_erfnet")):
        work = step(name, loss, True, size)
        work()
        taken = 8 / min(seconds(work) for _ in range(4))
        rate = rates[size]
        rows.append([f"{size}²", f"{rate:.1f}", f"{name} {taken:.1f}", f"{rate / taken:.1f} ×"])
    write_table("crops", ["crops", "drawn a second", "taken a second", "ratio"], rows)


if __name__ == "__main__":
    main()
