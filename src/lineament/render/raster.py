# SPDX-License-Identifier: Apache-2.0
"""A batched rasteriser in plain torch: the same code on CPU and GPU, differentiable inside triangles.

Visibility is decided without gradients: every triangle's bounding box is enumerated, pixel centres inside the
triangle compete for their pixel in one ``scatter_reduce`` over keys that hold the depth's bits above the triangle's
number. The winner's barycentrics are then computed again with gradients.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from lineament.errors import UsageError

_CANDIDATES = 250_000
"""Candidate pixels examined at once on a CPU: few enough to stay in its cache, about 100 bytes each."""

_TRIANGLE_BITS = 24


@dataclass(frozen=True)
class Fragments:
    """What is seen at each pixel of a batch of pictures."""

    triangle: Tensor  # [B, H, W] int64, number of the triangle, -1 where there is none
    barycentric: Tensor  # [B, H, W, 3] weights of its corners, perspective-correct, zero where there is none
    depth: Tensor  # [B, H, W] interpolated z of the points, zero where there is none

    @property
    def mask(self) -> Tensor:
        """[B, H, W] bool, where something is seen."""
        return self.triangle >= 0


def rasterize(
    points: Tensor,
    faces: Tensor,
    height: int,
    width: int,
    inverse_distance: Tensor | None = None,
    cull_backfaces: bool = True,
) -> Fragments:
    """Find the nearest triangle at every pixel centre.

    A pixel whose centre lies on an edge belongs to one of the triangles that share it: the nearer one, then the one
    of the higher number. Triangles of no area are not drawn.

    Args:
        points: [B, V, 3] x (right) and y (down) in pixels, pixel centres at integer + 0.5; z larger is nearer.
        faces: [F, 3] int64, counter-clockwise seen from outside with y up.
        height: Rows of the picture.
        width: Columns of the picture.
        inverse_distance: [B, V] 1 / distance from the camera along its axis, for perspective; None for orthography.
        cull_backfaces: Whether triangles seen from behind are left out.

    Returns:
        The fragments; ``barycentric`` and ``depth`` carry gradients to ``points`` and ``inverse_distance``.

    Raises:
        UsageError: Arrays of other shapes, or more triangles than the keys can number.
    """
    if points.ndim != 3 or points.shape[2] != 3 or faces.ndim != 2 or faces.shape[1] != 3:
        raise UsageError(
            f"points must be [B, V, 3] and faces [F, 3], not {tuple(points.shape)} and {tuple(faces.shape)}"
        )
    if len(faces) >= 1 << _TRIANGLE_BITS:
        raise UsageError(f"at most {(1 << _TRIANGLE_BITS) - 1} triangles can be drawn, not {len(faces)}")
    with torch.no_grad():
        nearness = points[..., 2] if inverse_distance is None else inverse_distance
        triangle = _visible(points.detach(), nearness.detach(), faces, height, width, cull_backfaces)
    batch = len(points)
    if len(faces) == 0:
        empty = points.new_zeros(batch, height, width, 3)
        return Fragments(triangle, empty, empty[..., 0])

    corners = _corner_rows(triangle, faces, points.shape[1])  # [B * H * W * 3]
    corner = points.reshape(-1, 3).index_select(0, corners).view(batch, height, width, 3, 3)
    columns = (torch.arange(width, device=points.device, dtype=points.dtype) + 0.5).view(1, 1, width, 1)
    rows = (torch.arange(height, device=points.device, dtype=points.dtype) + 0.5).view(1, height, 1, 1)
    x0, x1, x2 = (corner[..., 0] - columns).unbind(-1)  # [B, H, W] each
    y0, y1, y2 = (corner[..., 1] - rows).unbind(-1)
    weights = torch.stack([x1 * y2 - y1 * x2, x2 * y0 - y2 * x0, x0 * y1 - y0 * x1], dim=-1)
    if inverse_distance is not None:
        weights = weights * inverse_distance.reshape(-1).index_select(0, corners).view(batch, height, width, 3)
    total = weights.sum(-1, keepdim=True)
    seen = (triangle >= 0)[..., None]
    barycentric = weights / torch.where(seen, total, torch.ones_like(total)) * seen
    return Fragments(triangle, barycentric, (barycentric * corner[..., 2]).sum(-1))


def interpolate(attributes: Tensor, faces: Tensor, fragments: Fragments) -> Tensor:
    """Interpolate vertex attributes at every pixel.

    Args:
        attributes: [B, V, C], or [V, C] for the whole batch.
        faces: [F, 3] int64, as rasterised.
        fragments: What is seen.

    Returns:
        [B, C, H, W], zero where nothing is seen; gradients reach attributes and barycentrics.
    """
    batch, height, width = fragments.triangle.shape
    attributes = attributes.expand(batch, -1, -1) if attributes.ndim == 2 else attributes
    count, channels = attributes.shape[1:]
    if len(faces) == 0:
        return attributes.new_zeros(batch, channels, height, width)
    flat = attributes.reshape(-1, channels)
    corners = _corner_rows(fragments.triangle, faces, count).view(-1, 3)
    weights = fragments.barycentric.reshape(-1, 3)
    # One fused pass: gathering the corners first would write three times the result to memory.
    pixels = torch.nn.functional.embedding_bag(corners, flat, mode="sum", per_sample_weights=weights)
    return pixels.view(batch, height, width, channels).permute(0, 3, 1, 2)


def vertex_normals(vertices: Tensor, faces: Tensor) -> Tensor:
    """Unit vertex normals, exact on spheres (Max 1999, "Weights for computing vertex normals from facet normals").

    Args:
        vertices: [B, V, 3].
        faces: [F, 3] int64, counter-clockwise seen from outside.

    Returns:
        [B, V, 3], zero at vertices without a triangle.
    """
    corner = vertices[:, faces]  # [B, F, 3, 3]
    edge = corner[:, :, [1, 2, 0]] - corner  # from corner k to corner k + 1
    facet = torch.cross(edge[:, :, 0], edge[:, :, 1], dim=-1)  # [B, F, 3], the same at every corner
    square = edge.square().sum(-1).clamp_min(1e-12)  # [B, F, 3]
    normals = torch.zeros_like(vertices)
    for k in range(3):
        weight = 1.0 / (square[:, :, k] * square[:, :, (k + 2) % 3])
        normals.index_add_(1, faces[:, k], facet * weight[..., None])
    return torch.nn.functional.normalize(normals, dim=-1, eps=1e-20)


def _corner_rows(triangle: Tensor, faces: Tensor, count: int) -> Tensor:
    """Rows of the pixels' corners in a [B * count, …] table, flattened [B * H * W * 3]."""
    corner = faces[triangle.clamp_min(0)]  # [B, H, W, 3]
    sample = torch.arange(len(triangle), device=faces.device).view(-1, 1, 1, 1)
    return (corner + sample * count).reshape(-1)


