# SPDX-License-Identifier: Apache-2.0
"""A photo without its shading, at its own resolution."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lineament.face.paste import FaceRegion
from lineament.images.resize import to_uint8
from lineament.models.albedo.predictor import shipped_albedo

_DARK = 0.03  # added to both sides of the quotient: black pixels say nothing of what colour they would have
_GAIN = 2.0  # largest brightening
_TINT = 0.15  # most by which a channel's logarithm may change otherwise than that of all: dark pixels have no sure hue
_COLOURLESS = 6  # differences of channels up to which a picture is grey


def photo_albedo(
    photo: NDArray[Any], region: FaceRegion, crop_albedo: NDArray[np.float32] | None = None
) -> NDArray[np.uint8]:
    """The albedo of a face.

    An albedo has the size of its crop, the method's own as well as the albedo network's. What it takes away there, a
    smooth factor per pixel and colour, is taken away from the photo; so the result is as fine as the photo is, and
    shading finer than the network sees stays in it. One photo does not tell a bright skin from bright light: the face
    keeps its mean brightness and colour.

    Args:
        photo: H×W×3 RGB, uint8 or float32 in [0, 1].
        region: Where the face is in it.
        crop_albedo: S×S×3 in [0, 1], encoded as sRGB, of the crop: the method's own, where it gives one.

    Returns:
        H×W×3, encoded as sRGB; black outside the face.
    """
    size = shipped_albedo().size if crop_albedo is None else len(crop_albedo)
    own = replace(region, crop=region.crop.at(size))
    seen = own.crop.extract(photo)
    found = shipped_albedo().run(seen[None])[0] if crop_albedo is None else crop_albedo
    gain = np.log((found + _DARK) / (seen.astype(np.float32) / 255 + _DARK))
    alike = gain.mean(axis=-1, keepdims=True)
    tint = 0.0 if np.ptp(seen, axis=-1).max() <= _COLOURLESS else (gain - alike).clip(-_TINT, _TINT)
    gain = alike + tint * np.ones(3, np.float32)
    if own.in_crop.any():
        gain -= gain[own.in_crop].mean(axis=0)
    gain = np.exp(gain).clip(1 / _GAIN, _GAIN)
    height, width = photo.shape[:2]
    albedo = np.zeros((height, width, 3), np.uint8)
    top = own.place[0].start
    for place in own.crop.strips(height, width):
        lit = to_uint8(photo[place]).astype(np.float32) + 255 * _DARK
        flat = lit * own.crop.paste(gain, height, width, place[0]) - 255 * _DARK
        inside = own.mask[place[0].start - top : place[0].stop - top]
        albedo[place] = np.rint(flat).clip(0, 255) * inside[..., None]
    return albedo
