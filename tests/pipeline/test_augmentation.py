# SPDX-License-Identifier: Apache-2.0
"""Views of one face become one estimate: means and details of every kind of quantity, on surfaces that are known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from lineament.geometry import angular_error, depth_to_normals
from lineament.geometry.camera import ScaledOrthography
from lineament.geometry.mesh import Mesh
from lineament.inference.predictor import Prediction, expected_angle
from lineament.pipeline.augmentation import (
    at_side,
    averaged,
    crop_estimate,
    detailed_depth,
    mean_depth,
    mean_map,
    mean_normals,
    with_detail,
)
from lineament.pipeline.view import MIRROR, resized
from lineament.result.crop_estimate import CropEstimate

SIDE = 96  # of which the closer view shows 80 / 96 = 1 / 1.2


def bump(side: int, closer: float = 1.0) -> NDArray[np.float32]:
    """A lopsided hill in shares of a square's side, as a view of it that is so much closer sees it."""
    place = (np.arange(side) + 0.5) / side
    x, y = np.meshgrid((place - 0.5) / closer + 0.5, (place - 0.5) / closer + 0.5)
    hill = 0.3 * np.exp(-((x - 0.45) ** 2 + (y - 0.55) ** 2) / 0.08) + 0.1 * x
    return np.asarray(closer * hill, np.float32)


def test_depth_of_a_closer_view_is_brought_to_the_same_unit_and_zero() -> None:
    whole = bump(SIDE)
    second = bump(SIDE, 1.2)[:, ::-1] + np.float32(0.37)
    assert np.abs(mean_depth(whole, second) - whole).max() < 1e-3
    higher = whole.copy()
    higher[44:52, 44:52] += 0.02  # what only one of both sees counts half
    difference = mean_depth(higher, second) - whole
    assert np.abs(difference[45:51, 45:51] - 0.01).max() < 1e-3
    assert np.abs(difference[:30]).max() < 1e-3


def test_the_closer_view_counts_half_in_the_middle_and_not_at_the_border() -> None:
    low, high = np.zeros((SIDE, SIDE), np.float32), np.ones((SIDE, SIDE), np.float32)
    mean = mean_map(low, high)
    assert np.allclose(mean[20:-20, 20:-20], 0.5)
    assert (mean[:8] == 0).all()
    right = np.broadcast_to(np.float32([0.6, 0.0, 0.8]), (SIDE, SIDE, 3))
    assert np.allclose(mean_normals(right, right * MIRROR), right, atol=1e-6)  # the mirrored view sees it mirrored
    assert np.allclose(mean_normals(right, right)[48, 48], [0.0, 0.0, 1.0], atol=1e-6)


def test_detail_of_depth_is_the_fine_ones_and_shape_the_coarse_ones() -> None:
    side = 160
    ripple = 0.001 * np.sin(2.0 * np.arange(side))[None, :].repeat(side, 0).astype(np.float32)
    coarse, shape = bump(SIDE), bump(side)
    fine = ripple + np.float32(0.5) * shape  # a shape that is wrong
    found = detailed_depth(coarse, fine)
    missing = np.abs(found - shape - ripple)[12:-12, 12:-12]
    assert missing.max() < 6e-4
    assert missing.mean() < 1e-4
    assert np.abs(found - shape)[12:-12, 12:-12].max() > 8e-4
    normals = angular_error(depth_to_normals(side * found), depth_to_normals(side * (shape + ripple)))
    assert normals[12:-12, 12:-12].mean() < 1.0


def test_an_outline_at_another_place_is_no_detail() -> None:
    side = 160
    coarse, fine = bump(SIDE), bump(side)
    coarse[70:] -= 0.3  # the chin ends here
    fine[110:] -= 0.3  # and here, 6 pixels higher
    found = detailed_depth(coarse, fine)
    assert np.abs(found[:80] - bump(side)[:80]).max() < 1e-3
    near = found[100:113]  # still the chin: neither a groove nor a rim
    assert np.abs(near - bump(side)[100:113])[:, 20:-20].max() < 0.02


