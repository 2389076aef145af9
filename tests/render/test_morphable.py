# SPDX-License-Identifier: Apache-2.0
"""The morphable model in torch is the rig's own, and stands before the camera as the closed form says."""

from __future__ import annotations

import numpy as np
import torch

from lineament.geometry.camera import Perspective
from lineament.render.cameras import project
from lineament.render.morphable import MorphableFace, assumed_camera, head_rotation, posed
from lineament.rig import load_rig, posing


def test_shapes_are_the_rigs() -> None:
    rig, random = load_rig(), np.random.default_rng(0)
    identity = random.normal(size=(2, rig.identity_count)).astype(np.float32)
    expression = random.uniform(size=(2, rig.expression_count)).astype(np.float32)
    face = MorphableFace.of(rig)
    shape = face.shape(torch.from_numpy(identity), torch.from_numpy(expression))
    assert np.allclose(shape.numpy(), rig.vertices(identity, expression), atol=1e-3)
    some = torch.tensor([5, int(rig.landmarks[30]), 700])
    part = face.at(some)
    assert torch.allclose(part.shape(*map(torch.from_numpy, (identity, expression))), shape[:, some], atol=1e-3)
    assert part.landmarks.tolist() == [1]


def test_coefficients_are_found_again() -> None:
    rig = load_rig()
    face = MorphableFace.of(rig)
    identity = torch.randn(1, rig.identity_count, generator=torch.Generator().manual_seed(1))
    expression = torch.full((1, rig.expression_count), 0.2)
    shape = face.shape(identity, expression)
    basis = torch.cat([face.identity, face.expression]).flatten(1).double()
    found = torch.linalg.lstsq(basis.T, (shape[0] - face.mean).flatten().double()[:, None]).solution[:, 0]
    assert torch.allclose(found[: rig.identity_count], identity[0].double(), atol=5e-3)
    assert torch.allclose(found[rig.identity_count :], expression[0].double(), atol=5e-3)


def test_projection_is_the_perspective_cameras() -> None:
    random = torch.Generator().manual_seed(0)
    vertices = 80.0 * torch.randn(2, 20, 3, generator=random, dtype=torch.float64)
    angles = 0.4 * torch.randn(2, 3, generator=random, dtype=torch.float64)
    translation = 30.0 * torch.randn(2, 3, generator=random, dtype=torch.float64)
    camera = assumed_camera(head_rotation(angles), translation, 96)
    places, _ = project(posed(vertices, camera), camera)
    for own, points, angle, shift in zip(places, vertices, angles, translation, strict=True):
        moved = points.numpy() @ posing.head_rotation(angle.numpy()).T + shift.numpy()
        known = Perspective(posing.FOCAL * 96, (48.0, 48.0)).project(moved - [0.0, 0.0, posing.DISTANCE])
        assert np.allclose(own[:, :2].numpy(), known, atol=1e-6)
        assert np.allclose(own[:, 2].numpy(), moved[:, 2], atol=1e-6)


def test_heads_turn_to_their_left_and_look_down() -> None:
    nose = torch.tensor([[[0.0, 0.0, 100.0]]])
    turned = head_rotation(torch.tensor([[0.0, 0.5, 0.0], [0.5, 0.0, 0.0], [0.0, 0.0, 0.5]])) @ nose[0, 0]
    assert turned[0, 0] > 40
    assert turned[1, 1] < -40
    assert torch.allclose(turned[2], nose[0, 0])
