"""A run on generated volumes with the network of EmbedSeg's papers."""

import numpy as np
import pytest

import spatialembed as se
from spatialembed.cli.options import read_recipe
from spatialembed.demo.volumes import write_volumes
from spatialembed.errors import UserError
from spatialembed.training import train

BRANCHED = ("--device=cpu", "--network=branched_erfnet", "--network_options={}", "--workers=0")


def test_a_branched_erfnet_is_trained_on_volumes(tmp_path) -> None:
    write_volumes(tmp_path / "V", train=1, val=1, test=0, shape=(12, 40, 40), count=3)
    stages = "--stages=[{crop_size: 16, crop_depth: %d, batch_size: 2, steps: 2, minutes: null}]"
    run = [f"--out={tmp_path / 'run'}", *BRANCHED]
    with pytest.raises(UserError, match=r"crop_depth, .* multiple of 8 for this branched_erfnet"):
        train(read_recipe("volumes", tmp_path / "V", *run, stages % 12))
    model = se.load(train(read_recipe("volumes", tmp_path / "V", *run, stages % 8)), device="cpu")
    assert (model.spec.network, model.spec.dims, model.spec.n_sigma) == ("branched_erfnet", 3, 3)
    assert model.spec.network_options == {}
    assert model.predict(np.zeros((5, 17, 20), np.uint8)).label_map.shape == (5, 17, 20)