def everything(side: int, scale: float = 1.0) -> Prediction:
    """A prediction of two crops with all that a method may give."""
    vertices = np.array([[0.0, 0.0, 5.0], [10.0, 0.0, 0.0], [0.0, 20.0, 0.0]])
    flat = np.zeros((2, side, side, 3), np.float32) + np.float32([0, 0, 1])
    return Prediction(
        normals=(flat,),
        concentrations=(np.full((2, side, side), 10.0 * scale, np.float32),),
        depths=(np.stack([bump(side), bump(side) + 1.0]),),
        albedo=np.full((2, side, side, 3), 0.5 * scale, np.float32),
        position_map=np.full((2, 8, 8, 3), scale, np.float32),
        deformation_map=np.full((2, 8, 8, 3), scale, np.float32),
        displacement_map=np.full((2, 8, 8), scale, np.float32),
        coefficients={"identity": np.full((2, 5), scale, np.float32)},
        cameras=[ScaledOrthography(2.0, (0.5 * side, 0.5 * side))] * 2,
        meshes=[Mesh(scale * vertices, np.array([[0, 1, 2]]))] * 2,
    )


def test_what_cannot_be_averaged_is_the_first_views() -> None:
    first, second = crop_estimate(everything(SIDE), 1), crop_estimate(everything(SIDE, 2.0), 1)
    assert np.array_equal(first.depths[0], bump(SIDE) + 1.0)
    both = averaged(first, second)
    kappa = np.float32([10.0, 20.0])
    assert both.uncertainty[0][48, 48] == pytest.approx(expected_angle(kappa).mean(), rel=1e-5)
    assert both.albedo is not None
    assert both.albedo[48, 48, 0] == pytest.approx(0.75)
    assert both.mesh is first.mesh
    assert both.mesh_places is not None
    assert np.allclose(both.mesh_places * SIDE, [[48, 48], [68, 48], [48, 8]])
    assert both.position_map is first.position_map
    assert both.deformation_map is first.deformation_map
    assert both.displacement_map is first.displacement_map
    assert both.coefficients["identity"].tolist() == [1.0] * 5
    finer = with_detail(both, crop_estimate(everything(160), 1))
    assert finer.normals[0].shape == finer.albedo.shape == (160, 160, 3)  # type: ignore[union-attr]
    assert finer.depths[0].shape == finer.uncertainty[0].shape == (160, 160)
    assert np.array_equal(finer.mesh_places, both.mesh_places)  # type: ignore[arg-type]
    assert at_side(finer, 160) is finer
    smaller = at_side(finer, 80)
    assert smaller.normals[0].shape == (80, 80, 3)
    assert np.allclose(smaller.depths[0], resized(finer.depths[0], 80))


def test_normals_are_those_of_the_depth_where_there_are_no_others() -> None:
    depth = np.stack([bump(SIDE), bump(SIDE)[::-1]])
    estimate = crop_estimate(Prediction(depths=(depth,)), 1)
    assert np.array_equal(estimate.normals[0], depth_to_normals(SIDE * depth[1]))
    assert averaged(estimate, estimate).uncertainty == ()
    assert averaged(estimate, estimate).albedo is None


def test_a_prediction_says_at_least_what_the_surface_is() -> None:
    with pytest.raises(ValueError, match="normals or depths"):
        Prediction(coefficients={"identity": np.zeros((1, 5), np.float32)})
    mesh = Mesh(np.eye(3), np.array([[0, 1, 2]]))
    with pytest.raises(ValueError, match="need cameras"):
        Prediction(depths=(bump(SIDE)[None],), meshes=[mesh])


def test_an_estimate_needs_normals_alone() -> None:
    flat = np.zeros((SIDE, SIDE, 3), np.float32) + np.float32([0, 0, 1])
    assert np.allclose(averaged(CropEstimate((flat,)), CropEstimate((flat,))).normals[0], flat)
