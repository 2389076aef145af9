# SPDX-License-Identifier: Apache-2.0
"""Find faces, read them, crop them to the canonical frame, paste results back at the photo's own resolution."""

from lineament.alignment.crop import Box, FaceCrop, crop_of_box, crop_of_landmarks, crop_of_whole
from lineament.annotations.parsing import MaskClass
from lineament.face.detect import detect_boxes, detect_faces, largest
from lineament.face.draw import draw_faces
from lineament.face.face import Detector, Face, FaceParsing, Pose
from lineament.face.parse import parse_crop, parse_face

__all__ = [
    "Box",
    "Detector",
    "Face",
    "FaceCrop",
    "FaceParsing",
    "MaskClass",
    "Pose",
    "crop_of_box",
    "crop_of_landmarks",
    "crop_of_whole",
    "detect_boxes",
    "detect_faces",
    "draw_faces",
    "largest",
    "parse_crop",
    "parse_face",
]
