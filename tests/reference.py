"""The method in naive loops: what every fast path must equal.

Written from the formulas of the paper (Neven et al. 2019) with no regard for speed.
"""

from __future__ import annotations

import math

import numpy as np

from spatialembed.embedding import (
    PITCH,
    clamped,
    embed,
    inverse_squared_width,
    per_axis,
    sigmoid,
)

# --- clustering -----------------------------------------------------------------------------


def cluster(
    output: np.ndarray,
    n_sigma: int = 1,
    seed_threshold: float = 0.9,
    foreground_threshold: float = 0.5,
    min_size: int = 1,
    pitch=PITCH,
    margin: float | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Label map, scores and classes by the paper's loop, one pass over the image per seed.

    All of it in float32. The best seed is the unspent foreground pixel of the highest score; at
    equal scores the lower class, then the lower flat pixel index. Its proposal is the foreground
    of its class within φ > 0.5; the pixels (and the seed) are spent for every class.
    """
    shape = output.shape[1:]
    output = output.astype(np.float32)
    finite = np.isfinite(output).all(axis=0)
    if margin is not None:
        output[len(shape) : len(shape) + n_sigma] = 0  # predicted bandwidths play no part
    with np.errstate(invalid="ignore"):  # outputs that are not finite
        position, sigma, logits = embed(output, n_sigma, pitch, margin)
        width = inverse_squared_width(clamped(sigma))
        score = sigmoid(logits)  # (K, *spatial)
    limit = np.float32(math.log(2))
    spent = np.zeros(shape, bool)
    label_map = np.zeros(shape, np.int32)
    foreground = (score > np.float32(foreground_threshold)) & finite
    possible = foreground & (score >= np.float32(seed_threshold))
    scores, classes = [], []
    while True:
        open_seeds = np.where(possible & ~spent, score, np.float32(-1))
        best = int(open_seeds.argmax())  # the first of equals: class, then pixel
        if not open_seeds.size or open_seeds.flat[best] < 0:
            break
        k, *seed = np.unravel_index(best, score.shape)
        distance = np.zeros(shape, np.float32)
        for d in range(len(shape)):
            difference = position[d] - position[(d, *seed)]
            distance = distance + width[(d % n_sigma, *seed)] * (difference * difference)
        proposal = foreground[k] & (distance < limit)
        unassigned = proposal & ~spent
        if proposal.sum() >= min_size and 2 * unassigned.sum() > proposal.sum():
            scores.append(score.flat[best])
            classes.append(k)
            label_map[unassigned] = len(scores)
        spent |= proposal
        spent[tuple(seed)] = True
    return label_map, np.array(scores, np.float32), np.array(classes, np.int32)


def refine(
    output: np.ndarray,
    label_map: np.ndarray,
    classes: np.ndarray,
    n_sigma: int = 1,
    foreground_threshold: float = 0.5,
    pitch=PITCH,
    margin: float | None = None,
    min_size: int = 1,
    least_phi: float = 0.2,
) -> np.ndarray:
    """Label map in which each foreground pixel has the object of its highest φ; not renumbered.

    Centers and bandwidths are means over the objects' pixels. Of equal objects the first wins.
    Objects of fewer pixels than ``min_size`` are then background.
    """
    shape = output.shape[1:]
    with np.errstate(invalid="ignore"):
        position, sigma, logits = embed(output.astype(np.float32), n_sigma, pitch, margin)
        foreground = sigmoid(logits) > np.float32(foreground_threshold)
    foreground &= np.isfinite(output).all(axis=0)
    sigma = clamped(sigma)
    refined = np.zeros(shape, np.int32)
    least = np.full(shape, -math.log(least_phi), np.float32)
    for k, kind in enumerate(classes, 1):
        own = (label_map == k) & foreground[kind]
        if not own.any():
            continue
        width = inverse_squared_width(sigma[:, own].mean(1, dtype=np.float64).astype(np.float32))
        center = position[:, own].mean(1, dtype=np.float64).astype(np.float32)
        distance = np.zeros(shape, np.float32)
        for d in range(len(shape)):
            difference = position[d] - center[d]
            distance = distance + width[d % n_sigma] * (difference * difference)
        closer = foreground[kind] & (distance < least)
        refined[closer], least[closer] = k, distance[closer]
    for k in range(1, len(classes) + 1):
        if (refined == k).sum() < min_size:
            refined[refined == k] = 0
    return refined


# --- scoring --------------------------------------------------------------------------------


def overlap_table(
    label_map: np.ndarray, label_mask: np.ndarray, ignore: np.ndarray | None = None
) -> np.ndarray:
    """(T, N) float32 IoU of every true with every found object, by ids increasing.

    Of volumes what is found where nobody knows is not counted.
    """
    true_ids, true = np.unique(label_mask, return_inverse=True)
    found_ids, found = np.unique(label_map, return_inverse=True)
    common = np.zeros((len(true_ids), len(found_ids)), np.int64)
    known = np.ones(label_map.shape, np.int64)
    if ignore is not None and ignore.ndim == 3:
        known -= ignore & (label_mask == 0)
    np.add.at(common, (true.ravel(), found.ravel()), known.ravel())
    union = common.sum(1)[:, None] + common.sum(0) - common
    iou = (common / np.maximum(union, 1)).astype(np.float32)
    return iou[true_ids != 0][:, found_ids != 0]


def pairs(iou: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the best assignment among all pairs, by stardist.matching's rule."""
    from scipy.optimize import linear_sum_assignment

    hit = iou >= np.float32(threshold)
    if not hit.any():
        return np.nonzero(hit)
    gain = hit + iou.astype(np.float64) / (2 * min(iou.shape))
    rows, columns = linear_sum_assignment(gain, maximize=True)
    kept = hit[rows, columns]
    return rows[kept], columns[kept]


def score(
    label_map: np.ndarray,
    label_mask: np.ndarray,
    ignore: np.ndarray,
    threshold: float,
) -> tuple[int, int, int, float]:
    """TP, FP, FN and the sum of the matched pairs' IoU of one image of one class."""
    iou = overlap_table(label_map, label_mask, ignore)
    ids = [n for n in np.unique(label_map) if n]
    spared = np.array([ignore[label_map == n].mean() > 0.5 for n in ids], bool)
    rows, columns = pairs(iou, threshold)
    spared[columns] = False
    over = iou.shape[1] - len(columns) - int(spared.sum())
    return len(rows), over, iou.shape[0] - len(rows), float(iou[rows, columns].sum(dtype=float))


# --- loss -----------------------------------------------------------------------------------


def lovasz_hinge(logits: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    """Value and gradient in the logits of one mask's hinge, by the set function itself."""
    sign = np.where(labels, 1.0, -1.0)
    errors = np.maximum(1 - logits * sign, 0)
    value, gradient = 0.0, np.zeros_like(logits)
    intersection = union = int(labels.sum())
    jaccard = 0.0
    # The prediction starts as the mask itself and turns wrong pixel by pixel, worst first.
    for i in sorted(range(len(errors)), key=lambda i: -errors[i]):
        if labels[i]:
            intersection -= 1
        else:
            union += 1
        grown = 1 - intersection / union
        value += errors[i] * (grown - jaccard)
        gradient[i] = -(grown - jaccard) * sign[i] * (errors[i] > 0)
        jaccard = grown
    return value, gradient


def lovasz_hinge_by_sorting(logits, labels):
    """The same value in torch, differentiable: algorithm 1 of Berman et al., one sort of all."""
    import torch

    errors = (1 - torch.where(labels, logits, -logits)).clamp(min=0)
    errors, order = errors.sort(descending=True)
    inside = labels[order].to(errors.dtype)
    intersection = inside.sum() - inside.cumsum(0)
    union = inside.sum() + (1 - inside).cumsum(0)
    jaccard = 1 - intersection / union
    return (errors * jaccard.diff(prepend=jaccard.new_zeros(1))).sum()


def medoid(points: np.ndarray) -> int:
    """Index of the point of (N, D) with the least sum of distances; the first of equal ones."""
    sums = [sum(math.dist(a, b) for b in points) for a in points]
    return next(i for i, s in enumerate(sums) if s <= min(sums) * (1 + 1e-9))


def loss(
    output,
    label_mask,
    class_map=None,
    ignore=None,
    n_sigma: int = 1,
    center: str = "centroid",
    foreground_weight=10.0,
    weights=(1.0, 10.0, 1.0),
    pitch=PITCH,
    margin: float | None = None,
    drift_weight: float = 10.0,
):
    """The joint loss in torch, one full-image sort per object; differentiable.

    Same arguments and terms as ``SpatialEmbeddingLoss``; computed in the output's dtype.
    """
    import torch

    dims = output.ndim - 2
    classes = output.shape[1] - dims - n_sigma
    per_class = np.broadcast_to(np.asarray(foreground_weight, float), (classes,))
    totals = {name: output.new_zeros(()) for name in ("instance", "variance", "seed")}
    drift = output.new_zeros(())
    for b in range(len(output)):
        shape = output.shape[2:]
        steps = per_axis(pitch, dims)  # x, y, z
        lines = [
            torch.arange(n, dtype=output.dtype, device=output.device) * step
            for n, step in zip(shape, steps[::-1], strict=True)
        ]
        grid = torch.stack(torch.meshgrid(*lines, indexing="ij")).flip(0)  # x, y, z
        position = grid + torch.tanh(output[b, :dims])
        sigma = output[b, dims : dims + n_sigma].clamp(-2, 2)
        if margin is not None:
            sigma = torch.full_like(sigma, math.log(math.log(2) / (margin * min(steps)) ** 2) / 10)
        score = torch.sigmoid(output[b, dims + n_sigma :])
        everywhere = torch.ones(shape, dtype=torch.bool, device=output.device)
        valid = everywhere if ignore is None else ~ignore[b]
        target = torch.zeros_like(score)
        weight = valid.to(score.dtype).expand_as(score).clone()
        instance, variance, moved = [], [], []
        for label in label_mask[b][valid].unique().tolist():
            if label == 0:
                continue
            own = (label_mask[b] == label) & valid
            mean_sigma = sigma[:, own].mean(1)
            where = {"centroid": grid, "learned": position}.get(center)
            if center == "medoid":
                points = grid[:, own].T
                middle = points[medoid(points.cpu().numpy())]
            else:
                middle = where[:, own].mean(1)
            moved.append(middle - grid[:, own].mean(1))
            column = (slice(None), *[None] * dims)
            exponent = (torch.exp(10 * mean_sigma)[column] * (position - middle[column]) ** 2).sum(
                0
            )
            phi = torch.exp(-exponent)
            instance.append(lovasz_hinge_by_sorting((2 * phi - 1)[valid], own[valid]))
            variance.append(((sigma[:, own] - mean_sigma.detach()[:, None]) ** 2).mean())
            k = torch.zeros_like(label_mask[b]) if class_map is None else class_map[b]
            for c in range(classes):
                of_class = own & (k == c)
                target[c][of_class] = phi.detach()[of_class]
                weight[c][of_class] = float(per_class[c])
        seed = (weight * (score - target) ** 2).sum() / max(int(valid.sum()), 1)
        if instance:
            totals["instance"] = totals["instance"] + torch.stack(instance).mean()
            totals["variance"] = totals["variance"] + torch.stack(variance).mean()
            drift = drift + (torch.stack(moved).mean(0) ** 2).sum()
        totals["seed"] = totals["seed"] + seed
    if center == "learned" and drift_weight:
        totals["drift"], weights = drift, (*weights, drift_weight)
    totals = {name: value / max(len(output), 1) for name, value in totals.items()}
    parts = zip(weights, totals.values(), strict=True)
    totals["total"] = sum(w * value for w, value in parts)
    return totals
