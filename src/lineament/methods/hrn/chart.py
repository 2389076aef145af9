# SPDX-License-Identifier: Apache-2.0
"""The face's chart in torch: from vertices to maps and back, and how steep a displacement map is on a surface."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lineament.geometry.relief import FLAT
from lineament.render.vectors import cross, dot, unit
from lineament.rig import Rig
from lineament.rig.face_chart import ChartGrid, chart_vertices


class FaceChart(nn.Module):
    """A rig's chart of the face at S×S texels; row 0 is the top. It holds nothing that is learned or saved."""

    corner: Tensor
    weight: Tensor
    places: Tensor
    used: Tensor

    def __init__(self, rig: Rig, side: int) -> None:
        """Prepare the chart of a rig at S = ``side``."""
        super().__init__()
        self.side = side
        grid = ChartGrid.of(rig, side)
        on_chart = torch.zeros(rig.vertex_count, dtype=torch.bool)
        on_chart[torch.from_numpy(chart_vertices(rig))] = True
        uv = torch.from_numpy(rig.face_uv)
        buffers = {
            "corner": torch.from_numpy(grid.corner.astype("int64")).flatten(0, 1),  # [S², 3]
            "weight": torch.from_numpy(grid.weight).flatten(0, 1),  # [S², 3]
            "used": on_chart,  # [V]
            "places": torch.stack([2.0 * uv[:, 0] - 1.0, 1.0 - 2.0 * uv[:, 1]], dim=1),  # [V, 2], of grid_sample
        }
        for name, value in buffers.items():
            self.register_buffer(name, value, persistent=False)

    def of_vertices(self, values: Tensor) -> Tensor:
        """Vertices' values [B, V, C] as a map [B, C, S, S]."""
        count, _, channels = values.shape
        rows = values.transpose(0, 1).flatten(1)  # [V, B C]: rows are gathered three times as fast as from batches
        first, second, third = (rows[self.corner[:, k]] * self.weight[:, k, None] for k in range(3))  # [S², B C]
        texels = (first + second + third).unflatten(1, (count, channels))
        maps: Tensor = texels.permute(1, 2, 0).unflatten(2, (self.side, self.side))
        return maps

    def at_vertices(self, maps: Tensor) -> Tensor:
        """A map [B, C, s, s] of any side at the vertices, [B, V, C]; zero at those off the chart."""
        places = self.places.expand(len(maps), 1, -1, -1)
        found = F.grid_sample(maps, places, align_corners=False, padding_mode="border")[:, :, 0]
        return found.transpose(1, 2) * self.used[:, None]


def differences(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Changes of a map [B, C, H, W] from column to column and from row to row, central, one-sided at the edges."""
    padded = F.pad(maps, (1, 1, 1, 1), mode="replicate")
    across = 0.5 * (padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2])
    down = 0.5 * (padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1])
    return across, down


def slopes(position: Tensor, height: Tensor) -> Tensor:
    """`lineament.geometry.relief.surface_gradient` of batches.

    Args:
        position: [B, 3, S, S] mm, the surface on its chart.
        height: [B, 1, S, S] mm along its normal.

    Returns:
        [B, 3, S, S] vectors in the surface's tangent planes, in the frame of its positions.
    """
    across, down = differences(position)
    rise_across, rise_down = differences(height)
    normal = cross(across, down)
    area = dot(normal, normal)
    # The dual of the tangents: a step along the gradient rises by its square.
    steepest = rise_across * cross(down, normal)
    steepest = steepest + rise_down * cross(normal, across)
    return steepest / (area + FLAT)


def detailed_normals(normals: Tensor, slope: Tensor) -> Tensor:
    """Unit normals [B, 3, S, S] of a surface with normals and `slopes` of the displacement on it."""
    return unit(normals - slope)
