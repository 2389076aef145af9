# SPDX-License-Identifier: Apache-2.0
"""Filling what a texture does not show, from coarse to fine (HRN, section 3.2): mirrored, then from around."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def inpainted(colours: Floats, weight: Floats, mirror: Floats) -> Floats:
    """What is seen, and elsewhere the other half's colours fitted to it, and elsewhere what lies around.

    Args:
        colours: [T, T, 3] from 0 to 255.
        weight: [T, T] how surely each is seen, 0 to 1.
        mirror: [T, T, 2] column and row of the texel on the other half, pixel centres at integers.

    Returns:
        [T, T, 3].
    """
    other, there = sampled(colours, mirror), sampled(weight, mirror)
    both = weight * there
    difference = (np.log(colours + 8.0) - np.log(other + 8.0)).clip(-0.7, 0.7)
    ratio = pull_push(np.asarray(difference, np.float32), both)
    fitted = (other + 8.0) * np.exp(ratio) - 8.0
    known = weight + (1.0 - weight) * there
    mixed = (colours * weight[..., None] + fitted * ((1.0 - weight) * there)[..., None]) / np.maximum(known, 1e-4)[
        ..., None
    ]
    around = pull_push(np.asarray(mixed, np.float32), known)
    return np.asarray(mixed * known[..., None] + around * (1.0 - known[..., None]), np.float32)


def pull_push(values: Floats, weight: Floats) -> Floats:
    """Values [T, T, C] where their weight is, carried on smoothly where it is not (Gortler et al. 1996, pull-push)."""
    if min(weight.shape) <= 2 or not weight.any():
        total = weight.sum()
        mean = (values * weight[..., None]).sum((0, 1)) / total if total > 0 else np.zeros(values.shape[-1])
        return np.broadcast_to(mean, values.shape).astype(np.float32)
    size = (weight.shape[1] // 2, weight.shape[0] // 2)
    smaller = cv2.resize(weight.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    pulled = cv2.resize((values * weight[..., None]).astype(np.float32), size, interpolation=cv2.INTER_AREA)
    means = np.asarray(pulled / np.maximum(smaller, 1e-6)[..., None], np.float32)
    coarse = pull_push(means, np.minimum(np.float32(1), 4 * np.asarray(smaller, np.float32)))
    wide = cv2.resize(coarse, weight.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(wide + (values - wide) * weight[..., None].clip(0.0, 1.0), np.float32)


def sampled(values: Floats, grid: Floats, interpolation: int = cv2.INTER_LINEAR) -> Floats:
    """A map [H, W] or [H, W, C] at columns and rows [T, T, 2]; its border goes on outside it."""
    x, y = np.ascontiguousarray(grid[..., 0]), np.ascontiguousarray(grid[..., 1])
    return np.asarray(cv2.remap(values, x, y, interpolation, borderMode=cv2.BORDER_REPLICATE))
