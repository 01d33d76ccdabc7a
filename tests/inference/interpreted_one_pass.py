"""What test_one_pass.py runs in a process where Triton interprets its kernel, without a card."""

import pytest
import torch
from test_one_pass import network, require_kernel

from spatialembed.inference import one_pass
from spatialembed.inference.one_pass import in_one_pass


@pytest.fixture(autouse=True)
def interpreted(monkeypatch) -> None:
    monkeypatch.setattr(one_pass, "INTERPRETED", True)


def test_the_kernel_gives_the_same() -> None:
    require_kernel("cpu")
    before = network("fine residual_unet")
    image = torch.rand(1, 3, 16, 24).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        found = in_one_pass(network("fine residual_unet"))(image)
        torch.testing.assert_close(found, before(image), rtol=1e-5, atol=1e-5)
