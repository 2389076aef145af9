# SPDX-License-Identifier: Apache-2.0
"""Figures that compare pictures: structural similarity, and whether a face still looks like the same person."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lineament.errors import InputError, WeightsError
from lineament.images.resize import resized_square
from lineament.inference.engine import Network
from lineament.weights.file import MAX_FILE, read_bytes


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
    from skimage.metrics import structural_similarity as ssim

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

    L2R renders the original and the frontal pose, and ±45° of yaw and of pitch.

    Raises:
        InputError: No view.
    """
    if not views:
        raise InputError("there is no view to compare")
    reference = recogniser.embedding(original)
    return float(np.mean([recogniser.embedding(view) @ reference for view in views]))
