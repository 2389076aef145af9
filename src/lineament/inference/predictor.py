# SPDX-License-Identifier: Apache-2.0
"""What every method's networks look like on ONNX Runtime, with the weights of the safetensors file (no torch)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from lineament.errors import UsageError, WeightsError
from lineament.geometry.camera import Camera
from lineament.geometry.mesh import Mesh
from lineament.inference.graphs import open_graph
from lineament.weights.file import read_weights
from lineament.weights.schema import WeightsFormat

Maps = tuple[NDArray[np.float32], ...]
"""One array per stage, the first stage's first."""


@dataclass(frozen=True)
class Prediction:
    """What a method's networks say of B crops of S×S pixels.

    A method gives some of it, normals or depths at least: what is empty or None it does not say, and who asks for it
    gets it derived from the rest. Frames are the crop's own: x right, y up, z towards the viewer.
    """

    normals: Maps = ()
    """B×S×S×3 unit normals per stage."""
    concentrations: Maps = ()
    """B×S×S κ per stage: the larger, the surer the normal (`expected_angle`)."""
    depths: Maps = ()
    """B×S×S per stage, shares of the crop's side, larger is nearer, from any zero."""
    albedo: NDArray[np.float32] | None = None
    """B×S×S×3 in [0, 1], encoded as sRGB."""
    restored: NDArray[np.float32] | None = None
    """B×S×S×3 in [0, 1], encoded as sRGB: the crops as they would be if they were not degraded."""
    position_map: NDArray[np.float32] | None = None
    """B×U×U×3 places of the face in the method's chart, millimetres in the camera frame."""
    rotation: NDArray[np.float32] | None = None
    """B×3×3: from a head that looks straight ahead to the crop's camera frame."""
    texture_map: NDArray[np.float32] | None = None
    """B×U×U×3 in [0, 1]: the colours of the position map, encoded as sRGB."""
    deformation_map: NDArray[np.float32] | None = None
    """B×V×V×3 offsets from the base shape in the UV chart, millimetres."""
    displacement_map: NDArray[np.float32] | None = None
    """B×U×U offsets along the normal in the UV chart, millimetres."""
    coefficients: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    """B×K numbers of a statistical face each, by their names ("identity", "expression")."""
    cameras: Sequence[Camera] = ()
    """B cameras of the crop's pixels; meshes have theirs."""
    meshes: Sequence[Mesh] = ()
    """B meshes, millimetres in the camera frame."""

    def __post_init__(self) -> None:
        if not self.normals and not self.depths:
            raise ValueError("a method gives normals or depths, whatever else it gives")
        if len(self.cameras) < len(self.meshes):
            raise ValueError("meshes need cameras: where they lie in the crop is not known otherwise")

    @property
    def side(self) -> int:
        """S."""
        return int((self.normals or self.depths)[0].shape[1])


class Predictor:
    """A method's networks, ready to run; each method has its own kind, which takes the first three from its folder's
    ``METHOD``.
    """

    FORMAT: ClassVar[WeightsFormat]
    """What its weights files say of themselves."""
    MOST_STAGES: ClassVar[int]
    TAKES_EXEMPLARS: ClassVar[bool] = False
    """Whether `run` can be given normals to refine."""
    GRAPHS: ClassVar[Mapping[str, tuple[str, ...]]]
    """Its graphs, and the prefixes of the weights that each names: ONNX Runtime takes no others."""

    def __init__(self, weights: Path) -> None:
        """Load weights and graphs.

        Args:
            weights: The safetensors file; its graphs lie beside it.

        Raises:
            WeightsError: Files that are missing, damaged or do not fit each other.
        """
        file = read_weights(weights, self.FORMAT)
        self.weights = weights
        self.config: dict[str, Any] = file.config
        self.licence = file.licence
        self.sha256 = file.sha256
        self.size: int = self.config["crop_size"]
        if self.size % self.multiple:
            raise WeightsError(f"the crop_size in {weights} must be a multiple of {self.multiple}, not {self.size}")
        self._graphs = {
            part: open_graph(weights, part, {k: v for k, v in file.tensors.items() if k.startswith(prefixes)})
            for part, prefixes in self.GRAPHS.items()
        }

    @property
    def graphs_sha256(self) -> dict[str, str]:
        """SHA-256 of each graph's file, hexadecimal, by the graph's name."""
        return {part: graph.sha256 for part, graph in self._graphs.items()}

    @property
    def multiple(self) -> int:
        """Sides of crops must be multiples of this."""
        return 32

    def run(
        self,
        crops: NDArray[np.uint8],
        stages: int | None = None,
        exemplars: NDArray[np.float32] | None = None,
    ) -> Prediction:
        """Estimate crops.

        Args:
            crops: B×S×S×3 RGB, S being `size` or another multiple of `multiple`.
            stages: Stages after the first; by default as many as the weights were trained with, of shipped ones as many
                as pay.
            exemplars: Normals B×S×S×3 to refine, zero where there are none, for a method that takes some.

        Raises:
            UsageError: Another shape, a number of stages that is out of range, or exemplars that are not taken.
            WeightsError: The graphs cannot be run.
            NotFiniteError: What they say is not finite.
        """
        raise NotImplementedError

    def check_stages(self, stages: int | None) -> None:
        """Raise UsageError for a number of stages that the method does not have."""
        if stages is not None and not 0 <= stages <= self.MOST_STAGES:
            raise UsageError(f"the number of stages must be 0 to {self.MOST_STAGES}, not {stages}")

    def check(self, crops: NDArray[np.uint8], stages: int, exemplars: NDArray[np.float32] | None = None) -> None:
        """Raise UsageError for crops, a number of stages or exemplars that `run` does not take."""
        if exemplars is not None and not self.TAKES_EXEMPLARS:
            raise UsageError(f"{self.FORMAT.name} takes no exemplar")
        self.check_stages(stages)
        side = crops.shape[1] if crops.ndim == 4 else 0
        if crops.shape[1:] != (side, side, 3) or side == 0 or side % self.multiple or crops.dtype != np.uint8:
            raise UsageError(
                f"crops must be B×S×S×3 uint8, S a multiple of {self.multiple}, not {crops.dtype} {crops.shape}"
            )


def channels_last(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    """B×C×H×W as B×H×W×C."""
    return np.ascontiguousarray(maps.transpose(0, 2, 3, 1))


def expected_angle(concentration: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean angle between a normal and the truth under the angular von Mises-Fisher distribution.

    The integral of θ over the sphere with the density of Bae, Budvytis and Cipolla (2021, equation 7) is
    2κ / (κ² + 1) + π exp(-κπ) / (1 + exp(-κπ)).

    Args:
        concentration: κ > 0, any shape.

    Returns:
        Degrees, the same shape: 90 where κ is zero, falling towards 0 as it grows.
    """
    kappa = concentration
    far = np.exp(-np.pi * kappa)
    return np.asarray(np.degrees(2.0 * kappa / (kappa**2 + 1.0) + np.pi * far / (1.0 + far)), dtype=np.float32)
