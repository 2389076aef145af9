# SPDX-License-Identifier: Apache-2.0
"""The rasteriser against a brute-force reference, pixel by pixel, and its gradients."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lineament.errors import UsageError
from lineament.render.raster import interpolate, rasterize, vertex_normals


def reference(points: Tensor, faces: Tensor, size: int, inverse: Tensor | None) -> tuple[Tensor, Tensor]:
    """Nearest triangle and perspective-correct barycentrics at each pixel, one pixel and triangle at a time."""
    winner = torch.full((size, size), -1)
    weights = torch.zeros(size, size, 3, dtype=points.dtype)
    nearness = torch.full((size, size), -math.inf, dtype=points.dtype)
    near = points[:, 2] if inverse is None else inverse
    for number, face in enumerate(faces.tolist()):
        (ax, ay), (bx, by), (cx, cy) = (points[i, :2].tolist() for i in face)
        area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
        if area >= 0:  # seen from behind, or of no area
            continue
        for row in range(size):
            for column in range(size):
                x, y = column + 0.5, row + 0.5
                w = torch.tensor(
                    [
                        (bx - x) * (cy - y) - (by - y) * (cx - x),
                        (cx - x) * (ay - y) - (cy - y) * (ax - x),
                        (ax - x) * (by - y) - (ay - y) * (bx - x),
                    ],
                    dtype=points.dtype,
                )
                if not (w <= 0).all():
                    continue
                w = w / w.sum()
                close = (w * near[face]).sum()
                if close >= nearness[row, column]:
                    nearness[row, column] = close
                    winner[row, column] = number
                    corrected = w if inverse is None else w * inverse[face]
                    weights[row, column] = corrected / corrected.sum()
    return winner, weights


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**31), perspective=st.booleans())
def test_agrees_with_brute_force_on_random_meshes(seed: int, perspective: bool) -> None:
    draw = torch.Generator().manual_seed(seed)
    size, vertices, triangles = 12, 14, 18
    points = torch.rand(2, vertices, 3, generator=draw, dtype=torch.float64) * 18 - 3  # partly off the picture
    faces = torch.randint(0, vertices, (triangles, 3), generator=draw)  # some have two equal corners
    # Two triangles of the same three corners tie everywhere: who wins would hang on the last bit of a sum.
    faces = torch.stack(list({tuple(sorted(face.tolist())): face for face in faces}.values()))
    inverse = 1 / (40 - points[..., 2]) if perspective else None
    fragments = rasterize(points, faces, size, size, inverse)
    for sample in range(2):
        winner, weights = reference(points[sample], faces, size, None if inverse is None else inverse[sample])
        assert torch.equal(fragments.mask[sample], winner >= 0)
        depth = (points[sample][faces[winner.clamp_min(0)]][..., 2] * weights).sum(-1)
        assert torch.allclose(fragments.depth[sample], depth, atol=1e-5)
        # Depths are compared in float32: two triangles nearer to each other than that may change places.
        same = fragments.triangle[sample] == winner
        assert same.float().mean() > 0.95
        assert torch.allclose(fragments.barycentric[sample][same], weights[same], atol=1e-9)


def test_shared_edges_leave_no_gaps() -> None:
    line = torch.linspace(0, 8, 9, dtype=torch.float64)  # corners exactly on pixel corners, edges through centres
    y, x = torch.meshgrid(line, line, indexing="ij")
    points = torch.stack([x, y, torch.zeros_like(x)], -1).view(1, -1, 3)
    quads = torch.tensor([r * 9 + c for r in range(8) for c in range(8)])
    faces = torch.cat(
        [torch.stack([quads, quads + 9, quads + 1], 1), torch.stack([quads + 1, quads + 9, quads + 10], 1)]
    )
    fragments = rasterize(points, faces, 8, 8)
    assert fragments.mask.all()
    assert torch.allclose(fragments.barycentric.sum(-1), torch.ones(1, 8, 8, dtype=torch.float64))


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**31), perspective=st.booleans())
def test_a_mesh_without_holes_has_no_gaps_wherever_its_vertices_lie(seed: int, perspective: bool) -> None:
    draw = torch.Generator().manual_seed(seed)
    cells, size = 14, 40
    line = torch.linspace(-1.0, size + 1.0, cells + 1)
    y, x = torch.meshgrid(line, line, indexing="ij")
    grid = torch.stack([x, y, torch.zeros_like(x)], -1)
    jitter = 0.3 * (line[1] - line[0]) * (2 * torch.rand(cells + 1, cells + 1, 2, generator=draw) - 1)
    grid[1:-1, 1:-1, :2] += jitter[1:-1, 1:-1]
    # Some corners and edges exactly on pixel centres, where rounding decides.
    snapped = torch.rand(cells + 1, cells + 1, generator=draw) < 0.5
    grid[..., :2] = torch.where(snapped[..., None], grid[..., :2].floor() + 0.5, grid[..., :2])
    grid[..., 2] = 5 * torch.rand(cells + 1, cells + 1, generator=draw)
    quads = torch.tensor([r * (cells + 1) + c for r in range(cells) for c in range(cells)])
    below, auxiliary = quads + cells + 1, quads + 1
    faces = torch.cat([torch.stack([quads, below, auxiliary], 1), torch.stack([auxiliary, below, below + 1], 1)])
    first = torch.randint(0, 3, (len(faces), 1), generator=draw)  # any corner may come first
    faces = faces.gather(1, (first + torch.arange(3)) % 3)
    points = grid.view(1, -1, 3)
    fragments = rasterize(points, faces, size, size, 1 / (50 - points[..., 2]) if perspective else None)
    assert fragments.mask.all()
    # Interpolating the points themselves returns the pixel centres, were they seen in orthography.
    if not perspective:
        found = interpolate(points[..., :2], faces, fragments)[0]
        centre = torch.arange(size) + 0.5
        assert torch.allclose(found[0], centre.expand(size, -1), atol=1e-3)
        assert torch.allclose(found[1], centre[:, None].expand(-1, size), atol=1e-3)


def test_of_equally_near_triangles_the_last_is_seen() -> None:
    points = torch.tensor([[[0.0, 0.0, -2.0], [0.0, 9.0, -2.0], [9.0, 0.0, -2.0]]])
    faces = torch.tensor([[0, 1, 2], [1, 2, 0], [2, 0, 1]])
    triangle = rasterize(points, faces, 4, 4).triangle
    assert (triangle == 2).all()


def test_slivers_that_round_to_nothing_are_not_drawn() -> None:
    # The third corner is one float32 step off the line between the others: the area is not zero, but seen from the
    # centres on the diagonal all barycentrics are. The triangle behind shows there.
    step = torch.nextafter(torch.tensor(0.1), torch.tensor(1.0)).item()
    sliver = [[0.0, 0.0, -5.0], [8.0, 8.0, -5.0], [0.1, step, -5.0]]
    behind = [[-20.0, -20.0, -9.0], [-20.0, 40.0, -9.0], [40.0, -20.0, -9.0]]
    points = torch.tensor([sliver + behind], requires_grad=True)
    fragments = rasterize(points, torch.tensor([[0, 2, 1], [3, 4, 5]]), 8, 8)
    assert fragments.mask.all()
    assert fragments.triangle[0].diagonal()[1:].eq(1).all()
    assert torch.isfinite(fragments.depth).all()
    fragments.depth.sum().backward()
    assert points.grad is not None
    assert torch.isfinite(points.grad).all()
    alone = rasterize(points, torch.tensor([[0, 2, 1]]), 8, 8)
    assert not alone.mask[0].diagonal()[1:].any()
    assert torch.isfinite(alone.barycentric).all()


def test_result_does_not_depend_on_the_order_of_triangles() -> None:
    draw = torch.Generator().manual_seed(3)
    points = torch.rand(1, 30, 3, generator=draw) * 20
    faces = torch.randint(0, 30, (60, 3), generator=draw)
    order = torch.randperm(60, generator=draw)
    first = rasterize(points, faces, 20, 20)
    second = rasterize(points, faces[order], 20, 20)
    assert torch.allclose(first.depth, second.depth, atol=1e-4)


def test_nothing_in_view_and_no_triangles() -> None:
    points = torch.tensor([[[-5.0, -5.0, 0.0], [-4.0, -5.0, 0.0], [-5.0, -4.0, 0.0]]])
    faces = torch.tensor([[0, 2, 1]])
    assert not rasterize(points, faces, 4, 4).mask.any()
    nothing = rasterize(points, faces[:0], 4, 4)
    assert not nothing.mask.any()
    assert interpolate(points, faces[:0], nothing).abs().sum() == 0


def test_back_faces_are_culled_or_not() -> None:
    points = torch.tensor([[[0.0, 0.0, 0.0], [4.0, 0.0, 0.0], [0.0, 4.0, 0.0]]])
    behind = torch.tensor([[0, 1, 2]])  # clockwise with y up
    assert not rasterize(points, behind, 4, 4).mask.any()
    assert rasterize(points, behind, 4, 4, cull_backfaces=False).mask.any()


def test_gradients_reach_attributes_and_positions() -> None:
    points = torch.tensor([[[0.3, 0.2, 1.0], [0.4, 7.6, 2.0], [7.7, 0.6, 3.0]]], dtype=torch.float64)
    faces = torch.tensor([[0, 1, 2]])
    attributes = torch.rand(1, 3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    inverse = torch.tensor([[0.1, 0.2, 0.15]], dtype=torch.float64)

    def picture(points: Tensor, attributes: Tensor) -> Tensor:
        fragments = rasterize(points, faces, 8, 8, inverse)
        return interpolate(attributes, faces, fragments)[:, :, 1:4, 1:4]  # well inside

    assert rasterize(points, faces, 8, 8).mask[:, 1:4, 1:4].all()
    assert torch.autograd.gradcheck(picture, (points.requires_grad_(), attributes.requires_grad_()))


def test_wrong_shapes_are_named() -> None:
    with pytest.raises(UsageError, match=r"points must be \[B, V, 3\]"):
        rasterize(torch.zeros(3, 3), torch.zeros(1, 3, dtype=torch.int64), 4, 4)


def test_vertex_normals_of_a_sphere_are_its_directions() -> None:
    rows, columns = 14, 24
    polar = torch.linspace(0, math.pi, rows + 1)[1:-1]
    turn = torch.arange(columns) * 2 * math.pi / columns
    ring = torch.stack(
        [
            polar.sin()[:, None] * turn.sin(),
            polar.cos()[:, None].expand(-1, columns),
            polar.sin()[:, None] * turn.cos(),
        ],
        -1,
    ).reshape(-1, 3)
    vertices = torch.cat([ring, torch.tensor([[0.0, 1, 0], [0, -1, 0]])])
    faces = []
    for r in range(rows - 2):
        for c in range(columns):
            a, b = r * columns + c, r * columns + (c + 1) % columns
            faces += [[a, a + columns, b + columns], [a, b + columns, b]]
    top, bottom, last = len(ring), len(ring) + 1, (rows - 2) * columns
    for c in range(columns):
        faces += [[top, c, (c + 1) % columns], [bottom, last + (c + 1) % columns, last + c]]
    normals = vertex_normals(vertices[None], torch.tensor(faces))[0]
    assert torch.allclose(normals, vertices, atol=1e-4)
