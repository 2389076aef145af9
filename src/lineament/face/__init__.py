# SPDX-License-Identifier: Apache-2.0
"""Find faces, crop them to the canonical frame, paste results back at the photo's own resolution."""

from lineament.face.crop import Box, FaceCrop, crop_of_box, crop_of_whole
from lineament.face.draw import draw_faces
from lineament.face.find import Detector, Face, find, largest

__all__ = ["Box", "Detector", "Face", "FaceCrop", "crop_of_box", "crop_of_whole", "draw_faces", "find", "largest"]
