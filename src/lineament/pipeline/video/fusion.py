# SPDX-License-Identifier: Apache-2.0
"""Normals of one face fused over time: motion-compensated, weighted by their uncertainty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lineament.result.geometry import unit_normals

Map = NDArray[np.float32]

_CHANGE = 5.0  # degrees of lasting difference from which the new estimate is believed
_OWN_NOISE = 0.03  # of the crop's side: sigma of the blur that tells a lasting difference from noise
_FLOW_SIDE = 128  # px at which motion is estimated: a coarser flow blurs what is fused (benchmarks/video/steadiness.py)
_PARSE_MEMORY = 0.5  # share of the old parse where nothing changes


@dataclass(frozen=True)
class Estimate:
    """One frame's estimate of a face, in the frame of its crop of S×S pixels."""

    picture: NDArray[np.uint8]
    """S×S×3 RGB."""
    normals: Map
    """S×S×3 unit normals."""
    precision: Map
    """S×S, how much a normal is to be trusted: the inverse of its expected squared error, in any unit."""
    parse: Map
    """R×R×8 probabilities of the parse of the same square."""
    rotation: NDArray[np.float64]
    """[3, 3] from the head's frame to the crop's camera frame."""


class NormalsFusion:
    """The running estimate of one face's normals.

    What was known is brought to the new frame in two steps: each pixel is followed by optical flow between the two
    crops, and its normal turned as the head has turned. There it is averaged with the new estimate, weighted by
    precision, and the average is what is known for the next frame. Where both differ by more than noise over some
    neighbourhood, the face has changed there (an expression, an occluder), and what was known is let go: so the fusion
    has memory without lag.
    """

    def __init__(self, memory: float) -> None:
        """Start with nothing known.

        Args:
            memory: Frames that the old estimate may weigh at most; 0 leaves every frame as it is.
        """
        self.memory = memory
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        self._last: Estimate | None = None
        self._grey: NDArray[np.uint8] | None = None

    def __call__(self, new: Estimate) -> Estimate:
        """The estimate of a frame, fused with those before it."""
        colours = cv2.resize(new.picture, (_FLOW_SIDE, _FLOW_SIDE), interpolation=cv2.INTER_AREA)
        grey = np.asarray(cv2.cvtColor(colours, cv2.COLOR_RGB2GRAY), np.uint8)
        if self.memory > 0 and self._last is not None and self._grey is not None:
            flow = self._flow.calc(grey, self._grey, np.zeros((*grey.shape, 2), np.float32))
            new = self._fused(new, self._last, np.asarray(flow, np.float32) / np.float32(_FLOW_SIDE))
        self._last, self._grey = new, grey
        return new

    def _fused(self, new: Estimate, last: Estimate, flow: Map) -> Estimate:
        side = len(new.normals)
        turn = (new.rotation @ last.rotation.T).astype(np.float32)
        known = _followed(np.dstack([last.normals @ turn.T, last.precision]), flow)
        normals, precision = unit_normals(np.ascontiguousarray(known[..., :3])), known[..., 3]
        sigma = _OWN_NOISE * side
        difference = cv2.GaussianBlur(new.normals - normals, (0, 0), sigma)
        lasting = np.einsum("hwc,hwc->hw", difference, difference) / np.float32(np.radians(_CHANGE) ** 2)
        agreement = np.exp(-lasting)
        weight = np.minimum(precision * agreement, self.memory * new.precision)
        total = weight + new.precision
        share = (weight / np.maximum(total, 1e-12))[..., None]
        old_parse = np.float32(_PARSE_MEMORY) * cv2.resize(agreement, new.parse.shape[:2])[..., None]
        return Estimate(
            picture=new.picture,
            normals=unit_normals(new.normals + share * (normals - new.normals)),
            precision=np.asarray(total, np.float32),
            parse=np.asarray(new.parse + old_parse * (_followed(last.parse, flow) - new.parse), np.float32),
            rotation=new.rotation,
        )


def _followed(crop_map: Map, flow: Map) -> Map:
    """A map of the last crop S×S×C where the new crop shows the same, by the flow [F, F, 2] in shares of the side."""
    side = len(crop_map)
    line = np.arange(side, dtype=np.float32)
    place = cv2.resize(flow, (side, side), interpolation=cv2.INTER_LINEAR) * np.float32(side)
    x, y = line[None, :] + place[..., 0], line[:, None] + place[..., 1]

    def moved(part: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(cv2.remap(part, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))

    parts = [np.ascontiguousarray(crop_map[..., i : i + 4]) for i in range(0, crop_map.shape[-1], 4)]
    return np.dstack([moved(part) for part in parts])
