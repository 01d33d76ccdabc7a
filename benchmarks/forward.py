"""A network's pass over a 2-megapixel image, in turns with branched ERFNet as the original ran it.

    python benchmarks/forward.py

The baseline is branched ERFNet in float32, eager, NCHW, with its batch norms. Beside it the same
network and the lighter ones in torch, as training and short predictions run them, and exported;
what `spatialembed.load` runs is the export in float32, from an image or two on.
"""

import tempfile
from pathlib import Path

import torch

from measure import network_rows, operations, side_by_side, write_table
from spatialembed.models import build
from spatialembed.models.folding import folded
from workload import NETWORKS, exported

SHAPE = (1, 3, 1024, 2048)


def main() -> None:
    """Measure all cases."""
    torch.manual_seed(0)
    image = torch.rand(SHAPE)
    pixels = image[0].numpy()
    works, counts = {}, {}
    with torch.inference_mode(), tempfile.TemporaryDirectory() as folder:
        for name, (kind, options) in NETWORKS.items():
            network = build(kind, 3, 1, 1, **options).eval()
            light = folded(network)
            half = folded(network).bfloat16()
            layout = image.contiguous(memory_format=torch.channels_last)
            low = layout.bfloat16()
            if name == "branched_erfnet":
                works[f"{name}, as the original"] = lambda n=network: n(image)
            works[f"{name}, exact"] = lambda n=light, x=layout: n(x)
            works[f"{name}, bf16"] = lambda n=half, x=low: n(x)
            for precision in ("float32", "int8"):
                run = exported(name, precision, Path(folder)).network
                works[f"{name}, {precision} exported"] = lambda n=run, x=pixels: n(x)
            counts[name] = operations(lambda n=network: n(image))
        times = side_by_side(works, 7)
    write_table(
        "forward", ["1024×2048", "time", "faster", "of the limit"], network_rows(times, counts)
    )


if __name__ == "__main__":
    main()
