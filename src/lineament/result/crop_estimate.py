# SPDX-License-Identifier: Apache-2.0
"""What a method says of one face's crop, all of it in the crop's own frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lineament.geometry.mesh import Mesh

Maps = tuple[NDArray[np.float32], ...]
"""One map per stage, the first stage's first."""


@dataclass(frozen=True)
class CropEstimate:
    """What a method says of one crop of S×S pixels, also where there is no face.

    Frame: the crop's own camera frame, x to its right, y up, z towards the viewer. Normals are always there, the rest
    where the method gives it itself: nothing here is derived but the normals of a method that gives depth alone.
    """

    normals: Maps
    """S×S×3 unit normals per stage."""
    uncertainty: Maps = ()
    """S×S per stage: the angular error to expect, degrees."""
    depths: Maps = ()
    """S×S per stage: shares of the crop's side, larger is nearer, from any zero."""
    albedo: NDArray[np.float32] | None = None
    """S×S×3 in [0, 1], encoded as sRGB."""
    restored: NDArray[np.float32] | None = None
    """S×S×3 in [0, 1], encoded as sRGB: the crop as it would be if it were not degraded."""
    mesh: Mesh | None = None
    """Millimetres."""
    mesh_places: NDArray[np.float64] | None = None
    """[V, 2] where the mesh's vertices lie in the crop, shares of its side; x right, y down."""
    position_map: NDArray[np.float32] | None = None
    """U×U×3 places of the face in the method's chart, millimetres."""
    rotation: NDArray[np.float32] | None = None
    """3×3: from a head that looks straight ahead to the crop's camera frame."""
    texture_map: NDArray[np.float32] | None = None
    """U×U×3 in [0, 1]: the colours of the position map, encoded as sRGB."""
    deformation_map: NDArray[np.float32] | None = None
    """V×V×3 offsets from the base shape in the UV chart, millimetres."""
    displacement_map: NDArray[np.float32] | None = None
    """U×U offsets along the normal in the UV chart, millimetres."""
    coefficients: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    """Numbers [K] of a statistical face, by their names."""
