# SPDX-License-Identifier: Apache-2.0
"""Real datasets on disk, one module each; every one yields `Sample`."""

from __future__ import annotations

from lineament.datasets.sample import Sample
from lineament.datasets.yaleb import GroundTruth, Light, YaleB, YaleBSubject

__all__ = ["GroundTruth", "Light", "Sample", "YaleB", "YaleBSubject"]
