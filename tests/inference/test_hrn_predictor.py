# SPDX-License-Identifier: Apache-2.0
"""HRN on ONNX Runtime: the engines agree, and the head lies where its camera sees it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from lineament.errors import UsageError
from lineament.geometry.angular import angular_error
from lineament.geometry.camera import Perspective
from lineament.methods.hrn.coefficients import SIZES
from lineament.methods.hrn.head import assumed_camera, drawn, maps_of, mesh_of
from lineament.methods.hrn.model import HRN
from lineament.methods.hrn.predictor import HRNPredictor
from lineament.methods.hrn.texture import charted
from lineament.networks.weight_files import load_weights
from lineament.rig import load_rig
from lineament.rig.face_chart import deformed_by
from lineament.rig.posing import DISTANCE, FOCAL


def coefficients(**given: list[float]) -> dict[str, np.ndarray]:
    none = {name: np.zeros(size, np.float32) for name, size in SIZES.items()}
    return {**none, **{name: np.array(values, np.float32) for name, values in given.items()}}


def test_engines_agree(hrn_weights: Path) -> None:
    session, model = HRNPredictor(hrn_weights), load_weights(hrn_weights, HRN)
    crops = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    with torch.no_grad():
        expected = model(torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255)
    found = session.run(crops)
    for name, values in expected.items():
        assert np.abs(found.coefficients[name] - values.numpy()).max() < 1e-3, name
    assert found.normals[0].shape == (2, 64, 64, 3)
    assert found.depths[0].shape == (2, 64, 64)
    assert len(found.meshes[0].vertices) == load_rig().vertex_count
    larger = session.run(crops.repeat(3, 1).repeat(3, 2))  # seen at the network's own size
    assert larger.normals[0].shape == (2, 192, 192, 3)
    assert np.abs(larger.coefficients["identity"] - found.coefficients["identity"]).max() < 0.05
    with pytest.raises(UsageError, match="0 to 2"):
        session.run(crops, 3)


def test_engines_agree_on_the_maps(hrn_weights: Path) -> None:
    session, model = HRNPredictor(hrn_weights), load_weights(hrn_weights, HRN)
    crops = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), dtype=np.uint8)
    found = session.run(crops)
    assert found.deformation_map is not None
    assert found.displacement_map is not None
    coarse = session.run(crops, 0)
    assert (len(found.normals), len(coarse.normals)) == (3, 1)
    assert np.array_equal(found.normals[0], coarse.normals[0])
    photo = charted(crops[0], coarse.meshes[0], assumed_camera(64))
    position = torch.from_numpy(photo.position + np.array([0.0, 0.0, DISTANCE], np.float32)).permute(2, 0, 1)[None]
    texture = torch.from_numpy(photo.texture).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        features = model.features(torch.from_numpy(crops).permute(0, 3, 1, 2) / 255)
        maps = model.details(position, texture, torch.from_numpy(photo.seen)[None, None], features)
    assert np.abs(found.deformation_map[0] - maps.deformation[0].permute(1, 2, 0).numpy()).max() < 1e-2
    assert np.abs(found.displacement_map[0] - maps.displacement[0, 0].numpy()).max() < 1e-2
    # M_1 is M_0 moved by the map, and M_2 differs from it in its normals alone.
    moved = found.meshes[0].vertices - coarse.meshes[0].vertices
    assert np.allclose(moved, deformed_by(load_rig(), found.deformation_map[0]), atol=1e-5)
    assert (np.abs(found.normals[2] - found.normals[1]).max(-1) > 1e-3).mean() > 0.1
    assert np.allclose(np.linalg.norm(found.normals[2], axis=-1), 1.0, atol=1e-5)


def test_the_head_lies_where_its_camera_sees_it() -> None:
    rig, side = load_rig(), 96
    camera = Perspective(FOCAL * side, (0.5 * side, 0.5 * side))
    mesh = mesh_of(rig, coefficients(angles=[0.1, 0.3, -0.2], translation=[3.0, -5.0, 20.0]))
    normals, depth = maps_of(mesh, drawn(mesh, camera, side), camera)
    tip = mesh.vertices[rig.landmarks[30]]
    column, row = np.floor(camera.project(tip)).astype(int)
    millimetre = FOCAL / DISTANCE  # share of the side
    assert depth[row, column] == pytest.approx((tip[2] + DISTANCE) * millimetre, abs=2.0 * millimetre)
    assert depth[row, column] == pytest.approx(depth.max(), abs=8.0 * millimetre)
    assert np.allclose(np.linalg.norm(normals, axis=-1), 1.0, atol=1e-5)
    assert (normals[..., 2] > -0.2).mean() > 0.99  # what is seen faces the camera, but for its perspective
    assert tip[0] > mesh.vertices[:, 0].mean() + 10.0  # turned to the image's right


def test_normals_and_depth_agree() -> None:
    from lineament.geometry.normals import depth_to_normals

    side = 192
    mesh = mesh_of(load_rig(), coefficients())
    camera = assumed_camera(side)
    normals, depth = maps_of(mesh, drawn(mesh, camera, side), camera)
    middle = slice(side // 3, -side // 3)
    error = angular_error(depth_to_normals(side * depth)[middle, middle], normals[middle, middle])
    assert np.median(error) < 6.0  # degrees: perspective against scaled orthography, faces of triangles


def test_no_answer_puts_the_head_behind_the_camera() -> None:
    mesh = mesh_of(load_rig(), coefficients(translation=[0.0, 0.0, 5000.0]))
    assert (mesh.vertices[:, 2] < 0).all()
