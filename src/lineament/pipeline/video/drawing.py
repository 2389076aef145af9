# SPDX-License-Identifier: Apache-2.0
"""Frames with the faces' geometry drawn over them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lineament.images.encoding import NormalsConvention, encode_normals
from lineament.pipeline.video.estimator import FaceInFrame
from lineament.render.preview import LIGHTS, shade_normals
from lineament.result.geometry import unit_normals

Panel = Literal["photo", "normals", "shading"]
"""What is shown of a frame."""

_DIMMED = 0.35  # brightness of what is no face
Drawn = Callable[[NDArray[np.float32]], NDArray[np.uint8]]
"""From unit normals H×W×3 to RGB or grey."""


def panels(image: NDArray[np.uint8], faces: Sequence[FaceInFrame], shown: Sequence[Panel]) -> NDArray[np.uint8]:
    """A frame H×W×3 and the geometry in it, side by side: H×(W·n)×3."""
    return np.concatenate([_panel(image, faces, panel) for panel in shown], axis=1)


def normal_map(
    shape: tuple[int, int], faces: Sequence[FaceInFrame], convention: NormalsConvention
) -> NDArray[np.uint8]:
    """The normals of all faces of a frame H×W as colours H×W×3, black elsewhere."""
    canvas = np.zeros((*shape, 3), np.uint8)
    for face in faces:
        _draw(canvas, face, partial(_coloured, convention=convention), soft=False)
    return canvas


def _panel(image: NDArray[np.uint8], faces: Sequence[FaceInFrame], panel: Panel) -> NDArray[np.uint8]:
    if panel == "photo":
        return image
    import cv2

    canvas = np.asarray(cv2.convertScaleAbs(image, alpha=_DIMMED), np.uint8)
    drawn: Drawn = _coloured if panel == "normals" else _shaded
    for face in faces:
        _draw(canvas, face, drawn, soft=True)
    return canvas


def _coloured(normals: NDArray[np.float32], convention: NormalsConvention = "opengl") -> NDArray[np.uint8]:
    return np.asarray(encode_normals(normals, convention), np.uint8)


def _shaded(normals: NDArray[np.float32]) -> NDArray[np.uint8]:
    grey = shade_normals(normals, LIGHTS[0])
    return np.repeat(grey[..., None], 3, axis=-1)


def _draw(canvas: NDArray[np.uint8], face: FaceInFrame, drawn: Drawn, soft: bool) -> None:
    """Lay a face's normals over a canvas H×W×3, with a soft edge or none."""
    height, width = canvas.shape[:2]
    crop = face.crop
    share = crop.at(len(face.share)).paste(face.share, height, width) * crop.covers(height, width)
    opaque = (2.0 * share - 1.0).clip(0.0, 1.0) if soft else (share > 0.5).astype(np.float32)
    rows, columns = np.flatnonzero(opaque.any(1)), np.flatnonzero(opaque.any(0))
    if len(rows) == 0:
        return
    inner = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    x, y, w, h = crop.place(height, width)
    normals = unit_normals(np.ascontiguousarray(crop.paste(face.crop_normals, height, width)[inner]))
    part: NDArray[Any] = canvas[y : y + h, x : x + w][inner]
    weight = opaque[inner][..., None]
    part[:] = np.rint(part + weight * (drawn(normals).astype(np.float32) - part)).astype(np.uint8)
