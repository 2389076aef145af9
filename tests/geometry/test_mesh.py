# SPDX-License-Identifier: Apache-2.0
"""Meshes of depth maps, and base meshes that take over fine normals, on shapes with known answers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lineament.errors import InputError
from lineament.geometry import ScaledOrthography, angular_error
from lineament.geometry.enhance import edges_of, enhance
from lineament.geometry.mesh import Mesh, depth_to_mesh, triangle_normals, vertex_normals


def hemisphere(size: int = 64, radius: float = 25.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Depth, mask and normals of a sphere's front, in pixels."""
    place = np.arange(size) + 0.5 - size / 2
    x, y = np.meshgrid(place, -place)
    inside = x**2 + y**2 < (0.9 * radius) ** 2
    z = np.sqrt(np.where(inside, radius**2 - x**2 - y**2, 0.0))
    return z, inside, np.stack([x, y, z], -1) / radius * inside[..., None]


def test_a_spheres_mesh_lies_on_the_sphere() -> None:
    depth, inside, _ = hemisphere()
    camera = ScaledOrthography(scale=2.0, centre=(32.0, 32.0))  # two pixels per millimetre
    mesh = depth_to_mesh(depth / 2.0, inside, camera)
    assert np.allclose(np.linalg.norm(mesh.vertices, axis=1), 12.5, atol=1e-9)
    assert (triangle_normals(mesh)[:, 2] > 0).all()  # none is flipped
    assert angular_error(vertex_normals(mesh), mesh.vertices / 12.5).mean() < 1.5
    # An outline and no holes: Euler's V - E + F = 1.
    assert len(mesh.vertices) - len(edges_of(mesh.triangles)) + len(mesh.triangles) == 1
    assert len(np.unique(mesh.triangles)) == len(mesh.vertices)


def test_texture_coordinates_are_the_right_way_up() -> None:
    mesh = depth_to_mesh(np.zeros((4, 8)))
    uv = np.zeros((len(mesh.vertices), 2))
    assert mesh.corner_uv is not None
    uv[mesh.triangles] = mesh.corner_uv
    highest = uv[mesh.vertices[:, 1] == mesh.vertices[:, 1].max()]
    assert np.allclose(highest[:, 1], 1 - 0.5 / 4)
    leftmost = uv[mesh.vertices[:, 0] == mesh.vertices[:, 0].min()]
    assert np.allclose(leftmost[:, 0], 0.5 / 8)


def test_surfaces_are_cut_where_depth_jumps() -> None:
    depth = np.zeros((6, 10))
    depth[:, 5:] = 40.0
    mesh = depth_to_mesh(depth)
    assert len(mesh.triangles) == 2 * 5 * (4 + 4)  # nothing spans the step
    assert set(np.unique(mesh.vertices[:, 2])) == {0.0, 40.0}
    holed = np.ones((6, 10), bool)
    holed[2, 2] = False
    assert len(depth_to_mesh(depth * 0, holed).triangles) == 2 * (5 * 9 - 4)
    with pytest.raises(InputError, match="four neighbouring"):
        depth_to_mesh(depth, np.eye(6, 10))
    with pytest.raises(InputError, match="differ in shape"):
        depth_to_mesh(depth, holed.T)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_every_mesh_of_a_depth_map_faces_the_camera(seed: int) -> None:
    random = np.random.default_rng(seed)
    mesh = depth_to_mesh(random.normal(0, 2, (9, 7)), random.random((9, 7)) > 0.1)
    assert (triangle_normals(mesh)[:, 2] > 0).all()
    pairs = np.sort(np.concatenate([mesh.triangles[:, [0, 1]], mesh.triangles[:, [1, 2]], mesh.triangles[:, [2, 0]]]))
    assert np.unique(pairs, axis=0, return_counts=True)[1].max() <= 2  # a surface: no edge has three triangles


def wavy(mesh: Mesh, height: float, period: float) -> Mesh:
    """A mesh with ripples along its normals."""
    ripple = height * np.sin(2 * np.pi * mesh.vertices[:, 0] / period)
    return Mesh(mesh.vertices + vertex_normals(mesh) * ripple[:, None], mesh.triangles)


def test_a_smooth_base_takes_over_fine_normals() -> None:
    depth, inside, _ = hemisphere()
    base = depth_to_mesh(depth, inside)
    fine = wavy(base, 0.4, 8.0)
    wanted = vertex_normals(fine)
    before = angular_error(vertex_normals(base), wanted).mean()
    enhanced = enhance(base, wanted)
    assert angular_error(vertex_normals(enhanced), wanted).mean() < 0.25 * before
    assert np.abs(enhanced.vertices - base.vertices).max() < 1.0  # the shape is kept
    assert np.abs(enhanced.vertices - fine.vertices).mean() < 0.5 * np.abs(base.vertices - fine.vertices).mean()


