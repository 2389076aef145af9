# SPDX-License-Identifier: Apache-2.0
"""One head fitted to several photos whose cameras are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from lineament.annotations.parsing import MaskClass
from lineament.inference.multiview import FitOptions, SeenFace
from lineament.inference.predictor import Prediction
from lineament.methods.hrn.coarse_meshes import CoarseMeshes
from lineament.methods.hrn.coefficients import SIZES
from lineament.methods.hrn.head import assumed_camera, drawn
from lineament.methods.hrn.multiview import Canonical, _batch, _seen, fit_views, loss
from lineament.methods.hrn.predictor import predicted
from lineament.rig import Part, load_rig
from lineament.rig.posing import head_rotation

SIDE = 64
YAWS = (-0.6, 0.0, 0.6)


def said(identity: np.ndarray, yaw: float) -> Prediction:
    """A head of the rig before the camera, as networks would say it."""
    none = {name: np.zeros((1, size), np.float32) for name, size in SIZES.items()}
    found = {"identity": identity[None], "angles": np.array([[0.0, yaw, 0.0]], np.float32)}
    found["light"] = np.array([[3.0] * 3 + [0.0] * 24], np.float32)
    flat = np.zeros((1, 64, 64, 3), np.float32), np.zeros((1, 256, 256), np.float32)
    return predicted(SIDE, none | found, *flat)


def seen_face(truth: np.ndarray, start: np.ndarray, yaw: float) -> SeenFace:
    """A grey photo of a true head, and networks that take it for another."""
    rig, own = load_rig(), said(truth, yaw)
    camera, mesh = assumed_camera(SIDE), own.meshes[0]
    drawing = drawn(mesh, camera, SIDE)
    on_skin = (drawing.triangle >= 0) & np.isin(rig.face_part[drawing.triangle.clip(0)], (Part.FACE, Part.NECK))
    shade = (90 + 120 * own.normals[0][0][..., 2].clip(0, 1)).astype(np.uint8)
    return SeenFace(
        picture=np.repeat(shade[..., None], 3, axis=-1),
        landmarks=camera.project(mesh.vertices[rig.landmarks]) / SIDE,
        visibility=np.ones(68, np.float32),
        parse=np.where(on_skin, int(MaskClass.SKIN), 0).astype(np.uint8),
        said=said(start, yaw),
        normals=own.normals[0][0],
    )


@pytest.fixture(scope="module")
def views() -> tuple[np.ndarray, list[SeenFace]]:
    """A person's identity, and three photos of which the networks say different things."""
    random = np.random.default_rng(1)
    truth = random.normal(size=80).astype(np.float32)
    starts = [truth + random.normal(size=80).astype(np.float32) for _ in YAWS]
    return truth, [seen_face(truth, start, yaw) for start, yaw in zip(starts, YAWS, strict=True)]


def shape_error(prediction: Prediction, truth: Prediction) -> float:
    """Mean distance of the face's vertices in the head's frame, about their means, mm."""
    face = np.unique(load_rig().faces[load_rig().face_part == Part.FACE])
    own, other = (
        (each.meshes[0].vertices[face] @ head_rotation(each.coefficients["angles"][0])) for each in (prediction, truth)
    )
    return float(np.linalg.norm((own - own.mean(0)) - (other - other.mean(0)), axis=1).mean())


def test_the_fit_comes_nearer_to_the_head_than_the_mean_of_the_views(views: tuple[np.ndarray, list[SeenFace]]) -> None:
    truth, faces = views
    told: list[int] = []
    plain = fit_views(faces, FitOptions(steps=0), told.append)
    fit = fit_views(faces, FitOptions(steps=20), told.append)
    assert told == list(range(1, 21))
    assert (plain.steps, fit.steps) == (0, 20)
    assert fit.residuals.max() < 0.6 * plain.residuals.max()
    expected = said(truth, YAWS[1])
    assert shape_error(fit.predictions[1], expected) < 0.85 * shape_error(plain.predictions[1], expected)
    # What is shared is shared, whatever the pose.
    first, last = (fit.predictions[i] for i in (0, 2))
    assert np.array_equal(first.coefficients["identity"], last.coefficients["identity"])
    turned = [p.deformation_map[0] @ head_rotation(p.coefficients["angles"][0]) for p in (first, last)]
    assert np.allclose(*turned, atol=1e-4)


def test_shared_parameters_learn_from_every_photo_and_others_from_their_own(
    views: tuple[np.ndarray, list[SeenFace]],
) -> None:
    _, faces = views
    options = FitOptions(prior=0.0, smoothness=0.0, displacement=0.0)
    meshes = CoarseMeshes()
    nothing = np.zeros((SIDE, SIDE), np.uint8)
    blind = [replace(face, parse=nothing, visibility=np.zeros(68, np.float32)) for face in faces[1:]]
    canonical = Canonical([face.said for face in faces])
    seen = _seen(canonical, meshes, faces)
    loss(canonical, meshes, _batch([faces[0], *blind]), seen, options).backward()
    for name, parameter in canonical.named_parameters():
        assert parameter.grad is not None, name
        if not name.startswith(("identity", "levels")):
            assert parameter.grad[0].any(), name
            assert not parameter.grad[1:].any(), name  # nothing is seen of them in their photos
    alone = canonical.identity.grad.clone()
    canonical.zero_grad()
    loss(canonical, meshes, _batch(faces), seen, options).backward()
    assert canonical.identity.grad.any()
    assert not torch.allclose(canonical.identity.grad, alone)
    assert all(level.grad.any() for level in canonical.levels)


def test_an_end_before_its_time_leaves_a_head(views: tuple[np.ndarray, list[SeenFace]]) -> None:
    _, faces = views

    def stopping(step: int) -> None:
        if step == 2:
            raise KeyboardInterrupt

    stopped = fit_views(faces[:2], FitOptions(steps=50), stopping)
    assert stopped.steps == 2
    assert all(np.isfinite(p.meshes[0].vertices).all() for p in stopped.predictions)
    late = fit_views(faces[:2], FitOptions(steps=50, seconds=1e-9), lambda step: None)
    assert late.steps <= 1
