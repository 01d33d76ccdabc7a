"""Validates a run as it goes, keeps its best model, and calibrates that at the end."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from statistics import fmean

from spatialembed.data.data_set import FileDataSet
from spatialembed.inference.explaining import sheet_of
from spatialembed.inference.looks import usual_looks
from spatialembed.inference.predictor import Model
from spatialembed.inference.torch_network import TorchNetwork
from spatialembed.models.axes import in_layout
from spatialembed.models.checkpoint import MODEL_FILE, save_model
from spatialembed.pictures import save_picture
from spatialembed.training.calibrate import calibrate
from spatialembed.training.run import Best, Run, precision_of
from spatialembed.training.validation import Setting, Validation, validate

PICTURES = 4
"""Validation images that are pictured at each validation."""


def judge(run: Run) -> None:
    """Validate, keep the model if it is the best so far, and picture some images."""
    began = time.monotonic()
    model = run.judged
    pairs = run.judged_on(model)
    each = [validate(one, val, None, run.fabric, run.material.diameters) for one, val in pairs]
    aps = [float(scores.ap[scores.best].mean()) for scores in each]
    seeds = [scores.settings[scores.best].seed_threshold for scores in each]
    score = fmean(aps)
    improved = score > run.best
    if improved:
        notes = {"step": run.step, "steps": run.plan.total, "validation_ap": score}
        # Clustered with the threshold of its score until calibration chooses with more care.
        chosen = [replace(o.spec, seed_threshold=s) for (o, _), s in zip(pairs, seeds, strict=True)]
        spec = replace(model.spec.settled(chosen), training={**model.spec.training, **notes})
        run.best, run.best_model = score, Best.of(run.kept, spec)
    if not run.fabric.is_global_zero:
        return
    if improved:
        save_model(run.config.out / MODEL_FILE, run.kept, spec)
    for (one, val), seed in zip(pairs, seeds, strict=True):
        _picture(run, one, val, seed)
    row = {
        "ap": score,
        "ap50": fmean(float(scores.ap50[scores.best].mean()) for scores in each),
        **_by_target("seed_threshold", model, seeds),
        **(_by_target("ap", model, aps) if model.spec.targets else {}),
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
    first = zip(spec.each(), run.material.spec.each(), strict=True)
    spec = spec.settled([replace(s, seed_threshold=own.seed_threshold) for s, own in first])
    pairs = run.judged_on(Model(TorchNetwork(network, precision_of(run.fabric)), spec))
    found = [calibrate(m, val, run.fabric, run.material.diameters) for m, val in pairs]
    if not run.fabric.is_global_zero:
        return
    spec = spec.settled([one for one, _ in found])
    rows = [scores.settings.index(Setting.of(one)) for one, scores in found]
    ap = fmean(float(s.ap[row].mean()) for (_, s), row in zip(found, rows, strict=True))
    ap50 = fmean(float(s.ap50[row].mean()) for (_, s), row in zip(found, rows, strict=True))
    calibrated = {"images": len(run.material.val), "ap": ap, "ap50": ap50}
    notes = {**spec.training, "calibrated": calibrated}
    if spec.dims == 2 and not spec.targets:
        notes["looks"] = asdict(usual_looks(Model(pairs[0][0].network, spec), run.material.val))
    spec = replace(spec, training=notes)
    save_model(path, network, spec)
    run.best_model = Best.of(network, spec)
    run.save(None)
    for (one, scores), row in zip(found, rows, strict=True):
        of = f"{one.class_names[0]}: " if spec.targets else ""
        for sentence in _told(scores, row):
            run.log.say(of + sentence)
    run.log.say(f"saved {path}")


def _told(scores: Validation, row: int) -> Iterator[str]:
    """What was chosen, and what was better by so little that it may be chance."""
    top = int(scores.worth.mean(1).argmax())
    chosen, best = scores.settings[row], scores.settings[top]
    ap, ap50 = float(scores.ap[row].mean()), float(scores.ap50[row].mean())
    gain = float((scores.worth[top] - scores.worth[row]).mean())
    what = "AP" if scores.spared is None else "AP (and fewer found where nothing is)"
    if gain > 0:
        yield (
            f"no change without a clear gain: seed threshold {best.seed_threshold:g}, foreground "
            f"threshold {best.foreground_threshold:g}, minimum size {best.min_size} had {gain:.3f} "
            f"more {what}, which on {scores.ap.shape[1]} images may be chance"
        )
    yield (
        f"seed threshold {chosen.seed_threshold:g}, foreground threshold "
        f"{chosen.foreground_threshold:g}, minimum size {chosen.min_size}: validation AP {ap:.3f}, "
        f"AP50 {ap50:.3f}"
    )


def _by_target(name: str, model: Model, values: Sequence[float]) -> dict[str, float]:
    """A column a target, or the only one."""
    if not model.spec.targets:
        return {name: values[0]}
    return {f"{name}_{of}": v for of, v in zip(model.spec.class_names, values, strict=True)}


def _picture(run: Run, model: Model, val: FileDataSet, seed_threshold: float) -> None:
    of = "" if model.target is None else f"_{model.spec.class_names[0]}"
    for i in range(min(PICTURES, len(val))):
        sample = val[i]
        sized = model if (sizes := run.material.diameters) is None else model.seeing(sizes[i])
        output = sized.raw(sample.image)
        found = sized.cluster(output, seed_threshold)
        sheet = sheet_of(sized, sample.image, output, found, sample.label_mask)
        name = f"{run.step:07}_{sample.name}{of}.png"
        save_picture(run.config.out / "pictures" / name, sheet)
