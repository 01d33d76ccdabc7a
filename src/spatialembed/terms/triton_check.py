"""Whether kernels of Triton are to be had, and right: found out once for each device and loss.

Triton is not there on every system, compiles with a compiler of C that may be missing, and knows
no cards of before 2017. Wherever something fails, operations of torch give the same.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import lru_cache, partial
from importlib.util import find_spec
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from spatialembed.embedding import PITCH
from spatialembed.terms.centers import Center
from spatialembed.terms.device import has_kernels
from spatialembed.terms.hinges import FEW
from spatialembed.terms.joint import Options, joint_terms

INTERPRETED = False
"""True takes kernels of Triton on the CPU instead of operations of torch: its interpreter runs
them, as tests do."""

NEWEST_WITHOUT = (6, 2)
"""Last compute capability that Triton does not know."""


class Kind(NamedTuple):
    """What kernels are compiled for, of a loss and its output."""

    dims: int
    n_sigma: int
    classes: int
    weights: int
    """Of the foreground: one, or one a class."""
    center: Center
    fixed: bool
    """Whether bandwidths are."""
    drifts: bool
    """Whether there is a drift term."""

    @classmethod
    def of(cls, output: Tensor, options: Options) -> Kind:
        """That of a loss with these options."""
        dims, classes = output.ndim - 2, output.shape[1] - (output.ndim - 2) - options.n_sigma
        weights, fixed = len(options.foreground_weight), options.margin is not None
        drifts = options.has_drift
        return cls(dims, options.n_sigma, classes, weights, options.center, fixed, drifts)


def terms_on_card(
    output: Float[Tensor, "B C *S"],
    label_mask: Int[Tensor, "B *S"],
    class_map: Shaped[Tensor, "B *S"] | None,
    valid: Bool[Tensor, "B *S"],
    options: Options,
) -> dict[str, Tensor] | None:
    """As :func:`spatialembed.terms.joint.joint_terms`; None where that is to do it.

    So it is in torch's deterministic mode: the kernels add up in the order in which threads come.
    """
    if not 1 <= output.ndim - 2 <= 3 or not _may_have_triton(output):
        return None
    if not is_right(output.device, Kind.of(output, options)):
        return None
    from spatialembed.terms.card.whole import card_terms

    return card_terms(output, label_mask, class_map, valid, options)


def _may_have_triton(output: Tensor) -> bool:
    if output.dtype == torch.float64 or torch.are_deterministic_algorithms_enabled():
        return False
    if INTERPRETED:
        return not has_kernels(output)
    if output.device.type != "cuda" or find_spec("triton") is None:
        return False
    return torch.cuda.get_device_capability(output.device) > NEWEST_WITHOUT


@lru_cache
def is_right(device: torch.device, kind: Kind) -> bool:
    """Whether a small scene costs with them what it costs without; says why if not."""
    try:
        from spatialembed.terms.card.whole import card_terms

        expected = _small_scene(device, kind, joint_terms)
        for few in (FEW, 0):  # pairs in the order of their errors, and of these errors' logits
            found = _small_scene(device, kind, partial(card_terms, few=few))
            _require_close(found, expected)
    except Exception as error:  # of a compiler, a driver, a card: whatever it is, there is torch
        what = str(error).strip().partition("\n")[0]
        warnings.warn(
            f"the loss runs slower than it could: kernels of Triton do not work here "
            f"({type(error).__name__}: {what})",
            stacklevel=2,
        )
        return False
    return True


def _require_close(found: tuple[Tensor, ...], expected: tuple[Tensor, ...]) -> None:
    """As a whole, not number by number: errors alike to the last digit may change places.

    Raises:
        ArithmeticError: they are not.
    """
    for one, other in zip(found, expected, strict=True):
        if not (one - other).norm() <= 3e-3 * other.norm() + 1e-6:  # nor if not a number
            raise ArithmeticError("they give other numbers than operations of torch")


def _small_scene(
    device: torch.device, kind: Kind, terms_of: Callable[..., dict[str, Tensor] | None]
) -> tuple[Tensor, ...]:
    """Terms and gradient of two images with some objects each, of random embeddings."""
    shape, dims = ((600,), (24, 25), (8, 8, 9))[kind.dims - 1], kind.dims
    generator = torch.Generator().manual_seed(0)
    label_mask = torch.randint(0, 4, (2, *shape), generator=generator)
    class_map = torch.randint(0, kind.classes, (2, *shape), generator=generator)
    channels, last = dims + kind.n_sigma + kind.classes, dims + kind.n_sigma
    raw = torch.rand(2, channels, *shape, generator=generator, dtype=torch.float32)
    raw[:, dims:last] = 0.3 + 0.01 * raw[:, dims:last]
    weight = torch.arange(5, 5 + kind.weights, dtype=torch.float64, device=device)
    weights = {"instance": 1.0, "variance": 10.0, "seed": 1.0, "drift": 10.0 * kind.drifts}
    margin = 200.0 if kind.fixed else None
    options = Options(kind.n_sigma, kind.center, PITCH, margin, weight, weights)
    valid = torch.ones(2, *shape, dtype=torch.bool, device=device)
    with torch.inference_mode(False), torch.enable_grad():
        output = raw.to(device).requires_grad_()
        terms = terms_of(output, label_mask.to(device), class_map.to(device), valid, options)
        assert terms is not None
        (gradient,) = torch.autograd.grad(terms["total"], output)
    return (*(term.detach() for term in terms.values()), gradient)
