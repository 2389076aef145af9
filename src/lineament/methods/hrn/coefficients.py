# SPDX-License-Identifier: Apache-2.0
"""What the face analyser says of a face: numbers by name, how many there are of each, and features (no torch)."""

from __future__ import annotations

from collections.abc import Mapping

IDENTITY, EXPRESSION, ALBEDO = 80, 47, 80
SIZES: Mapping[str, int] = {
    "identity": IDENTITY,
    "expression": EXPRESSION,
    "albedo": ALBEDO,
    "angles": 3,
    "light": 27,
    "translation": 3,
}
"""How many numbers each has, in the order of the network's answer.

identity, albedo: standard deviations; expression: weights in [0, 1]; angles: radians about x, y, z
(`lineament.render.morphable.head_rotation`); light: nine spherical harmonics for each of red, green and blue, of the
shading; translation: mm, of the rig's origin before the assumed camera.
"""
COUNT = sum(SIZES.values())

FEATURES = "features"
"""What its encoder's features are called that the maps' networks see."""
SCALES = (1, 2, 3, 4)
"""Which of the encoder's five scales they come from: strides 4 to 32."""


def features_shape(channels: int, size: int) -> tuple[int, int, int]:
    """Channels, rows and columns of them, of ``channels`` each scale and crops of ``size`` pixels."""
    return len(SCALES) * channels, size // 4, size // 4
