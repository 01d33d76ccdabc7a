"""Cellpose 4: a network of the shape of its weights (SAM's ViT-L), random.

Its weights would have to be downloaded. Its network costs the same for each tile of 256², so one
tile is timed, and taken times the tiles that Cellpose cuts: minutes an image on two cores.
"""

import time
from contextlib import suppress
from pathlib import Path

import torch
from turns import Clock, serve, without_operators

without_operators()
from cellpose import io, train, transforms  # noqa: E402  # needs the line above
from cellpose.vit import CPSAM  # noqa: E402  # needs the line above

SIDE = 256


def loaded():
    """What reads and normalises an image and reckons the network's time on it."""
    torch.manual_seed(0)
    network = (
        CPSAM(dtype=torch.bfloat16).to(torch.bfloat16).eval()
    )  # as Cellpose runs it by default

    def predict(clock: Clock, image: str, mask: str, out: str) -> None:
        with clock("read"):
            pixels = io.imread(image)
        with clock("normalise"):
            seen = transforms.normalize_img(transforms.convert_image(pixels)[None])[0]
        rows = transforms.make_tiles(seen.transpose(2, 0, 1), bsize=SIDE)[0]
        tiles = rows.reshape(-1, *rows.shape[2:])  # (N, C, 256, 256)
        if "of one tile" not in clock.seconds:
            with clock("of one tile"), torch.inference_mode():
                network(torch.from_numpy(tiles[:1]).bfloat16())
        clock.seconds["network"] += len(tiles) * clock.seconds["of one tile"]

    return predict


def trained(data: str, out: str, minutes: str) -> dict[str, object]:
    """Steps that its own training makes in some minutes, from random weights."""
    torch.manual_seed(0)
    network = CPSAM(dtype=torch.float32)
    network.diam_labels.data[:] = 30.0
    end, steps = time.monotonic() + 60 * float(minutes), []

    def stop(*_: object) -> None:
        if time.monotonic() > end:
            raise TimeoutError
        steps.append(0)

    network.register_forward_pre_hook(stop)
    files = sorted(Path(data, "train", "images").iterdir())
    images = [io.imread(file) for file in files]
    masks = [io.imread(Path(data, "train", "masks", file.name)) for file in files]
    with suppress(TimeoutError):
        train.train_seg(network, train_data=images, train_labels=masks, save_path=out)
    told = f"not trained: an epoch is {len(files)} steps, and its learning rate is 0 in the first"
    return {"steps": max(0, len(steps) - 1), "labels": False, "told": told}


if __name__ == "__main__":
    serve(loaded, trained)
