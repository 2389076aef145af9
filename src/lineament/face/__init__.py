# SPDX-License-Identifier: Apache-2.0
"""Find faces, crop them to the canonical frame, paste results back at the photo's own resolution."""

from lineament.face.crop import Box, FaceCrop, crop_of_box, crop_of_whole
from lineament.face.find import Face, find

__all__ = ["Box", "Face", "FaceCrop", "crop_of_box", "crop_of_whole", "find"]
