# SPDX-License-Identifier: Apache-2.0
"""How heads of the rig stand before the camera that is assumed where none is known (no torch)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

FOCAL = 1015.0 / 224.0
"""Focal length of the camera that is assumed where none is known, in sides of the picture (Deng et al. 2019, "Accurate
3D face reconstruction with weakly-supervised learning", which HRN's face analyser is taken from)."""

DISTANCE = 1000.0
"""Millimetres from that camera to the origin of the camera frame; there, ten of the model's units."""


def head_rotation(angles: ArrayLike) -> NDArray[np.float64]:
    """Rotation [3, 3] from the rig frame to the camera frame, of angles [3] in radians about x, y and z.

    The head is turned by its yaw (y) first, then by its pitch (x), then by its roll (z): Rz · Rx · Ry.
    """
    pitch, yaw, roll = np.asarray(angles, np.float64)
    return np.asarray(Rotation.from_euler("ZXY", [roll, pitch, yaw]).as_matrix())
