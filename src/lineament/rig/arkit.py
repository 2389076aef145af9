# SPDX-License-Identifier: Apache-2.0
"""The rig's expressions by ARKit's names, with the turns of the eyes, which the rig's own shapes leave out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

from lineament.rig.model import Part, Rig

_OUT, _IN, _UP, _DOWN = 30.0, 30.0, 20.0, 25.0  # degrees of an eye's turn at weight 1
_OF_BOTH_SIDES = ("browInnerUp", "cheekPuff")
_SIDES = {"_L": "Left", "_R": "Right"}


def arkit_name(name: str) -> str:
    """ARKit's name of one of the rig's expressions: "browDown_L" is "browDownLeft"."""
    return name[:-2] + _SIDES[name[-2:]] if name[-2:] in _SIDES else name


def arkit_shapes(rig: Rig, identity: ArrayLike | None = None) -> Mapping[str, NDArray[np.float32]]:
    """Offsets of the vertices at weight 1, by ARKit's names.

    Of ARKit's 52, tongueOut is missing: the rig has no tongue that could come out. What the rig has beyond them keeps
    its name: cheekRaiser, and the sides of browInnerUp and cheekPuff, which ARKit has as one each.

    Args:
        rig: The rig.
        identity: Coefficients of the person whose eyes turn; the mean's when left out.

    Returns:
        name -> [V, 3] mm, rig frame.
    """
    shapes = {arkit_name(n): shape for n, shape in zip(rig.expression_names, rig.expression, strict=True)}
    for name in _OF_BOTH_SIDES:
        if {f"{name}Left", f"{name}Right"} <= set(shapes):
            shapes[name] = shapes[f"{name}Left"] + shapes[f"{name}Right"]
    neutral = rig.vertices(identity)
    for part, side, outwards in ((Part.EYE_LEFT, "Left", 1.0), (Part.EYE_RIGHT, "Right", -1.0)):
        own = rig.part == part
        eye = int(part - Part.EYE_LEFT)
        centre = rig.eye_centre[eye] + (neutral[own] - rig.mean[own]).mean(0)
        # x to the subject's left: a left eye turns outwards about +y, both look down about +x.
        for direction, axis, degrees in (
            ("Out", "y", outwards * _OUT),
            ("In", "y", -outwards * _IN),
            ("Up", "x", -_UP),
            ("Down", "x", _DOWN),
        ):
            turned = Rotation.from_euler(axis, degrees, degrees=True).apply(neutral[own] - centre) + centre
            offsets = np.zeros_like(rig.mean)
            offsets[own] = turned - neutral[own]
            shapes[f"eyeLook{direction}{side}"] = offsets
    return dict(sorted(shapes.items()))
