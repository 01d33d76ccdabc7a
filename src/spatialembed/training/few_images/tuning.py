"""What the trainings of a careful run have in common: where they start, and how they go on."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from lightning_fabric import Fabric
from torch import nn

from spatialembed.data.index import build_object_index
from spatialembed.data.sample import Sample
from spatialembed.inference.predictor import Model
from spatialembed.inference.torch_network import TorchNetwork
from spatialembed.models.axes import in_layout
from spatialembed.models.spec import ModelSpec
from spatialembed.training.averaging import WeightAverage
from spatialembed.training.config import TrainConfig
from spatialembed.training.few_images.careful import in_stages
from spatialembed.training.few_images.folds import Samples
from spatialembed.training.few_images.mixture import Weights
from spatialembed.training.few_images.start_size import at_pixel_size
from spatialembed.training.minutes import seconds_per_step
from spatialembed.training.prepare import Material
from spatialembed.training.run import Best, Run, loss_of, precision_of
from spatialembed.training.run_log import RunLog
from spatialembed.training.schedule import Plan
from spatialembed.training.stage_config import StageConfig
from spatialembed.training.validation import SEED_THRESHOLDS, Setting


@dataclass(frozen=True)
class Tuning:
    """A model to start from, images, and how the one learns from the other.

    Attributes:
        config: the run's.
        material: all images; its spec is how the start is used.
        fabric: the device.
        start: weights that every training begins with.
        run_stage: the loop over a stage's steps.
        described: the images, as a model that was trained on them says them.
        by_itself: how the start is used in predicting.
    """

    config: TrainConfig
    material: Material
    fabric: Fabric
    start: Weights
    run_stage: Callable[[Run], None]
    described: ModelSpec
    by_itself: ModelSpec

    @classmethod
    def of(
        cls,
        config: TrainConfig,
        material: Material,
        fabric: Fabric,
        start: ModelSpec,
        weights: Weights,
        run_stage: Callable[[Run], None],
    ) -> Tuning:
        """From the start's description and weights; classes, white and spacing are the data's.

        It sees the images by their pixel size, where both know one.
        """
        described = material.spec
        size = described.pixel_size if config.diameter is None else None
        start = at_pixel_size(start, size, str(config.init), str(config.data))
        told = ("class_names", "normalization", "spacing")
        spec = replace(start, **{name: getattr(described, name) for name in told})
        material = replace(material, spec=spec)
        return cls(config, material, fabric, weights, run_stage, described, spec)

    @property
    def things(self) -> str:
        """What it learns from, in a word."""
        return self.material.train.things

    @property
    def smallest(self) -> int:
        """Least size of an object, by those of the images."""
        return self.described.min_size

    @property
    def spec(self) -> ModelSpec:
        """How the start is used."""
        return self.material.spec

    @property
    def setting(self) -> Setting:
        """What the start is clustered with."""
        return Setting.of(self.spec)

    @property
    def seeds(self) -> list[float]:
        """Seed thresholds that are tried, increasing."""
        return sorted({*SEED_THRESHOLDS, self.spec.seed_threshold})

    def used_so(self, spec: ModelSpec) -> Tuning:
        """The same with the start used otherwise."""
        return replace(self, material=replace(self.material, spec=spec))

    def in_stages(self, stages: list[StageConfig]) -> Tuning:
        """The same with trainings of these stages, whose lengths are set by :meth:`lasting`."""
        return replace(self, config=replace(self.config, stages=stages))

    def lasting(self, steps: float) -> Tuning:
        """The same with trainings of so many steps."""
        stages = in_stages(self.config.stages, steps)
        return replace(self, material=replace(self.material, stages=stages))

    def model(self, weights: Weights) -> Model:
        """A model of such weights; its first ones are drawn from torch's global generator."""
        return Model(TorchNetwork(self._network(weights), precision_of(self.fabric)), self.spec)

    def _network(self, weights: Weights) -> nn.Module:
        return in_layout(Best(self.spec, weights).network().to(self.fabric.device))

    def seconds_per_step(self) -> float:
        """Of a training in which all weights move."""
        run, stage = self._run(self.material, 1), self.material.stages[-1]
        return seconds_per_step(
            self.config, run.material, stage, self.fabric, run.network, run.loss
        )

    def trained(self, samples: Sequence[Sample] | None = None) -> list[Weights]:
        """Train the start through all stages; the weights after each.

        From some samples, or from all images; ``losses.csv`` is of the last training.
        """
        material, stages = self.material, len(self.material.stages)
        if samples is not None:
            part = Samples(tuple(samples), material.train.class_names)
            index = build_object_index(part).without_specks()
            material = replace(material, part=part, index=index)
        run = self._run(material, stages, writes=True)
        reached: list[Weights] = []
        for _ in range(stages):
            self.run_stage(run)
            reached.append(Best.of(run.kept, self.spec).weights)
        return reached

    def _run(self, material: Material, stages: int, writes: bool = False) -> Run:
        torch.manual_seed(self.config.seed)
        network = self._network(self.start)
        plan = Plan(tuple(stage.steps or 1 for stage in material.stages[:stages]))
        return Run(
            config=self.config,
            material=material,
            fabric=self.fabric,
            network=network,
            wrapped=self.fabric.setup_module(network),
            loss=loss_of(self.config, material).to(self.fabric.device),
            average=WeightAverage(network, self.config.average),
            plan=plan,
            log=RunLog(self.config.out, plan.total, 0, self.config.tensorboard, writes),
            step=0,
            best=-1.0,
            best_model=None,
            pace=None,
            data={},
            optimizer=None,
            saved=time.monotonic(),
            keeps=False,
        )
