# SPDX-License-Identifier: Apache-2.0
"""The rasteriser of NumPy: shapes with known pictures, and the same pixels as torch's."""

from __future__ import annotations

import numpy as np
import pytest

from lineament.errors import InputError
from lineament.geometry.raster import rasterize


def test_a_triangle_covers_its_pixel_centres_and_hides_what_is_behind() -> None:
    near = np.array([[0.0, 0.0, 1.0], [0.0, 8.0, 1.0], [8.0, 0.0, 1.0]])
    far = np.array([[0.0, 0.0, 0.0], [0.0, 16.0, 0.0], [16.0, 0.0, 0.0]])
    points, triangles = np.concatenate([near, far]), np.array([[0, 1, 2], [3, 4, 5]])
    seen = rasterize(points, triangles, 16, 16)
    v, u = np.mgrid[:16, :16] + 0.5
    assert np.array_equal(seen.triangle == 0, u + v <= 8.0)
    assert np.array_equal(seen.triangle >= 0, u + v <= 16.0)
    inside = seen.triangle >= 0
    places = seen.of(points[:, :2], triangles)
    assert np.allclose(places[inside], np.stack([u, v], -1)[inside])
    assert not seen.weight[~inside].any()
    assert (rasterize(points, triangles[:, ::-1], 16, 16).triangle == -1).all()  # from behind
    with pytest.raises(InputError, match="not finite"):
        rasterize(points * np.nan, triangles, 4, 4)


def test_perspective_interpolates_in_space() -> None:
    # A floor that runs from distance 1 to distance 3: the middle of its picture is at distance 1.5.
    points = np.array([[0.0, 0.0, -3.0], [0.0, 10.0, -1.0], [10.0, 10.0, -1.0], [10.0, 0.0, -3.0]])
    triangles, distance = np.array([[0, 1, 2], [0, 2, 3]]), np.array([3.0, 1.0, 1.0, 3.0])
    seen = rasterize(points, triangles, 10, 10, distance)
    depth = seen.of(-points[:, 2:], triangles)[..., 0]
    share = (np.arange(10) + 0.5) / 10
    assert np.allclose(depth, 1.0 / (share / 1.0 + (1 - share) / 3.0)[:, None])


def test_it_sees_what_the_rasteriser_of_torch_sees() -> None:
    torch = pytest.importorskip("torch")
    from lineament.render import raster

    random = np.random.default_rng(0)
    points = random.uniform(-4.0, 44.0, (60, 3))
    triangles = random.integers(0, 60, (200, 3))
    triangles = triangles[(np.diff(np.sort(triangles, 1), axis=1) > 0).all(1)]
    distance = 100.0 - points[:, 2]
    ours = rasterize(points, triangles, 40, 40, distance)
    batch = torch.from_numpy(points)[None]
    theirs = raster.rasterize(batch, torch.from_numpy(triangles), 40, 40, torch.from_numpy(1.0 / distance)[None])
    same = ours.triangle == theirs.triangle[0].numpy()
    assert same.mean() > 0.99  # but for rounding
    assert np.allclose(ours.weight[same], theirs.barycentric[0].numpy()[same], atol=1e-4)
