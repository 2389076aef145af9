# SPDX-License-Identifier: Apache-2.0
"""The numbers of Unsup3D's camera and of its canonical maps (no torch)."""

from __future__ import annotations

import math

FIELD_OF_VIEW = 10.0
"""Degrees across the picture."""
HALF = math.tan(math.radians(0.5 * FIELD_OF_VIEW))
"""Half of what a picture shows at the face's distance, units."""
MOST_TURN = 60.0
"""Degrees about each axis that a view of 1 stands for."""
MOST_SHIFT = 0.1
"""Units along each axis that a view of 1 stands for."""
NEAREST, FARTHEST = 0.9, 1.1
"""Distances that canonical depth runs between."""
UNIT = 1540.0
"""Millimetres of a unit: a crop then shows 270 mm at the face's distance, as it does of an average head."""
PROXY_SIZE = 64
"""Side of what the networks of the proxy see and give, pixels."""
