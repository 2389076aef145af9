# SPDX-License-Identifier: Apache-2.0
"""A head that can be animated: a neutral mesh, and what each expression adds to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lineament.errors import DataError
from lineament.geometry.mesh import Mesh, welded_normals
from lineament.geometry.relief import vertex_tangents


@dataclass(frozen=True, eq=False)
class Head:
    """A head at rest, upright, in its own frame: x to the subject's left, y up, z out of the face, millimetres."""

    vertices: NDArray[np.float64]
    """[V, 3] at rest."""
    triangles: NDArray[np.int64]
    """[T, 3], counter-clockwise seen from outside."""
    uv: NDArray[np.float64]
    """[V, 2] in one atlas, v up, origin bottom left; vertices on a seam are there twice."""
    weld: NDArray[np.int64]
    """[V] the first vertex at the same place, itself where there is none before it."""
    morphs: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    """name -> [V, 3] offsets at weight 1."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """name -> how much of it the photo shows; 0 where a name is missing."""

    def __post_init__(self) -> None:
        count = len(self.vertices)
        if self.uv.shape != (count, 2) or self.weld.shape != (count,):
            shapes = f"{self.uv.shape} and {self.weld.shape}"
            raise DataError(f"texture coordinates and seams {shapes} do not fit a head of {count} vertices")
        if wrong := [name for name, offsets in self.morphs.items() if offsets.shape != (count, 3)]:
            raise DataError(f"the shape {wrong[0]} does not fit a head of {count} vertices")
        if strange := sorted(set(self.weights) - set(self.morphs)):
            raise DataError(f"there is a weight for {strange[0]}, but no such shape")

    @property
    def mesh(self) -> Mesh:
        """The head with the expression that the photo shows."""
        vertices = self.vertices.copy()
        for name, weight in self.weights.items():
            vertices += weight * self.morphs[name]
        return Mesh(vertices, self.triangles, self.uv[self.triangles])

    @property
    def tangents(self) -> NDArray[np.float64]:
        """[V, 4] tangents at rest, along the atlas' u (`lineament.geometry.relief.vertex_tangents`)."""
        return vertex_tangents(self.vertices, self.triangles, self.uv, self.normals(self.vertices))

    def normals(self, vertices: NDArray[np.floating]) -> NDArray[np.float64]:
        """Unit normals [V, 3] of the head with these vertices [V, 3], smooth over its seams."""
        return welded_normals(Mesh(np.asarray(vertices, np.float64), self.triangles), self.weld)
