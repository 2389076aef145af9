# SPDX-License-Identifier: Apache-2.0
"""ARKit's shapes: their names, and what they move."""

from __future__ import annotations

import numpy as np

from lineament.rig import Part, load_rig
from lineament.rig.arkit import arkit_name, arkit_shapes

SIDED = (
    *("browDown", "browOuterUp", "cheekSquint", "eyeBlink", "eyeLookDown", "eyeLookIn", "eyeLookOut", "eyeLookUp"),
    *("eyeSquint", "eyeWide", "mouthDimple", "mouthFrown", "mouthLowerDown", "mouthPress", "mouthSmile"),
    *("mouthStretch", "mouthUpperUp", "noseSneer"),
)
WHOLE = (
    *("browInnerUp", "cheekPuff", "jawForward", "jawLeft", "jawOpen", "jawRight", "mouthClose", "mouthFunnel"),
    *("mouthLeft", "mouthPucker", "mouthRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower"),
    "mouthShrugUpper",
)


def test_names_are_apples() -> None:
    assert arkit_name("browDown_L") == "browDownLeft"
    assert arkit_name("jawOpen") == "jawOpen"
    shapes = arkit_shapes(load_rig())
    sides = ("Left", "Right")
    for stem in ("eyeBlink", "eyeLookIn", "eyeLookOut", "eyeLookUp", "eyeLookDown", "mouthSmile", "noseSneer"):
        assert all(f"{stem}{side}" in shapes for side in sides)
    assert "tongueOut" not in shapes
    both = {f"{stem}{side}" for stem in SIDED for side in sides}
    assert both | set(WHOLE) <= set(shapes)
    assert len(both) + len(WHOLE) == 51  # of ARKit's 52


def test_shapes_move_what_their_names_say() -> None:
    rig = load_rig()
    shapes = arkit_shapes(rig, np.ones(rig.identity_count, np.float32))
    chin, lids = rig.landmarks[8], rig.landmarks[[43, 44]]
    assert shapes["jawOpen"][chin, 1] < -5.0
    assert (shapes["eyeBlinkLeft"][lids, 1] < -1.0).all()
    smile = shapes["mouthSmileLeft"][rig.landmarks[[48, 54]]]
    assert smile[1, 1] > 1.0
    assert abs(smile[0, 1]) < 1.0
    # The front of the left eyeball, whose subject looks out of the picture to its right.
    left = np.flatnonzero(rig.part == Part.EYE_LEFT)
    front = left[rig.mean[left, 2].argmax()]
    assert shapes["eyeLookOutLeft"][front, 0] > 3.0
    assert shapes["eyeLookInLeft"][front, 0] < -3.0
    assert shapes["eyeLookUpLeft"][front, 1] > 2.0
    assert shapes["eyeLookDownLeft"][front, 1] < -2.0
    for name, offsets in shapes.items():
        if name.startswith("eyeLook"):
            part = Part.EYE_LEFT if name.endswith("Left") else Part.EYE_RIGHT
            assert not offsets[rig.part != part].any()
