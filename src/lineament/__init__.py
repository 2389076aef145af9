# SPDX-License-Identifier: Apache-2.0
"""One photo of a face in, its fine geometry out.

    >>> import lineament
    >>> faces = lineament.estimate("portrait.jpg")
    >>> faces[0].normals.shape  # H×W×3 float32, camera frame (x right, y up, z to the viewer), zero outside
    >>> faces[0].save("out")

Importing this package imports no torch: estimation runs on ONNX Runtime.
"""

from lineament.errors import LineamentError
from lineament.estimator import Estimator, Method, estimate, load
from lineament.result import FaceGeometry
from lineament.version import __version__

__all__ = ["Estimator", "FaceGeometry", "LineamentError", "Method", "__version__", "estimate", "load"]
