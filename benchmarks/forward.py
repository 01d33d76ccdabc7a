"""A network's pass over a 2-megapixel image, in turns with branched ERFNet as the original ran it.

    python benchmarks/forward.py

The baseline is branched ERFNet in float32, eager, NCHW, with its batch norms. Beside it the same
network and the lighter one as `spatialembed.load` prepares them.
"""

import torch

from measure import convolution_limit, operations, show, side_by_side, write_table
from spatialembed.models import build
from spatialembed.models.folding import folded

SHAPE = (1, 3, 1024, 2048)
NETWORKS = {
    "branched_erfnet": {},
    "residual_unet": {"widths": [48, 64, 96, 160, 224]},
}


def main() -> None:
    """Measure all cases."""
    torch.manual_seed(0)
    image = torch.rand(SHAPE)
    works, counts = {}, {}
    with torch.inference_mode():
        for name, options in NETWORKS.items():
            network = build(name, 3, 1, 1, **options).eval()
            light = folded(network)
            half = folded(network).bfloat16()
            layout = image.contiguous(memory_format=torch.channels_last)
            low = layout.bfloat16()
            if name == "branched_erfnet":
                works[f"{name}, as the original"] = lambda n=network: n(image)
            works[f"{name}, exact"] = lambda n=light, x=layout: n(x)
            works[f"{name}, bf16"] = lambda n=half, x=low: n(x)
            counts[name] = operations(lambda n=network: n(image))
        times = side_by_side(works, 7)
    first = next(iter(times.values()))
    rows = []
    for work, seconds in times.items():
        limit = convolution_limit(torch.bfloat16 if "bf16" in work else torch.float32)
        share = counts[work.split(",")[0]] / seconds / limit
        rows.append([work, show(seconds), f"{first / seconds:.1f} ×", f"{share:.0%}"])
    write_table("forward", ["1024×2048", "time", "faster", "of the limit"], rows)


if __name__ == "__main__":
    main()
