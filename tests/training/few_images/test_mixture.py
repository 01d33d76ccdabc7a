"""A mixture is exactly the start at 0 and exactly what was learned at 1."""

import copy

import pytest
import torch

from spatialembed.models import build, freeze_encoder
from spatialembed.models.checkpoint import save_model
from spatialembed.models.spec import ModelSpec
from spatialembed.training.few_images.mixture import mixed

SPEC = ModelSpec("residual_unet", {"widths": [4, 8], "blocks": [1, 1]}, in_channels=1)


def networks():
    """A network, and what became of it: every weight and statistic moved."""
    torch.manual_seed(0)
    start = SPEC.build()
    tuned = copy.deepcopy(start)
    with torch.no_grad():
        for tensor in tuned.state_dict().values():
            tensor.add_(torch.randn_like(tensor) if tensor.is_floating_point() else 7)
    return start, tuned


def test_at_the_ends_a_mixture_is_one_of_the_two_to_the_last_bit(tmp_path):
    start, tuned = networks()
    for share, network in ((0.0, start), (1.0, tuned)):
        made = SPEC.build()
        made.load_state_dict(mixed(start.state_dict(), tuned.state_dict(), share))
        save_model(tmp_path / "made.safetensors", made, SPEC)
        save_model(tmp_path / "own.safetensors", network, SPEC)
        made_bytes, own = ((tmp_path / f"{n}.safetensors").read_bytes() for n in ("made", "own"))
        assert made_bytes == own


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
def test_between_them_weights_and_statistics_are_averaged(share):
    start, tuned = (network.state_dict() for network in networks())
    found = mixed(start, tuned, share)
    assert found.keys() == start.keys()
    averaged = {"running_mean", "running_var", "weight", "bias"}
    for name, tensor in found.items():
        if name.rpartition(".")[2] in averaged:
            expected = start[name].double() * (1 - share) + tuned[name].double() * share
            torch.testing.assert_close(tensor.double(), expected, rtol=1e-5, atol=1e-6)
        else:
            assert torch.equal(tensor, tuned[name])


def test_a_mixture_leaves_what_it_is_made_of_alone():
    start, tuned = (network.state_dict() for network in networks())
    before = {name: tensor.clone() for name, tensor in start.items()}
    for tensor in mixed(start, tuned, 0.5).values():
        tensor.mul_(0)
    assert all(torch.equal(start[name], before[name]) for name in start)


@pytest.mark.parametrize(
    ("name", "options", "heads"),
    [
        (
            "residual_unet",
            {"widths": [4, 8], "blocks": [1, 1]},
            {"up", "embedding_head", "seed_head"},
        ),
        ("branched_erfnet", {}, {"decoders"}),
    ],
)
def test_a_frozen_encoder_leaves_the_heads_to_be_trained(name, options, heads):
    network = build(name, 1, 1, 1, **options)
    freeze_encoder(network)
    trained = {n.partition(".")[0] for n, p in network.named_parameters() if p.requires_grad}
    frozen = {n.partition(".")[0] for n, p in network.named_parameters() if not p.requires_grad}
    assert trained == heads
    assert frozen == set(network.encoder_parts)
    freeze_encoder(network, False)
    assert all(p.requires_grad for p in network.parameters())
