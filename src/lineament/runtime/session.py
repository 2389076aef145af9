# SPDX-License-Identifier: Apache-2.0
"""Running Cas-FNE on ONNX Runtime, with the weights of the safetensors file (no torch)."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from lineament.errors import UsageError, WeightsError
from lineament.weights import graph_path

MAX_STAGES = 5
_FEATURES = tuple(f"features{i}" for i in range(5))

# ONNX Runtime takes only those weights that a graph names; the modules tell them apart.
_MODULES = {
    "initial": ("encoder.", "initial_decoder."),
    "cascade": ("normal_encoder.", "fusion.", "cascade_decoder."),
}


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
        tensors, header = _read(weights)
        self.weights = weights
        self.config: dict[str, Any] = json.loads(header.get("config", "{}"))
        self.licence = header.get("license", "unknown")
        self.size = int(self.config.get("crop_size", 256))
        self.sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()
        self._initial = _session(weights, "initial", tensors, threads)
        self._cascade = _session(weights, "cascade", tensors, threads)

    def run(
        self, crops: NDArray[np.uint8], stages: int | None = None
    ) -> tuple[list[NDArray[np.float32]], NDArray[np.float32]]:
        """Estimate normals of crops.

        Args:
            crops: B×S×S×3 RGB, S being `size`.
            stages: Cascaded stages, 0 to 5; by default as many as the weights were trained with.

        Returns:
            Unit normals B×S×S×3 per stage, the initial block's first, and the face's probability B×S×S.

        Raises:
            UsageError: Another shape, or a number of stages that is out of range.
        """
        stages = int(self.config.get("stages", 2)) if stages is None else stages
        if not 0 <= stages <= MAX_STAGES:
            raise UsageError(f"the number of stages must be 0 to {MAX_STAGES}, not {stages}")
        if crops.shape[1:] != (self.size, self.size, 3) or crops.dtype != np.uint8:
            raise UsageError(f"crops must be B×{self.size}×{self.size}×3 uint8, not {crops.dtype} {crops.shape}")
        image = np.ascontiguousarray(crops.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255))
        *features, normals, logits = self._initial.run(None, {"image": image})
        maps = [normals]
        named = dict(zip(_FEATURES, features, strict=True))
        for _ in range(stages):
            maps.append(self._cascade.run(None, {**named, "previous": maps[-1]})[0])
        probability = 1.0 / (1.0 + np.exp(-logits[:, 0]))
        return [np.ascontiguousarray(m.transpose(0, 2, 3, 1)) for m in maps], probability.astype(np.float32)


def _read(weights: Path) -> tuple[dict[str, NDArray[np.float32]], dict[str, str]]:
    try:
        with safe_open(weights, framework="np") as file:
            header = dict(file.metadata() or {})
            names = list(file.keys())
            tensors = {name: np.asarray(file.get_tensor(name), dtype=np.float32) for name in names}
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"cannot read the weights {weights}: {error}") from error
    if header.get("method") != "casfne":
        raise WeightsError(f"{weights} holds no weights of Cas-FNE")
    return tensors, header


def _session(weights: Path, part: str, tensors: dict[str, NDArray[np.float32]], threads: int) -> Any:
    import onnxruntime

    graph = graph_path(weights, part)
    if not graph.exists():
        raise WeightsError(f"the graph {graph} is missing; make it with `lineament export`")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # The arena keeps every size it ever needed; without it the process stays small between photos.
    options.enable_cpu_mem_arena = False
    own = {name: value for name, value in tensors.items() if name.startswith(_MODULES[part])}
    values = [onnxruntime.OrtValue.ortvalue_from_numpy(value) for value in own.values()]
    options.add_external_initializers(list(own), values)
    try:
        return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        first = str(error).splitlines()[0]
        raise WeightsError(f"{graph.name} does not fit its weights: {first}") from error
