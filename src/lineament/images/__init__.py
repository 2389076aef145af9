# SPDX-License-Identifier: Apache-2.0
"""Reading photos safely, writing maps atomically, and the encodings of normal maps."""

from lineament.images.encoding import NormalsConvention, decode_normals, encode_normals
from lineament.images.read import as_image, find_images, read_frames, read_image
from lineament.images.write import write_exr, write_png

__all__ = [
    "NormalsConvention",
    "as_image",
    "decode_normals",
    "encode_normals",
    "find_images",
    "read_frames",
    "read_image",
    "write_exr",
    "write_png",
]
