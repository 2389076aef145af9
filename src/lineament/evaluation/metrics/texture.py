# SPDX-License-Identifier: Apache-2.0
"""Figures that compare pictures: structural similarity, and whether a face still looks like the same person."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lineament.datasets.meshes import needed
from lineament.errors import InputError, WeightsError
from lineament.geometry.similarity import fit_similarity
from lineament.images.resize import resized_square
from lineament.inference.engine import Network
from lineament.weights.file import MAX_FILE, read_bytes

_ARCFACE_SIDE = 112
_ARCFACE_PLACES = (
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
)


def structural_similarity(
    first: NDArray[np.uint8], second: NDArray[np.uint8], mask: NDArray[np.bool_] | None = None
) -> float:
    """SSIM (Wang et al. 2004) of two pictures, averaged over the face (L2R, tables 3 and 7).

    scikit-image computes it, with Gaussian weights (σ 1.5) and the sample covariance of the paper, per channel.

    Args:
        first: [H, W, 3] uint8.
        second: [H, W, 3] uint8.
        mask: [H, W] the facial region; the whole picture by default.

    Raises:
        InputError: Shapes that differ, or an empty mask.
    """
    ssim = needed("skimage.metrics").structural_similarity
    if first.shape != second.shape or first.ndim != 3:
        raise InputError(f"pictures of the shapes {first.shape} and {second.shape} cannot be compared")
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    mean, everywhere = ssim(first, second, channel_axis=2, full=True, **settings)
    if mask is None:
        return float(mean)
    if mask.shape != first.shape[:2] or not mask.any():
        raise InputError(f"a mask {mask.shape} does not fit pictures {first.shape}")
    return float(everywhere[mask].mean())


class FaceRecogniser:
    """A face-recognition network of the user's, an ONNX file such as ArcFace's; none ships with this package.

    Its input must be one picture [1, 3, S, S]; faces must come cropped as it was trained (ArcFace: 112 × 112, aligned).
    """

    def __init__(self, path: Path, mean: float = 127.5, scale: float = 127.5, bgr: bool = False) -> None:
        """Load a network; pictures go in as (value - mean) / scale, RGB unless ``bgr``.

        Raises:
            WeightsError: The file is missing, no ONNX network, one in several files, or one of another input.
        """
        self.network = Network(str(path), read_bytes(path, MAX_FILE, WeightsError, "network"), {})
        inputs = self.network.inputs
        if len(inputs) != 1 or len(inputs[0][1]) != 4 or inputs[0][1][1] != 3:
            raise WeightsError(f"{path} must take one picture [1, 3, S, S]")
        if isinstance(inputs[0][1][-1], int) and not 0 < inputs[0][1][-1] <= 2048:
            raise WeightsError(f"{path} takes pictures of {inputs[0][1][-1]} pixels; faces are shown with 1 to 2048")
        self.name, self.size = inputs[0][0], inputs[0][1][-1]
        self.mean, self.scale, self.bgr = mean, scale, bgr

    def embedding(self, face: NDArray[np.uint8]) -> NDArray[np.float64]:
        """A unit vector for a cropped face [H, W, 3] uint8 RGB."""
        resized = resized_square(face, self.size if isinstance(self.size, int) else 112)
        values = (resized[..., ::-1] if self.bgr else resized).astype(np.float32)
        blob = ((values - self.mean) / self.scale).transpose(2, 0, 1)[None].astype(np.float32)
        vector = self.network.run({self.name: blob}, [None])[0].astype(np.float64).ravel()
        return vector / max(1e-12, float(np.linalg.norm(vector)))


def identity_similarity(
    recogniser: FaceRecogniser, original: NDArray[np.uint8], views: Sequence[NDArray[np.uint8]]
) -> float:
    """Mean cosine between the original photo's embedding and those of rendered views (L2R, section 5).

    L2R renders the original and the frontal pose, and ±45° of yaw and of pitch. All pictures are cropped as the
    recogniser's training was (`recogniser_crop`).

    Raises:
        InputError: No view.
    """
    if not views:
        raise InputError("there is no view to compare")
    reference = recogniser.embedding(recogniser_crop(original))
    return float(np.mean([recogniser.embedding(recogniser_crop(view)) @ reference for view in views]))


def recogniser_crop(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The largest face of a picture as ArcFace's training crops it, 112 × 112 RGB; all of it where no face is found.

    One similarity takes the middles of the eyes, the nose's tip and the mouth's corners to where they lie in such a
    crop (Deng et al. 2019, "ArcFace"; the five places are those of github.com/deepinsight/insightface, face_align.py).
    """
    import cv2

    from lineament.face import detect_faces, largest

    found = largest(detect_faces)(picture)
    if not found or found[0].landmarks is None:
        return np.asarray(cv2.resize(picture, (_ARCFACE_SIDE, _ARCFACE_SIDE), interpolation=cv2.INTER_AREA), np.uint8)
    marks = found[0].landmarks
    five = np.stack([marks[36:42].mean(0), marks[42:48].mean(0), marks[30], marks[48], marks[54]])
    seen, wanted = (np.column_stack([points, np.zeros(5)]) for points in (five, np.array(_ARCFACE_PLACES)))
    motion = fit_similarity(seen, wanted)
    matrix = np.column_stack([motion.scale * motion.rotation[:2, :2], motion.translation[:2]])
    return np.asarray(cv2.warpAffine(picture, matrix, (_ARCFACE_SIDE, _ARCFACE_SIDE)), np.uint8)
