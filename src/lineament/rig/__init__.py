# SPDX-License-Identifier: Apache-2.0
"""The statistical face: identity and expression bases, landmarks, skin regions and a UV chart."""

from __future__ import annotations

from lineament.rig.io import DEFAULT_RIG_PATH, RigFileError, load_rig, save_rig, shipped_rig
from lineament.rig.model import Part, Rig

__all__ = ["DEFAULT_RIG_PATH", "Part", "Rig", "RigFileError", "load_rig", "save_rig", "shipped_rig"]