def _visible(points: Tensor, nearness: Tensor, faces: Tensor, height: int, width: int, cull_backfaces: bool) -> Tensor:
    """Number of the nearest triangle at every pixel, [B, H, W] int64, -1 where there is none."""
    batch, device = len(points), points.device
    best = torch.full((batch * height * width,), -1, dtype=torch.int64, device=device)
    corner = points[:, faces]  # [B, F, 3, 3]
    x, y = corner[..., 0], corner[..., 1]
    area = (x[..., 1] - x[..., 0]) * (y[..., 2] - y[..., 0]) - (x[..., 2] - x[..., 0]) * (y[..., 1] - y[..., 0])
    left = torch.ceil(x.amin(-1) - 0.5).clamp(0, width).long()
    right = torch.floor(x.amax(-1) - 0.5).clamp(-1, width - 1).long()
    top = torch.ceil(y.amin(-1) - 0.5).clamp(0, height).long()
    bottom = torch.floor(y.amax(-1) - 0.5).clamp(-1, height - 1).long()
    # With y down, a counter-clockwise triangle has negative area.
    drawn = ((area < 0) if cull_backfaces else (area != 0)) & (right >= left) & (bottom >= top)
    sample, number = drawn.nonzero(as_tuple=True)  # [N] each
    columns = (right - left + 1)[sample, number]
    cells = columns * (bottom - top + 1)[sample, number]
    left, top, corner = left[sample, number], top[sample, number], corner[sample, number]
    near = nearness[sample[:, None], faces[number]]  # [N, 3]
    sign = torch.sign(area[sample, number])

    for first, last in _chunks(cells):
        counts = cells[first:last]
        row = torch.repeat_interleave(torch.arange(first, last, device=device), counts)  # [M] triangles' rows
        start = (counts.cumsum(0) - counts).repeat_interleave(counts)
        cell = torch.arange(len(row), device=device) - start
        down = torch.div(cell, columns[row], rounding_mode="floor")
        px, py = left[row] + cell - down * columns[row], top[row] + down
        dx = corner[row, :, 0] - (px.to(points.dtype) + 0.5)[:, None]  # [M, 3]
        dy = corner[row, :, 1] - (py.to(points.dtype) + 0.5)[:, None]
        w0 = (dx[:, 1] * dy[:, 2] - dy[:, 1] * dx[:, 2]) * sign[row]
        w1 = (dx[:, 2] * dy[:, 0] - dy[:, 2] * dx[:, 0]) * sign[row]
        w2 = (dx[:, 0] * dy[:, 1] - dy[:, 0] * dx[:, 1]) * sign[row]
        inside = ((w0 >= 0) & (w1 >= 0) & (w2 >= 0)).nonzero()[:, 0]
        row, w0, w1, w2 = row[inside], w0[inside], w1[inside], w2[inside]
        total = w0 + w1 + w2
        close = (w0 * near[row, 0] + w1 * near[row, 1] + w2 * near[row, 2]) / total
        key = (_ordered_bits(close) << _TRIANGLE_BITS) | number[row]
        # A sliver whose area rounds to nothing seen from this pixel has no barycentrics there: its neighbours draw it.
        key = torch.where(total > 0, key, -1)
        pixel = (sample[row] * height + py[inside]) * width + px[inside]
        best.scatter_reduce_(0, pixel, key, reduce="amax")
    triangle = torch.where(best >= 0, best & ((1 << _TRIANGLE_BITS) - 1), best)
    return triangle.view(batch, height, width)


def _chunks(cells: Tensor) -> list[tuple[int, int]]:
    """Ranges of triangles whose bounding boxes together have about `_CANDIDATES` cells."""
    if len(cells) == 0:
        return []
    total = cells.cumsum(0)
    limit = _CANDIDATES if cells.device.type == "cpu" else 64 * _CANDIDATES
    steps = torch.tensor(list(range(limit, int(total[-1]), limit)), dtype=torch.int64, device=cells.device)
    cuts = sorted({0, len(cells), *torch.searchsorted(total, steps).add_(1).tolist()})
    return list(pairwise(cuts))


def _ordered_bits(values: Tensor) -> Tensor:
    """Non-negative integers of 32 bits in the order of the float32 values."""
    bits = values.float().contiguous().view(torch.int32).to(torch.int64)
    return torch.where(bits >= 0, bits, bits ^ 0x7FFFFFFF) + (1 << 31)
