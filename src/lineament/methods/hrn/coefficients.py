# SPDX-License-Identifier: Apache-2.0
"""What the face analyser says of a face: numbers by name, and how many there are of each (no torch)."""

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
