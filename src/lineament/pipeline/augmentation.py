# SPDX-License-Identifier: Apache-2.0
"""Several views of one face become one estimate: test-time augmentation and the finer crop, quantity by quantity.

Normals, uncertainty, depth and albedo are averaged over views, and take their detail from the finer crop. Meshes, maps
of the UV chart and coefficients cannot be averaged pixel by pixel: they come from the first view.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lineament.geometry.normals import depth_to_normals
from lineament.inference.predictor import Prediction, expected_angle
from lineament.pipeline.view import MIRROR, middle_of, resized
from lineament.result.crop_estimate import CropEstimate, Maps
from lineament.result.geometry import unit_normals

DETAIL = 0.011
"""Sigma of the blur that parts shape from detail, of the crop's side."""

_LARGEST_DETAIL = 0.35  # root mean square of the detail of depth above which it is none, of that blur's sigma
_SEAM = 0.04  # of the crop's side, over which the closer view fades out

Map = NDArray[np.float32]


def crop_estimate(prediction: Prediction, index: int) -> CropEstimate:
    """What a method says of one of the crops that it was shown, with its depth's normals where it has no others."""
    depths = tuple(depth[index] for depth in prediction.depths)
    normals = tuple(maps[index] for maps in prediction.normals)
    mesh, places = None, None
    if prediction.meshes:
        mesh = prediction.meshes[index]
        places = prediction.cameras[index].project(mesh.vertices) / prediction.side
    return CropEstimate(
        normals=normals or tuple(depth_to_normals(len(depth) * depth) for depth in depths),
        uncertainty=tuple(expected_angle(kappa[index]) for kappa in prediction.concentrations),
        depths=depths,
        albedo=_one(prediction.albedo, index),
        restored=_one(prediction.restored, index),
        mesh=mesh,
        mesh_places=places,
        position_map=_one(prediction.position_map, index),
        rotation=_one(prediction.rotation, index),
        texture_map=_one(prediction.texture_map, index),
        deformation_map=_one(prediction.deformation_map, index),
        displacement_map=_one(prediction.displacement_map, index),
        coefficients={name: values[index] for name, values in prediction.coefficients.items()},
    )


def averaged(first: CropEstimate, second: CropEstimate) -> CropEstimate:
    """The mean of a view's estimate and of the closer, mirrored one's."""
    return replace(
        first,
        normals=_pairwise(mean_normals, first.normals, second.normals),
        uncertainty=_pairwise(mean_map, first.uncertainty, second.uncertainty),
        depths=_pairwise(mean_depth, first.depths, second.depths),
        albedo=_both(mean_map, first.albedo, second.albedo),
        restored=_both(mean_map, first.restored, second.restored),
    )


def with_detail(coarse: CropEstimate, fine: CropEstimate) -> CropEstimate:
    """An estimate with the detail of the finer crop's, at that crop's size (`benchmarks/accuracy/own_resolution.py`).

    The networks know whole faces at their own size only; seen larger, the shape goes wrong but the detail is right.
    """
    side = len(fine.normals[0])
    return replace(
        coarse,
        normals=_pairwise(detailed_normals, coarse.normals, fine.normals),
        uncertainty=tuple(resized(angles, side) for angles in coarse.uncertainty),
        depths=_pairwise(detailed_depth, coarse.depths, fine.depths),
        albedo=_both(detailed_colours, coarse.albedo, fine.albedo),
        restored=_both(detailed_colours, coarse.restored, fine.restored),
    )


def at_side(estimate: CropEstimate, side: int) -> CropEstimate:
    """An estimate whose maps of the crop have another number of pixels."""
    if len(estimate.normals[0]) == side:
        return estimate
    return replace(
        estimate,
        normals=tuple(unit_normals(resized(normals, side)) for normals in estimate.normals),
        uncertainty=tuple(resized(angles, side) for angles in estimate.uncertainty),
        depths=tuple(resized(depth, side) for depth in estimate.depths),
        albedo=None if estimate.albedo is None else resized(estimate.albedo, side),
        restored=None if estimate.restored is None else resized(estimate.restored, side),
    )


