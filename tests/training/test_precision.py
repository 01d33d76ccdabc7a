"""Which precision a run takes where it may choose."""

import pytest
import torch

from spatialembed.training import run


@pytest.mark.parametrize(
    ("name", "avx512_bf16", "amx", "low"),
    [
        ("sapphirerapids", True, True, True),
        ("sapphirerapids", True, False, False),  # as some virtual machines hide it
        ("cooperlake", True, False, False),
        ("znver4", True, False, True),
        ("znver3", False, False, False),
        ("skylake-avx512", False, False, False),
        ("apple-m1", False, False, False),
    ],
)
def test_processors_that_are_faster_in_bf16(monkeypatch, name, avx512_bf16, amx, low) -> None:
    monkeypatch.setattr(run, "get_host_cpu_name", lambda: name)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512_bf16)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    assert run._fast_bf16(torch.device("cpu")) is low
