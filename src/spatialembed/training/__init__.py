"""Training: one configuration, one plain loop. ``TrainConfig`` loads without torch.

loop.py is the loop. What it calls, in this order:

- config.py: all options, stage_config.py: those of a stage; schedule.py: steps of the stages,
  learning rates.
- prepare.py: data, description and network, after look_at_data.py found nothing against it.
- volumes.py: what runs on volumes need to know before.
- run.py: the state of a run; minutes.py: how many steps fit into its minutes.
- step.py: one step; averaging.py: the average of the weights.
- best_model.py: keeps the best by validation.py, and has calibrate.py choose its thresholds.
- run_log.py: tables and lines; resume.py: checkpoints, which checkpoint_fields.py checks, of the
  data of fingerprint.py.
- few_images/: what happens instead where a model goes on from few images.
- processes.py: several processes, whose layers whole_batch.py joins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spatialembed.training.config import TrainConfig
    from spatialembed.training.loop import train
    from spatialembed.training.stage_config import StageConfig

__all__ = ["StageConfig", "TrainConfig", "train"]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = {"train": "loop", "StageConfig": "stage_config"}.get(name, "config")
    return getattr(import_module(f"{__name__}.{home}"), name)
