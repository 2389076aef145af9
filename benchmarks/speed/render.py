# SPDX-License-Identifier: Apache-2.0
"""Milliseconds per picture of rasteriser and shading: ``python benchmarks/speed/render.py [--size 256] [--threads 1]``.

The subject is an ellipsoid of about 7,000 vertices that covers some 60 % of the picture, each of the batch turned and
placed a little differently. Medians of several runs; beside them the processor's own time, which a busy machine does
not stretch.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from lineament.evaluation.report.benchmark import benchmark_parser, report
from lineament.evaluation.report.table import Table
from lineament.render.raster import interpolate, rasterize, vertex_normals
from lineament.render.shading import blinn_phong, cast_shadow, cavity_occlusion, spherical_harmonics_shading


def ellipsoid(rows: int = 58, columns: int = 120) -> tuple[Tensor, Tensor]:
    """Vertices [V, 3] of an ellipsoid of about a head's proportions, its height 2, and its faces [F, 3]."""
    polar = (torch.arange(rows) + 0.5) / rows * math.pi
    turn = torch.arange(columns) / columns * 2 * math.pi
    ring = polar.sin()[:, None]
    x, y, z = ring * turn.sin(), polar.cos()[:, None].expand(-1, columns), ring * turn.cos()
    vertices = torch.stack([0.8 * x, y, 0.95 * z], dim=-1).reshape(-1, 3)
    a = (torch.arange(rows - 1)[:, None] * columns + torch.arange(columns)).reshape(-1)
    b = (torch.arange(rows - 1)[:, None] * columns + (torch.arange(columns) + 1) % columns).reshape(-1)
    below = torch.stack([a, a + columns, b + columns], dim=1)
    above = torch.stack([a, b + columns, b], dim=1)
    return vertices, torch.cat([below, above])


def measure(work: Callable[[], object], runs: int, pictures: int, device: str) -> tuple[float, float]:
    """Median wall and processor time per picture, milliseconds, after one call that is not counted."""

    def wait() -> None:
        if device != "cpu":
            torch.cuda.synchronize(device)

    work()
    wall, processor = [], []
    for _ in range(runs):
        wait()
        start, begun = time.perf_counter(), time.process_time()
        work()
        wait()
        wall.append(time.perf_counter() - start)
        processor.append(time.process_time() - begun)
    return 1e3 * statistics.median(wall) / pictures, 1e3 * statistics.median(processor) / pictures


def main() -> None:
    """Measure and print."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    size, batch, device = arguments.size, arguments.batch, arguments.device

    draw = torch.Generator().manual_seed(0)
    head, faces = ellipsoid()
    turns = torch.rand(batch, generator=draw) - 0.5  # radians about the vertical axis
    c, s, o = turns.cos(), turns.sin(), torch.zeros(batch)
    turn = torch.stack([c, o, s, o, o + 1, o, -s, o, c], dim=1).view(batch, 3, 3)
    vertices = (head @ turn.transpose(1, 2) * (0.49 * size)).to(device)
    shift = size / 2 + 0.02 * size * torch.randn(batch, 1, 2, generator=draw).to(device)
    points = torch.cat([vertices[..., :2] * vertices.new_tensor([1.0, -1.0]) + shift, vertices[..., 2:]], dim=-1)
    faces = faces.to(device)
    inverse = 1.0 / (3.0 * size - points[..., 2])
    fragments = rasterize(points, faces, size, size, inverse)
    attributes = torch.rand(batch, len(head), 8, generator=draw).to(device)
    normals = F.normalize(interpolate(vertex_normals(vertices, faces), faces, fragments), dim=1)
    light = F.normalize(torch.tensor([[0.6, 0.4, 0.7]]), dim=1).expand(batch, -1).to(device)
    view = torch.zeros_like(normals)
    view[:, 2] = 1.0
    harmonics = torch.rand(batch, 9, 3, generator=draw).to(device)
    soft, shine = torch.full((batch,), 0.3, device=device), torch.full((batch,), 20.0, device=device)

    def backward() -> None:
        moved = points.detach().requires_grad_()
        seen = rasterize(moved, faces, size, size, inverse)
        interpolate(attributes, faces, seen).square().mean().backward()

    works: dict[str, Callable[[], object]] = {
        "rasterize": lambda: rasterize(points, faces, size, size, inverse),
        "interpolate, 8 channels": lambda: interpolate(attributes, faces, fragments),
        "rasterize, interpolate, backward": backward,
        "vertex normals": lambda: vertex_normals(vertices, faces),
        "spherical harmonics shading": lambda: spherical_harmonics_shading(normals, harmonics),
        "Blinn-Phong": lambda: blinn_phong(normals, light, view, shine),
        "cast shadow": lambda: cast_shadow(fragments.depth, fragments.mask, light, soft),
        "cavity occlusion": lambda: cavity_occlusion(fragments.depth, fragments.mask, 0.06 * size),
    }
    table = Table(
        title="Milliseconds per picture",
        columns=("part", "wall", "processor"),
        rows=tuple((name, *measure(work, arguments.runs, batch, device)) for name, work in works.items()),
        notes=(
            f"{size}², batch {batch}, {len(head)} vertices, {len(faces)} triangles, "
            f"{float(fragments.mask.float().mean()):.0%} covered, {device}, {arguments.threads} thread(s), "
            f"median of {arguments.runs}.",
        ),
    )
    report([table], arguments.output)


if __name__ == "__main__":
    main()
