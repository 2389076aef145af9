# SPDX-License-Identifier: Apache-2.0
"""DF²Net on ONNX Runtime (no torch): depth of three networks, and the normals of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lineament.errors import UsageError
from lineament.inference.graphs import as_input
from lineament.inference.predictor import NormalMaps, NormalsSession


class DF2NetSession(NormalsSession):
    """Stage 0 is D-Net's answer, stage 1 F-Net's, stage 2 Fr-Net's."""

    METHOD: ClassVar[str] = "df2net"
    GRAPHS: ClassVar[Mapping[str, tuple[str, ...]]] = {part: (f"{part}.",) for part in ("dense", "fine", "finer")}
    MAX_STAGES = 2

    @property
    def multiple(self) -> int:
        """D-Net's U-Net halves what it sees of the crop once per level."""
        return int(2 ** self.config["levels"] * self.config["dense_scale"])

    def run(
        self,
        crops: NDArray[np.uint8],
        stages: int | None = None,
        exemplars: NDArray[np.float32] | None = None,
    ) -> NormalMaps:
        """See `NormalsSession.run`; 0 to 2 stages, no exemplars."""
        from lineament.geometry.normals import depth_to_normals  # brings SciPy, which other methods do without

        if exemplars is not None:
            raise UsageError("df2net takes no exemplar; the method hffne does")
        stages = self.MAX_STAGES if stages is None else stages
        depths = self.depth(crops, stages)
        return NormalMaps([np.stack([depth_to_normals(crops.shape[1] * one) for one in depth]) for depth in depths], [])

    def depth(self, crops: NDArray[np.uint8], stages: int = MAX_STAGES) -> list[NDArray[np.float32]]:
        """Depth B×S×S of D-Net and so many networks after it, of crops as `run` takes them.

        Depths are shares of the crop's side, larger is nearer, from any zero.

        Raises:
            UsageError: As `run` does.
        """
        self.check(crops, stages)
        given = {"image": as_input(crops)}
        batch, side = crops.shape[:2]
        depths: list[NDArray[np.float32]] = []
        for part in list(self.GRAPHS)[: stages + 1]:
            (depth,) = self._graphs[part].run(given, [(batch, 1, side, side)])
            given["depth"] = depth
            depths.append(depth[:, 0])
        return depths
