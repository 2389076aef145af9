# SPDX-License-Identifier: Apache-2.0
"""Find faces, read them, crop them to the canonical frame, paste results back at the photo's own resolution."""

from lineament.alignment.crop import Box, FaceCrop, crop_of_box, crop_of_landmarks, crop_of_whole
from lineament.annotations.parsing import MaskClass
from lineament.face.detect import find, find_boxes, largest
from lineament.face.draw import draw_faces
from lineament.face.face import Detector, Face, FaceReading, Pose
from lineament.face.read import read_crop, read_face

__all__ = [
    "Box",
    "Detector",
    "Face",
    "FaceCrop",
    "FaceReading",
    "MaskClass",
    "Pose",
    "crop_of_box",
    "crop_of_landmarks",
    "crop_of_whole",
    "draw_faces",
    "find",
    "find_boxes",
    "largest",
    "read_crop",
    "read_face",
]
