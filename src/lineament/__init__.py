# SPDX-License-Identifier: Apache-2.0
"""One photo of a face in, its fine geometry out.

    >>> import lineament
    >>> faces = lineament.estimate("portrait.jpg")
    >>> faces[0].normals.shape  # H×W×3 float32, camera frame (x right, y up, z to the viewer), zero outside
    >>> faces[0].save("out")

Importing this package imports no torch: estimation runs on ONNX Runtime. Its names are imported when they are first
asked for, so that the command line answers at once, to Ctrl-C, too.
"""

from __future__ import annotations

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before anybody imports ONNX Runtime (lineament.inference.engine)

TYPE_CHECKING = False  # typing's own takes long to import
if TYPE_CHECKING:
    from typing import Any

    from lineament.errors import LineamentError
    from lineament.pipeline.estimator import Estimator, estimate, load
    from lineament.pipeline.multiview import multiview
    from lineament.pipeline.options import Options
    from lineament.pipeline.video import VideoEstimator
    from lineament.result.geometry import FaceGeometry
    from lineament.result.person import PersonGeometry
    from lineament.version import __version__

__all__ = [
    "Estimator",
    "FaceGeometry",
    "LineamentError",
    "Options",
    "PersonGeometry",
    "VideoEstimator",
    "__version__",
    "estimate",
    "load",
    "multiview",
]

_MODULES = {
    "LineamentError": "errors",
    "FaceGeometry": "result.geometry",
    "Options": "pipeline.options",
    "PersonGeometry": "result.person",
    "VideoEstimator": "pipeline.video",
    "multiview": "pipeline.multiview",
    "__version__": "version",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_MODULES.get(name, 'pipeline.estimator')}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