def mean_map(whole: Map, mirrored: Map) -> Map:
    """The mean of values S×S or S×S×C of a view and of the closer, mirrored one, where both see."""
    return _blended(whole, mirrored[:, ::-1])


def mean_normals(whole: Map, mirrored: Map) -> Map:
    """The mean direction S×S×3; see `mean_map`."""
    return unit_normals(_blended(whole, mirrored[:, ::-1] * MIRROR))


def mean_depth(whole: Map, mirrored: Map) -> Map:
    """The mean depth S×S, shares of the whole view's side.

    The closer view's depths are shares of a smaller side, and from a zero of their own: that zero is the one at which
    both agree in the middle of what both see.
    """
    rows, columns = middle_of(len(whole))
    share = (rows.stop - rows.start) / len(whole)
    closer = np.asarray(mirrored[:, ::-1] * np.float32(share))
    difference = whole[rows, columns] - resized(closer, rows.stop - rows.start)
    return _blended(whole, closer + np.float32(np.median(difference)))


def detailed_map(coarse: Map, fine: Map) -> Map:
    """What is smooth in one map, enlarged, and what is not in a finer one, S×S×C."""
    side = len(fine)
    enlarged = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
    sigma = DETAIL * side
    both = cv2.GaussianBlur(enlarged, (0, 0), sigma) + fine - cv2.GaussianBlur(fine, (0, 0), sigma)
    return np.asarray(both, dtype=np.float32)


def detailed_normals(coarse: Map, fine: Map) -> Map:
    """The shape of coarse normals with the detail of fine ones, S×S×3; see `detailed_map`."""
    return unit_normals(detailed_map(coarse, fine))


def detailed_depth(coarse: Map, fine: Map) -> Map:
    """The shape of a coarse depth with the detail of a fine one, S×S, both shares of one side.

    Where one surface ends and another begins, at chin and ears, the two put the step at different places: what they
    differ by there is no detail and is left out, smoothly.
    """
    side = len(fine)
    sigma = DETAIL * side
    # A spline, whose second derivative is continuous: OpenCV's cubic leaves ripples in the normals.
    enlarged = ndimage.zoom(coarse, side / len(coarse), order=3, mode="nearest", grid_mode=True)
    difference = fine - enlarged
    finer = difference - cv2.GaussianBlur(difference, (0, 0), sigma)
    strength = cv2.GaussianBlur(finer**2, (0, 0), 2.0 * sigma) / (_LARGEST_DETAIL * DETAIL) ** 2
    return np.asarray(enlarged + finer / (1.0 + strength**2), np.float32)


def detailed_colours(coarse: Map, fine: Map) -> Map:
    """The colours of a coarse picture with the detail of a fine one, S×S×3; see `detailed_map`."""
    return detailed_map(coarse, fine).clip(0.0, 1.0)


def _blended(whole: Map, closer: Map) -> Map:
    """The mean of a map and of the closer view's, turned back, in the middle, where it fades in from its edges."""
    side = len(whole)
    middle = middle_of(side)
    inner = middle[0].stop - middle[0].start
    from_edge = np.minimum(np.arange(inner) + 0.5, np.arange(inner)[::-1] + 0.5) / (_SEAM * side)
    fade = from_edge.clip(0.0, 1.0).astype(np.float32)
    weight = np.minimum(fade[:, None], fade[None, :])
    weight = weight if whole.ndim == 2 else weight[..., None]
    both = whole.copy()
    both[middle] += 0.5 * weight * (resized(np.ascontiguousarray(closer), inner) - whole[middle])
    return both


def _one(values: Map | None, index: int) -> Map | None:
    """One crop's of all."""
    return None if values is None else values[index]


def _pairwise(work: Callable[[Map, Map], Map], first: Maps, second: Maps) -> Maps:
    """Of every stage."""
    return tuple(work(*pair) for pair in zip(first, second, strict=True))


def _both(work: Callable[[Map, Map], Map], first: Map | None, second: Map | None) -> Map | None:
    """Of what both say."""
    return first if first is None or second is None else work(first, second)
