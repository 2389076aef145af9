# SPDX-License-Identifier: Apache-2.0
"""Faces lit anew keep their labels and everything that is no face."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lineament.errors import UsageError
from lineament.methods.casfne.config import CasFNETrainConfig
from lineament.training.batch import Batch
from lineament.training.relight import relit

COUNT, SIZE = 24, 64


@pytest.fixture(scope="module")
def spheres() -> Batch:
    """Spheres of radius 24 before a grey wall, all of one brightness."""
    rows = torch.arange(SIZE) + 0.5 - SIZE / 2
    x, y = (rows / 24)[None, :].expand(SIZE, -1), -(rows / 24)[:, None].expand(-1, SIZE)
    z = (1.0 - x**2 - y**2).clamp_min(0.0).sqrt()
    face = (z > 0.05).expand(COUNT, 1, -1, -1)
    normals = torch.stack([x, y, z]).expand(COUNT, -1, -1, -1) * face
    return Batch(torch.full((COUNT, 3, SIZE, SIZE), 0.5), {"normals": normals, "face": face})


def test_only_faces_change_and_labels_stay(spheres: Batch) -> None:
    lit = relit(spheres, 1.0, 0, 0)
    outside = ~spheres["face"].expand_as(spheres.image)
    assert torch.equal(lit.image[outside], spheres.image[outside])
    assert torch.equal(lit["normals"], spheres["normals"])
    assert torch.equal(lit["face"], spheres["face"])
    assert lit.image.min() >= 0.0
    assert lit.image.max() <= 1.0
    inside = [picture[face.expand(3, -1, -1)] for picture, face in zip(lit.image, spheres["face"], strict=True)]
    assert min(float(values.std()) for values in inside) > 0.01  # every light shows the shape


def test_the_light_is_a_function_of_seed_and_step(spheres: Batch) -> None:
    first = relit(spheres, 1.0, 0, 3).image
    assert torch.equal(first, relit(spheres, 1.0, 0, 3).image)
    assert not torch.equal(first, relit(spheres, 1.0, 0, 4).image)
    assert not torch.equal(first, relit(spheres, 1.0, 1, 3).image)


def test_a_share_of_the_pictures_is_lit(spheres: Batch) -> None:
    assert relit(spheres, 0.0, 0, 0) is spheres
    changed = sum(
        int((relit(spheres, 0.5, 0, step).image != spheres.image).flatten(1).any(1).sum()) for step in range(10)
    )
    assert 0.35 < changed / (10 * COUNT) < 0.65


def test_brightness_tells_the_shape(spheres: Batch) -> None:
    # A plane through normals explains most of the light on most spheres, which it cannot do for a random picture.
    explained = []
    for picture, normals, face in zip(
        relit(spheres, 1.0, 2, 0).image, spheres["normals"], spheres["face"], strict=True
    ):
        light = picture.mean(0)[face[0]]
        design = torch.cat([normals[:, face[0]].T, torch.ones(len(light), 1)], dim=1)
        fitted = design @ torch.linalg.lstsq(design, light[:, None]).solution
        explained.append(float(1.0 - (light - fitted[:, 0]).var() / light.var()))
    assert sorted(explained)[COUNT // 2] > 0.6


def test_a_face_in_no_light_or_no_face_at_all_is_no_error(spheres: Batch) -> None:
    empty = spheres.with_labels(face=torch.zeros_like(spheres["face"]))
    assert torch.equal(relit(empty, 1.0, 0, 0).image, spheres.image)


def test_a_share_beyond_one_is_refused() -> None:
    with pytest.raises(UsageError, match="relight must be"):
        CasFNETrainConfig(Path("run"), relight=1.5)
