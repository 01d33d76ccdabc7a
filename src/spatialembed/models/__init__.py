"""The networks by name, and what every one of them needs around it.

Importing this does not import torch; building a network does. Every network takes
``image (B, C, H, W)`` with sides that are multiples of its ``stride`` and gives the raw output
``(B, 2 + n_sigma + K, H, W)`` that :mod:`spatialembed.embedding` describes. A network that has the
argument ``dims`` is of volumes ``(B, C, Z, H, W)``, too, whose depth is a multiple of its
``depth_stride``. One of several targets gives such an output for each, one after the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, get_type_hints

from spatialembed.errors import UserError
from spatialembed.files.described import fitting, shown

if TYPE_CHECKING:
    from torch import Tensor, nn

NETWORKS: dict[str, str] = {
    "branched_erfnet": "spatialembed.models.branched_erfnet:BranchedERFNet",
    "pretrained_unet": "spatialembed.models.pretrained_unet:PretrainedUNet",
    "residual_unet": "spatialembed.models.residual_unet:ResidualUNet",
}
"""Name of a network -> where its class is."""


MOST_PARAMETERS = 500_000_000
"""Of a network: 2 GB of weights, a hundred times the largest recipe's."""


def build(
    network: str,
    in_channels: int,
    n_sigma: int,
    n_classes: int,
    dims: int = 2,
    targets: int = 1,
    /,
    **options: Any,
) -> nn.Module:
    """Make a network with fresh weights, drawn from torch's global generator.

    Args:
        network: a name of :data:`NETWORKS`.
        in_channels: channels of the image, 1 or more.
        n_sigma: bandwidths per pixel, 1 (circular margin) or one an axis (elliptical).
        n_classes: seed maps of a target, 1 or more.
        dims: spatial axes: 2 of images, 3 of volumes.
        targets: each with offsets, bandwidths and seed maps of its own, 1 or more.
        options: the network's own, such as ``widths`` of "residual_unet".

    Raises:
        UserError: unknown network or option, a number out of bounds, or a network that is larger
            than :data:`MOST_PARAMETERS`.
    """
    outline(network, in_channels, n_sigma, n_classes, dims, targets, **options)
    return _made(network, in_channels, n_sigma, n_classes, dims, targets, options)


def outline(
    network: str,
    in_channels: int,
    n_sigma: int,
    n_classes: int,
    dims: int = 2,
    targets: int = 1,
    /,
    **options: Any,
) -> nn.Module:
    """The network of :func:`build` without weights, on torch's "meta" device: it takes no memory.

    Raises:
        UserError: as :func:`build` does.
    """
    import torch

    if network not in NETWORKS:
        raise UserError(f"there is no network {network!r}; choose one of {', '.join(NETWORKS)}")
    if in_channels < 1 or n_sigma not in (1, dims) or n_classes < 1:
        raise UserError(
            f"a network takes 1 or more channels, 1 or {dims} bandwidths and 1 or more classes, "
            f"not {in_channels}, {n_sigma} and {n_classes}"
        )
    with torch.device("meta"):
        made = _made(network, in_channels, n_sigma, n_classes, dims, targets, options)
    count = sum(parameter.numel() for parameter in made.parameters())
    if count > MOST_PARAMETERS:
        raise UserError(
            f"network {network!r} would have {count:,} parameters with these options, more than "
            f"{MOST_PARAMETERS:,}; make it smaller"
        )
    return made


def _made(
    network: str,
    in_channels: int,
    n_sigma: int,
    n_classes: int,
    dims: int,
    targets: int,
    options: dict[str, Any],
) -> nn.Module:
    module, name = NETWORKS[network].split(":")
    kind = getattr(import_module(module), name)
    hints = get_type_hints(kind.__init__)
    if dims != 2 and "dims" not in hints:
        raise UserError(
            f"network {network!r} is of images, not of volumes; take residual_unet, as the recipe "
            "volumes does"
        )
    more = {"dims": dims} if "dims" in hints else {}
    more |= {"targets": targets} if targets > 1 else {}
    hints = {name: hint for name, hint in hints.items() if name not in (*_GIVEN, "return")}
    for option, value in options.items():
        if option not in hints:
            known = f"it has {', '.join(hints)}" if hints else "it has none"
            raise UserError(
                f"network {network!r} has no option {shown(option)}; {known} (network_options; a "
                "recipe has those of its own network)"
            )
        fitting(hints[option], value, option, f"network {network!r}")
    with _in_float32():
        made: nn.Module = kind(in_channels, n_sigma, n_classes, **more, **options)
    return made


@contextmanager
def _in_float32() -> Iterator[None]:
    """Networks are in float32, whatever the program that loads one makes its tensors in."""
    import torch

    own = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        yield
    finally:
        torch.set_default_dtype(own)


_GIVEN = ("in_channels", "n_sigma", "n_classes", "dims", "targets")
"""What networks take besides their own options."""


def forward_any_size(network: nn.Module, image: Tensor) -> Tensor:
    """Run a network on images or volumes of any size.

    The last planes, bottom and right are padded to multiples of the network's stride by repeating
    the border, and cropped off the result; pixel (0, 0) stays where it is, so coordinates do too.

    Args:
        network: one of this package; its ``stride`` is read.
        image: (B, C, *S) float, sides of 1 or more.

    Returns:
        (B, D + n_sigma + K, *S) raw output.
    """
    from torch.nn import functional

    sides = image.shape[2:]
    missing = [-n % stride for n, stride in zip(sides, strides(network, len(sides)), strict=True)]
    if any(missing):
        image = functional.pad(image, [n for m in missing[::-1] for n in (0, m)], mode="replicate")
    output: Tensor = network(image)
    window: Any = (..., *(slice(n) for n in sides))
    return output[window]


def strides(network: nn.Module, dims: int) -> tuple[int, ...]:
    """Of what each side of a network's input is a multiple."""
    plane = int(network.stride)  # type: ignore[arg-type]  # to torch a tensor or a module, too
    if dims == 2:
        return plane, plane
    return int(network.depth_stride), plane, plane  # type: ignore[arg-type]  # as above


def freeze_batch_norm_statistics(network: nn.Module) -> None:
    """Normalise by the running statistics and leave them as they are (the paper's second stage).

    Scales and shifts of the batch norms are still trained. ``network.train()`` undoes this: call
    it first, each time.
    """
    from torch.nn.modules.batchnorm import _BatchNorm

    for module in network.modules():
        if isinstance(module, _BatchNorm):
            module.eval()


def freeze_encoder(network: nn.Module, frozen: bool = True) -> None:
    """Leave the weights of the network's ``encoder_parts`` as they are, or train them again.

    They get no gradient, and none is computed for them.
    """
    parts = network.encoder_parts
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(not (frozen and name.partition(".")[0] in parts))  # type: ignore[operator]  # names
