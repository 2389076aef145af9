# SPDX-License-Identifier: Apache-2.0
"""The deformation map that takes a mesh to a known shape (HRN, section 3.3: fitting scans)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import splu

from lineament.rig import Rig
from lineament.rig.face_chart import chart_vertices

SMOOTH = 1e-2
"""Weight of changes between neighbouring texels, beside a vertex's 1: hardly any."""


class DeformationFit:
    """Least squares on the rig's face chart: the map of S×S texels whose bilinear samples come nearest to offsets.

    Vertices that share a texel share its weight: hundreds lie folded up in the sockets behind the lids.
    """

    def __init__(self, rig: Rig, side: int, smooth: float = SMOOTH) -> None:
        """Prepare the equations for maps of S = ``side``; ``smooth`` weighs changes between neighbouring texels."""
        self.side = side
        self.vertices = chart_vertices(rig)
        u, v = rig.face_uv[self.vertices].astype(np.float64).T
        column, row = ((each * side - 0.5).clip(0.0, side - 1.0) for each in (u, 1.0 - v))
        left, top = (np.floor(each).astype(np.int64).clip(0, side - 2) for each in (column, row))
        x, y = column - left, row - top
        first = top * side + left
        shares = np.concatenate([(1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y])
        texels = np.concatenate([first, first + 1, first + side, first + side + 1])
        count = len(self.vertices)
        self._samples = sparse.csr_matrix((shares, (np.tile(np.arange(count), 4), texels)), (count, side * side))
        self._weight = 1.0 / np.bincount(first, minlength=side * side)[first]
        step = sparse.diags([-np.ones(side), np.ones(side - 1)], [0, 1], (side - 1, side))
        one = sparse.eye(side)
        changes = sparse.vstack([sparse.kron(one, step), sparse.kron(step, one)])
        self._smooth = smooth * (changes.T @ changes)
        self._all = self._prepared(self._weight)

    def __call__(self, offsets: NDArray[np.floating], known: NDArray[np.bool_] | None = None) -> NDArray[np.float32]:
        """The map [S, S, 3] of the head's offsets [V, 3], in their unit.

        Where nothing is ``known`` of them, [V], the map is smooth.
        """
        weight = self._weight if known is None else self._weight * known[self.vertices]
        wanted, solver = self._all if known is None else self._prepared(weight)
        texels = solver.solve(wanted @ offsets[self.vertices].astype(np.float64))
        return np.asarray(texels.reshape(self.side, self.side, -1), np.float32)

    def _prepared(self, weight: NDArray[np.float64]) -> tuple[Any, Any]:
        """The right side's matrix, and the factors of the left one; a little keeps what nothing holds at zero."""
        wanted = self._samples.T @ sparse.diags(weight)
        little = 1e-9 * sparse.eye(self.side**2)
        return wanted, splu((wanted @ self._samples + self._smooth + little).tocsc())
