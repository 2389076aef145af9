# SPDX-License-Identifier: Apache-2.0
"""Opening an ONNX graph with the weights of a safetensors file (no torch)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lineament.errors import WeightsError
from lineament.inference.engine import Network
from lineament.weights.file import check_shipped, read_bytes


def graph_path(weights: Path, part: str) -> Path:
    """The ONNX graph ("initial", "refine", ...) that belongs to a weights file."""
    return weights.with_name(f"{weights.stem}.{part}.onnx")


MAX_GRAPH = 1 << 24
"""Bytes of a graph without weights; the largest that ships has 250,000."""


def open_graph(weights: Path, part: str, tensors: Mapping[str, NDArray[np.float32]], arena: bool = False) -> Network:
    """A part of a method's networks.

    Args:
        weights: The weights file; the graph lies beside it.
        part: Which graph.
        tensors: The weights that this graph names.
        arena: As `Network` takes it.

    Raises:
        WeightsError: The graph is missing, is refused, does not fit, or is not the one that shipped under its name.
    """
    path = graph_path(weights, part)
    if not path.exists():
        raise WeightsError(f"the graph {path} is missing; make it with `lineament export`")
    graph = read_bytes(path, MAX_GRAPH, WeightsError, "graph")
    check_shipped(path, hashlib.sha256(graph).hexdigest())
    return Network(path.name, graph, tensors, arena)


def as_input(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Pictures B×H×W×3 as networks take them, B×3×H×W in [0, 1]."""
    return np.ascontiguousarray(pictures.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255))
