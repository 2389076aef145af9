# SPDX-License-Identifier: Apache-2.0
"""The scale of a face from its landmarks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from lineament.alignment.scale import average_landmarks, pixels_per_millimetre


@settings(max_examples=30, deadline=None)
@given(st.floats(0.1, 20.0), st.floats(-60, 60), st.floats(-30, 30), st.floats(-180, 180))
def test_the_scale_of_the_average_head_is_found(scale: float, yaw: float, pitch: float, roll: float) -> None:
    turned = Rotation.from_euler("yxz", [yaw, pitch, roll], degrees=True).apply(average_landmarks())
    seen = scale * turned[:, :2] * [1.0, -1.0] + [300.0, -20.0]
    assert pixels_per_millimetre(seen) == pytest.approx(scale, rel=1e-6)
    visibility = np.linspace(0, 1, 68)
    assert pixels_per_millimetre(seen, visibility) == pytest.approx(scale, rel=1e-6)
