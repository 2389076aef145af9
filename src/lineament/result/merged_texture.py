# SPDX-License-Identifier: Apache-2.0
"""One texture of a head from several photos: who sees a texel best gives its detail, all who see it give its colour."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from lineament.images.inpaint import pull_push
from lineament.result.head_texture import HeadTexture

Floats = NDArray[np.float32]

_COARSE = 0.02  # of the texture's side: sigma of the blur that parts colour from detail
_SEAM = 0.003  # of the texture's side, over which the detail of one photo passes into another's
_BEST = 6  # power of the weights, of the detail: nearly all of it is the best photo's
_UNSEEN = 0.15  # weight below which a texel is filled in
_ADDED = 8.0  # grey values, so that black has a logarithm
_MOST = 0.9  # largest difference of two photos' light, logarithm


def merged_texture(textures: Sequence[HeadTexture], sharpness: Sequence[float]) -> HeadTexture:
    """Merge what several photos show of one head.

    The photos' light differs: each texture is brought to the colours of the one that shows most, smoothly, where both
    show the head.

    Args:
        textures: Of one atlas.
        sharpness: How sharp each photo is, of any unit.
    """
    weights = [np.asarray(one.visibility * sharp, np.float32) for one, sharp in zip(textures, sharpness, strict=True)]
    first = int(np.argmax([weight.sum() for weight in weights]))
    reference, known = textures[first].colours.astype(np.float32), textures[first].visibility
    colours = [
        own.colours.astype(np.float32)
        if number == first
        else _in_light_of(own.colours.astype(np.float32), own.visibility, reference, known)
        for number, own in enumerate(textures)
    ]
    side = len(reference)
    largest = np.maximum(np.max(weights, axis=0), 1e-6)
    best = [cv2.GaussianBlur((weight / largest) ** _BEST, (0, 0), _SEAM * side) * (weight > 0) for weight in weights]
    smooth = [_blurred(own, weight, _COARSE * side) for own, weight in zip(colours, weights, strict=True)]
    coarse = _mean(smooth, weights)
    detail = _mean([own - low for own, low in zip(colours, smooth, strict=True)], best)
    visibility = np.max([one.visibility for one in textures], axis=0)
    shown = (visibility / _UNSEEN).clip(0.0, 1.0)[..., None]
    merged = reference + (coarse + detail - reference) * shown
    return HeadTexture(np.rint(merged).clip(0, 255).astype(np.uint8), np.asarray(visibility, np.float32))


def merged_map(maps: Sequence[Floats], weights: Sequence[Floats]) -> Floats:
    """The weighted mean of maps [T, T], zero where none has weight."""
    return _mean([each[..., None] for each in maps], list(weights))[..., 0]


def sharpness_of(picture: NDArray[np.uint8]) -> float:
    """How sharp a crop is: the spread of its Laplacian, grey values, beside what noise alone would give."""
    grey = cv2.GaussianBlur(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32), (0, 0), 1.0)
    return float(cv2.Laplacian(grey, cv2.CV_32F).std() / max(float(grey.std()), 1.0) + 0.01)


def _in_light_of(own: Floats, seen: Floats, reference: Floats, known: Floats) -> Floats:
    """Colours [T, T, 3] brought to the reference's where both are seen, and smoothly on."""
    difference = (np.log(reference + _ADDED) - np.log(own + _ADDED)).clip(-_MOST, _MOST)
    both = np.asarray(seen * known, np.float32)
    ratio = pull_push(np.asarray(_blurred(np.asarray(difference, np.float32), both, _COARSE * len(own))), both)
    return np.asarray((own + _ADDED) * np.exp(ratio) - _ADDED, np.float32)


def _blurred(values: Floats, weight: Floats, sigma: float) -> Floats:
    """Values [T, T, C] blurred among those that have weight."""
    total = cv2.GaussianBlur(weight, (0, 0), sigma)
    blurred = cv2.GaussianBlur(values * weight[..., None], (0, 0), sigma)
    return np.asarray(
        np.where(total[..., None] > 1e-4, blurred / np.maximum(total, 1e-4)[..., None], values), np.float32
    )


def _mean(values: Sequence[Floats], weights: Sequence[Floats]) -> Floats:
    total = np.sum(weights, axis=0)
    both = np.sum([value * weight[..., None] for value, weight in zip(values, weights, strict=True)], axis=0)
    return np.asarray(both / np.maximum(total, 1e-6)[..., None], np.float32)
