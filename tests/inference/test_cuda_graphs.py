"""Work of a card that is recorded, and replayed for what has the same shape."""

import threading
from functools import partial

import numpy as np
import pytest
import torch
from test_cuda_network import models, network, picture, require_same
from test_predictor import Bright

from spatialembed.inference import cuda_graphs
from spatialembed.inference.cuda_graphs import KEPT, MOST_PIXELS, Graphs
from spatialembed.inference.cuda_network import CudaNetwork


def counted(calls: list[int], given: torch.Tensor) -> torch.Tensor:
    calls.append(1)
    return given * 2 + 1


def test_without_a_card_nothing_is_recorded() -> None:
    there, calls = CudaNetwork(Bright()), []
    there.graphs.work = partial(counted, calls)
    for value in range(4):
        given = torch.full((1, 3, 4, 4), float(value))
        torch.testing.assert_close(there.graphs(given), given * 2 + 1)
    assert len(calls) == 4


def test_what_comes_twice_is_recorded_and_few_are_kept(monkeypatch) -> None:
    recorded, refusals, dropped = [], [], []

    class Stand:
        """For a graph, where there is no card."""

        def __init__(self, work, given: torch.Tensor) -> None:
            if given.shape[-1] == 13:
                refusals.append(13)
                raise RuntimeError("CUDA error: operation not permitted")
            recorded.append(given.shape[-1])
            self.work, self.given = work, given

        def __call__(self, given: torch.Tensor) -> torch.Tensor:
            assert given.shape == self.given.shape
            return self.work(given)

    monkeypatch.setattr(cuda_graphs, "Graph", Stand)
    monkeypatch.setattr(torch.cuda, "synchronize", dropped.append)
    graphs = Graphs(lambda given: given + 1)

    def give(side: int, value: float = 0.0) -> None:
        assert torch.equal(graphs(torch.full((1, side), value)), torch.full((1, side), value + 1))

    for side in range(2, 2 * KEPT + 2):  # all others
        give(side)
    assert recorded == []
    for value in range(3):
        for side in (40, 50):  # two in turn
            give(side, value)
    assert recorded == [40, 50]
    for side in range(2, KEPT + 2):
        give(side)
    assert len(dropped) == 2
    give(40)
    assert recorded == [40, 50]
    give(40)
    assert recorded == [40, 50, 40]
    graphs.clear()
    assert len(dropped) == 3
    for _ in range(3):
        give(13)
    for _ in range(3):
        give(40)
    assert refusals == [13]  # and no other shape is given up
    assert recorded == [40, 50, 40, 40]


def refused(given: torch.Tensor) -> torch.Tensor:
    doubled = given * 2
    if torch.cuda.is_current_stream_capturing():
        raise RuntimeError("operation not permitted when stream is capturing")
    return doubled


@pytest.mark.gpu
class TestGraphs:
    def inputs(self, count: int = 6, shape: tuple[int, ...] = (1, 3, 40, 56)) -> list[torch.Tensor]:
        generator = torch.Generator("cuda").manual_seed(0)
        return [torch.randn(shape, device="cuda", generator=generator) for _ in range(count)]

    @torch.inference_mode()
    def test_they_give_what_the_work_gives(self) -> None:
        module = network().cuda()
        graphs = Graphs(module)
        batch = self.inputs()
        outputs = [graphs(one) for one in batch]  # all are kept: none is another's memory
        assert sum(graph is not None for graph in graphs._known.values()) == 1
        for one, output in zip(batch, outputs, strict=True):
            require_same(output.cpu().numpy(), module(one).cpu().numpy(), 1e-3)
        assert not torch.equal(outputs[-1], outputs[-2])

    @torch.inference_mode()
    def test_two_shapes_in_turn(self) -> None:
        module = network().cuda()
        graphs = Graphs(module)
        for one, other in zip(self.inputs(), self.inputs(shape=(2, 3, 64, 32)), strict=True):
            for batch in (one, other):
                found, expected = graphs(batch), module(batch)
                require_same(found.cpu().numpy(), expected.cpu().numpy(), 1e-3)
        assert sum(graph is not None for graph in graphs._known.values()) == 2

    @torch.inference_mode()
    def test_few_shapes_are_kept_and_large_ones_not_recorded(self) -> None:
        graphs = Graphs(lambda batch: batch * 2)
        for side in range(1, KEPT + 3):
            for batch in self.inputs(3, (1, 1, side, side)):
                torch.testing.assert_close(graphs(batch), batch * 2)
        assert len(graphs._known) == KEPT
        large = torch.ones(1, 1, 1, MOST_PIXELS + 1, device="cuda")
        for _ in range(3):
            assert graphs(large)[0, 0, 0, 0] == 2
        assert len(graphs._known) == KEPT
        graphs.clear()
        assert not graphs._known

    @torch.inference_mode()
    def test_what_cannot_be_recorded_goes_on_as_it_is(self, capfd) -> None:
        graphs = Graphs(refused)
        stream = torch.cuda.current_stream()
        for batch in self.inputs(4):
            torch.testing.assert_close(graphs(batch), batch * 2)
        assert list(graphs._known.values()) == [refused]
        assert torch.cuda.current_stream() == stream
        assert capfd.readouterr() == ("", "")

    def test_threads_do_not_mix_their_images(self) -> None:
        _, model = models("cuda")
        images = [picture(40, 56, 3, seed=k) for k in range(8)]
        expected = [model.raw(image) for image in images]
        found: dict[int, np.ndarray] = {}
        threads = [
            threading.Thread(target=lambda k=k: found.update({k: model.raw(images[k])}))
            for k in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for k in range(8):
            require_same(found[k], expected[k], 1e-3)
            assert np.abs(found[k] - expected[k - 1]).max() > 0.1 * np.abs(expected[k]).max()
