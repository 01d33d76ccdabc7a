"""Validates a run as it goes, keeps its best model, and calibrates that at the end."""

from __future__ import annotations

import time
from dataclasses import asdict, replace

from spatialembed.inference.looks import usual_looks
from spatialembed.inference.predictor import Model, sheet_of
from spatialembed.inference.torch_network import TorchNetwork
from spatialembed.models.axes import in_layout
from spatialembed.models.checkpoint import MODEL_FILE, save_model
from spatialembed.pictures import save_picture
from spatialembed.training.calibrate import calibrate
from spatialembed.training.run import Best, Run
from spatialembed.training.validation import validate

PICTURES = 4
"""Validation images that are pictured at each validation."""


def judge(run: Run) -> None:
    """Validate, keep the model if it is the best so far, and picture some images."""
    began = time.monotonic()
    model = run.judged
    scores = validate(model, run.material.val, fabric=run.fabric, diameters=run.material.diameters)
    score, setting = float(scores.ap[scores.best].mean()), scores.settings[scores.best]
    improved = score > run.best
    if improved:
        notes = {"step": run.step, "steps": run.plan.total, "validation_ap": score}
        spec = model.spec
        # Clustered with the threshold of its score until calibration chooses with more care.
        spec = replace(
            spec, seed_threshold=setting.seed_threshold, training={**spec.training, **notes}
        )
        run.best, run.best_model = score, Best.of(run.kept, spec)
    if not run.fabric.is_global_zero:
        return
    if improved:
        save_model(run.config.out / MODEL_FILE, run.kept, spec)
    _picture(run, model, setting.seed_threshold)
    row = {
        "ap": score,
        "ap50": float(scores.ap50[scores.best].mean()),
        "seed_threshold": setting.seed_threshold,
        "images": len(run.material.val),
        "best": int(improved),
    }
    run.log.validation(run.step, row, time.monotonic() - began)


def finish(run: Run) -> None:
    """Calibrate the best model and store its thresholds."""
    path = run.config.out / MODEL_FILE
    assert run.best_model is not None  # a stage ends with a validation
    network, spec = run.best_model.network(), run.best_model.spec
    if "calibrated" in spec.training:
        run.log.say("nothing left to do: the run is finished")
        return
    run.log.say("calibrating thresholds and minimum size on the validation images")
    network = in_layout(network.to(run.fabric.device))
    spec = replace(spec, seed_threshold=run.material.spec.seed_threshold)
    model = Model(TorchNetwork(network, run.precision), spec)
    spec, scores = calibrate(model, run.material.val, run.fabric, run.material.diameters)
    if not run.fabric.is_global_zero:
        return
    chosen = (spec.seed_threshold, spec.foreground_threshold, spec.min_size)
    row = next(i for i, s in enumerate(scores.settings) if tuple(vars(s).values()) == chosen)
    ap, ap50 = float(scores.ap[row].mean()), float(scores.ap50[row].mean())
    calibrated = {"images": len(run.material.val), "ap": ap, "ap50": ap50}
    notes = {**spec.training, "calibrated": calibrated}
    if spec.dims == 2:
        notes["looks"] = asdict(usual_looks(Model(model.network, spec), run.material.val))
    spec = replace(spec, training=notes)
    save_model(path, network, spec)
    run.best_model = Best.of(network, spec)
    run.save(None)
    best = scores.settings[scores.best]
    gain = float(scores.ap[scores.best].mean()) - ap
    if gain > 0:
        run.log.say(
            f"no change without a clear gain: seed threshold {best.seed_threshold:g}, foreground "
            f"threshold {best.foreground_threshold:g}, minimum size {best.min_size} had {gain:.3f} "
            f"more AP, which on {len(run.material.val)} images may be chance"
        )
    run.log.say(
        f"seed threshold {chosen[0]:g}, foreground threshold {chosen[1]:g}, minimum size "
        f"{chosen[2]}: validation AP {ap:.3f}, AP50 {ap50:.3f}; saved {path}"
    )


def _picture(run: Run, model: Model, seed_threshold: float) -> None:
    for i in range(min(PICTURES, len(run.material.val))):
        sample = run.material.val[i]
        sized = model if (sizes := run.material.diameters) is None else model.seeing(sizes[i])
        output = sized.raw(sample.image)
        found = sized.cluster(output, seed_threshold)
        sheet = sheet_of(sized, sample.image, output, found, sample.label_mask)
        save_picture(run.config.out / "pictures" / f"{run.step:07}_{sample.name}.png", sheet)
