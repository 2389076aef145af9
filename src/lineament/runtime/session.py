# SPDX-License-Identifier: Apache-2.0
"""Running Cas-FNE on ONNX Runtime, with the weights of the safetensors file (no torch)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lineament.errors import UsageError
from lineament.runtime.graph import as_input, open_graph, read_weights

MAX_STAGES = 5
_FEATURES = tuple(f"features{i}" for i in range(5))

# ONNX Runtime takes only those weights that a graph names; the modules tell them apart.
_MODULES = {
    "initial": ("encoder.", "initial_decoder."),
    "cascade": ("normal_encoder.", "fusion.", "cascade_decoder."),
}


@dataclass(frozen=True)
class CasFNEMaps:
    """What the network says of B crops."""

    normals: list[NDArray[np.float32]]
    """Unit normals B×S×S×3 per stage, the initial block's first."""
    concentrations: list[NDArray[np.float32]]
    """κ B×S×S per stage: the larger, the surer (`expected_angle`)."""
    probability: NDArray[np.float32]
    """The face's, B×S×S."""


class CasFNESession:
    """A network ready to run. The cascade's graph is run as often as stages are asked for."""

    def __init__(self, weights: Path, threads: int = 0) -> None:
        """Load weights and graphs.

        Args:
            weights: The safetensors file; its graphs lie beside it.
            threads: Threads of one operation; 0 leaves ONNX Runtime's choice (all cores).

        Raises:
            WeightsError: Files that are missing, damaged or do not fit each other.
        """
        tensors, header = read_weights(weights, "casfne")
        self.weights = weights
        self.config: dict[str, Any] = json.loads(header.get("config", "{}"))
        self.licence = header.get("license", "unknown")
        self.size = int(self.config.get("crop_size", 256))
        self.sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()
        self._initial, self._cascade = (
            open_graph(weights, part, {k: v for k, v in tensors.items() if k.startswith(_MODULES[part])}, threads)
            for part in ("initial", "cascade")
        )

    def run(self, crops: NDArray[np.uint8], stages: int | None = None) -> CasFNEMaps:
        """Estimate normals of crops.

        Args:
            crops: B×S×S×3 RGB, S being `size` or another multiple of 32.
            stages: Cascaded stages, 0 to 5; by default as many as the weights were trained with.

        Raises:
            UsageError: Another shape, or a number of stages that is out of range.
        """
        stages = int(self.config.get("stages", 2)) if stages is None else stages
        if not 0 <= stages <= MAX_STAGES:
            raise UsageError(f"the number of stages must be 0 to {MAX_STAGES}, not {stages}")
        side = crops.shape[1] if crops.ndim == 4 else 0
        if crops.shape[1:] != (side, side, 3) or side == 0 or side % 32 or crops.dtype != np.uint8:
            raise UsageError(f"crops must be B×S×S×3 uint8, S a multiple of 32, not {crops.dtype} {crops.shape}")
        *features, normals, kappa, logits = self._initial.run(None, {"image": as_input(crops)})
        maps, kappas = [normals], [kappa]
        named = dict(zip(_FEATURES, features, strict=True))
        for _ in range(stages):
            normals, kappa = self._cascade.run(None, {**named, "previous": maps[-1]})
            maps.append(normals)
            kappas.append(kappa)
        probability = 1.0 / (1.0 + np.exp(-logits[:, 0]))
        return CasFNEMaps(
            [np.ascontiguousarray(m.transpose(0, 2, 3, 1)) for m in maps],
            [k[:, 0] for k in kappas],
            probability.astype(np.float32),
        )


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
