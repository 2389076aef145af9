# SPDX-License-Identifier: Apache-2.0
"""Opening an ONNX graph with the weights of a safetensors file (no torch)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from lineament.errors import WeightsError
from lineament.weights import graph_path

Tensors = Mapping[str, NDArray[np.float32]]


def read_header(weights: Path) -> dict[str, str]:
    """A weights file's header.

    Raises:
        WeightsError: It cannot be read.
    """
    try:
        with safe_open(weights, framework="np") as file:
            return dict(file.metadata() or {})
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"cannot read the weights {weights}: {error}") from error


def read_weights(weights: Path, method: str) -> tuple[dict[str, NDArray[np.float32]], dict[str, str]]:
    """A weights file's tensors as float32, and its header.

    Raises:
        WeightsError: It cannot be read, or is for another method.
    """
    try:
        with safe_open(weights, framework="np") as file:
            header = dict(file.metadata() or {})
            names = list(file.keys())
            tensors = {name: np.asarray(file.get_tensor(name), dtype=np.float32) for name in names}
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"cannot read the weights {weights}: {error}") from error
    if header.get("method") != method:
        raise WeightsError(f"{weights} holds no weights of {method}")
    return tensors, header


def open_graph(weights: Path, part: str, tensors: Tensors, threads: int, arena: bool = False) -> Any:
    """A session of ONNX Runtime.

    Args:
        weights: The weights file; the graph lies beside it.
        part: Which graph.
        tensors: The weights that this graph names.
        threads: Threads of one operation; 0 leaves ONNX Runtime's choice (all cores).
        arena: Keep memory between runs: faster for large pictures, but the process stays as large as it ever was.

    Raises:
        WeightsError: The graph is missing or does not fit.
    """
    import onnxruntime

    graph = graph_path(weights, part)
    if not graph.exists():
        raise WeightsError(f"the graph {graph} is missing; make it with `lineament export`")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    options.enable_cpu_mem_arena = arena
    # Threads that wait for work by spinning would take the cores from the next network and from OpenCV.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    values = [onnxruntime.OrtValue.ortvalue_from_numpy(value) for value in tensors.values()]
    options.add_external_initializers(list(tensors), values)
    try:
        return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        first = str(error).splitlines()[0]
        raise WeightsError(f"{graph.name} does not fit its weights: {first}") from error


def as_input(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Pictures B×H×W×3 as networks take them, B×3×H×W in [0, 1]."""
    return np.ascontiguousarray(pictures.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255))