def test_its_own_normals_change_a_base_hardly() -> None:
    depth, inside, _ = hemisphere()
    base = depth_to_mesh(depth, inside)
    assert np.abs(enhance(base, vertex_normals(base)).vertices - base.vertices).max() < 0.1


def test_what_is_not_known_stays() -> None:
    depth, inside, _ = hemisphere()
    base = depth_to_mesh(depth, inside)
    wanted = vertex_normals(wavy(base, 0.4, 8.0))
    hidden = base.vertices[:, 0] < 32.0
    wanted[hidden] = 0.0
    moved = np.abs(enhance(base, wanted).vertices - base.vertices).max(1)
    assert moved[hidden].max() < 1e-3
    assert moved[~hidden].max() > 0.1
    with pytest.raises(InputError, match="do not belong"):
        enhance(base, wanted[:-1])
    with pytest.raises(InputError, match="positive"):
        enhance(base, wanted, keep=0.0)


def test_a_bent_target_keeps_or_takes_the_shape() -> None:
    depth, inside, normals = hemisphere()
    flat = depth_to_mesh(np.zeros_like(depth), inside)
    wanted = normals[inside]
    assert len(wanted) >= len(flat.vertices)
    pixels = (flat.vertices[:, :2] * np.array([1.0, -1.0]) - 0.5).round().astype(int)
    wanted = normals[pixels[:, 1], pixels[:, 0]]
    kept = enhance(flat, wanted, keep=0.002, base_from=4.0).vertices[:, 2]
    taken = enhance(flat, wanted, keep=0.002).vertices[:, 2]
    assert np.ptp(kept) < 0.3 * np.ptp(taken)
    assert np.ptp(taken) > 0.7 * np.ptp(depth[inside])


def flat(side: int) -> Mesh:
    return depth_to_mesh(np.zeros((side, side)))


@pytest.mark.parametrize("base_from", [1e-300, 5.0, 1e3, 1e9, 1e300])
def test_enhancing_ends_at_every_size(base_from: float) -> None:
    base = flat(40)
    fine = vertex_normals(wavy(base, 0.2, 8.0))
    moved = enhance(base, fine, base_from=base_from).vertices
    assert np.isfinite(moved).all()
    assert np.abs(moved - base.vertices).max() < 2.0


def test_a_wide_blur_at_once_is_that_of_many_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    depth, inside, _ = hemisphere()
    base = depth_to_mesh(depth * 0.3, inside)
    wanted = vertex_normals(wavy(base, 0.4, 8.0))
    by_rounds = enhance(base, wanted, base_from=20.0).vertices
    monkeypatch.setattr("lineament.geometry.enhance._ROUNDS", 20)
    at_once = enhance(base, wanted, base_from=20.0).vertices
    assert np.abs(by_rounds - base.vertices).max() > 0.3
    assert np.abs(at_once - by_rounds).mean() < 0.1 * np.abs(by_rounds - base.vertices).mean()


@pytest.mark.parametrize("base_from", [None, 3.0, 1e9])
@pytest.mark.parametrize("kind", ["one point", "no area", "lonely vertices", "two islands", "one triangle"])
def test_degenerate_meshes_stay_where_they_are(kind: str, base_from: float | None) -> None:
    square = flat(12)
    vertices, triangles = square.vertices, square.triangles
    if kind == "one point":
        vertices = np.zeros_like(vertices)
    elif kind == "no area":
        triangles = np.concatenate([triangles, triangles[:, [0, 1, 1]]])
    elif kind == "lonely vertices":
        vertices = np.concatenate([vertices, [[1e6, 0.0, 0.0]]])
    elif kind == "two islands":
        triangles = np.concatenate([triangles, triangles + len(vertices)])
        vertices = np.concatenate([vertices, vertices + 1e4])
    else:
        triangles = triangles[:1]
    up = np.tile([0.0, 0.0, 1.0], (len(vertices), 1))
    assert np.allclose(enhance(Mesh(vertices, triangles), up, base_from=base_from).vertices, vertices)


def test_numbers_that_cannot_be_reckoned_with_are_refused() -> None:
    base = flat(12)
    up = np.tile([0.0, 0.0, 1.0], (len(base.vertices), 1))
    for wrong in (np.nan, np.inf):
        normals = up.copy()
        normals[5, 1] = wrong
        with pytest.raises(InputError, match="not finite"):
            enhance(base, normals)
        with pytest.raises(InputError, match="positive"):
            enhance(base, up, keep=wrong)
        with pytest.raises(InputError, match="positive"):
            enhance(base, up, base_from=wrong)
    with pytest.raises(InputError, match="too large"):
        enhance(base, up, keep=1e200)
    with pytest.raises(InputError, match="too large"):
        enhance(Mesh(base.vertices * 1e200, base.triangles), up, base_from=1e200)
