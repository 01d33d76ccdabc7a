"""InstanSeg's U-Net as its training script makes it by default, for one channel; random weights.

Its released models would have to be downloaded. What random weights give cannot be clustered, so
that time ends with the network: labels are empty, and nothing is written.
"""

import torch
from instanseg import InstanSeg
from instanseg.utils.models.InstanSeg_UNet import InstanSeg_UNet
from instanseg.utils.utils import percentile_normalize
from torch import nn
from turns import Clock, serve


class NetworkAlone(nn.Module):
    """The network, and an image without objects in place of what is made of its output."""

    def __init__(self) -> None:
        super().__init__()
        self.cells_and_nuclei, self.pixel_size = False, 0.5
        network = InstanSeg_UNet(1, [[2, 2, 1]], [256, 128, 64, 32], "BATCH").eval()
        self.network = torch.jit.trace(network, torch.zeros(1, 1, 256, 256))

    def forward(self, x: torch.Tensor, target_segmentation: torch.Tensor) -> torch.Tensor:
        """(B, 1, H, W) of zeros, for which the network must have run."""
        return 0 * self.network(x)[:, :1]


def loaded():
    """What reads, normalises and runs the network, in tiles where InstanSeg takes tiles."""
    torch.manual_seed(0)
    network = torch.jit.script(NetworkAlone().eval())  # as its released models are
    model = InstanSeg(network, device="cpu", image_reader="skimage.io", verbosity=0)

    def predict(clock: Clock, image: str, mask: str, out: str) -> None:
        with clock("read"):
            pixels, _ = model.read_image(image)
        with clock("normalise"):
            seen = percentile_normalize(model._to_tensor(pixels).reshape(1, *pixels.shape))
        with clock("network"), torch.inference_mode():
            small = pixels.size <= model.small_image_threshold
            run = model.eval_small_image if small else model.eval_medium_image
            run(seen, pixel_size=None, normalise=False, return_image_tensor=False)

    return predict


if __name__ == "__main__":
    serve(loaded)
