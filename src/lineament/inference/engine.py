# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime, and the only module that imports it: its telemetry is off, its errors are lines, its answers finite.

From version 1.29 on, ONNX Runtime's official builds write a device's identifier and a database of events into the home
folder and look up a host to send them to, unless this variable is set before the library is loaded. Importing
`lineament` sets it, so a caller who imports ONNX Runtime after it has it off, too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lineament.errors import NotFiniteError, WeightsError
from lineament.inference.onnx_file import check_graph
from lineament.weights.file import first_line

Shape = Sequence[int] | None


class Network:
    """A graph with its weights, ready to run."""

    def __init__(
        self, name: str, graph: bytes, tensors: Mapping[str, NDArray[np.float32]], threads: int = 0, arena: bool = False
    ) -> None:
        """Open a graph.

        Args:
            name: What it is called in messages.
            graph: An ONNX file's bytes.
            tensors: The weights that it names as external, all of them and no others; they are given from memory.
            threads: Threads of one operation; 0 leaves ONNX Runtime's choice (all cores).
            arena: Keep memory between runs: faster for large pictures, but the process stays as large as it ever was.

        Raises:
            WeightsError: It is no graph that can be run, refers to a file, or does not fit the weights.
        """
        check_graph(name, graph, tensors)
        import onnxruntime

        onnxruntime.disable_telemetry_events()  # what Windows itself collects of every program's events
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4  # errors are raised as well
        options.enable_cpu_mem_arena = arena
        # Threads that wait for work by spinning would take the cores from the next network and from OpenCV.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.name = name
        self.sha256 = hashlib.sha256(graph).hexdigest()
        """Of the graph's file."""
        try:
            values = [onnxruntime.OrtValue.ortvalue_from_numpy(value) for value in tensors.values()]
            options.add_external_initializers(list(tensors), values)
            self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # it raises kinds of its own, and Python's
            raise WeightsError(f"{name} does not fit its weights or cannot be run: {first_line(error)}") from error

    @property
    def inputs(self) -> list[tuple[str, list[Any]]]:
        """Name and shape of each input; an axis that is free is None or a name."""
        return [(given.name, list(given.shape)) for given in self._session.get_inputs()]

    def run(self, given: Mapping[str, NDArray[np.float32]], shapes: Sequence[Shape]) -> list[NDArray[np.float32]]:
        """Run the graph.

        Args:
            given: Values of its inputs.
            shapes: The shape that each output must have, None for one that may have any.

        Raises:
            WeightsError: It cannot be run with these inputs, or has other outputs.
            NotFiniteError: A value of an output is not finite.
        """
        try:
            outputs: list[NDArray[np.float32]] = self._session.run(None, dict(given))
        except Exception as error:
            raise WeightsError(f"{self.name} cannot be run: {first_line(error)}") from error
        if len(outputs) != len(shapes):
            raise WeightsError(f"{self.name} is no graph of this method: {len(outputs)} outputs, not {len(shapes)}")
        for output, shape in zip(outputs, shapes, strict=True):
            if not isinstance(output, np.ndarray) or output.dtype != np.float32:
                raise WeightsError(f"{self.name} is no graph of this method: an output is not in single precision")
            if shape is not None and output.shape != tuple(shape):
                raise WeightsError(f"{self.name} is no graph of this method: an output is {output.shape}, not {shape}")
            if not np.isfinite(output).all():
                raise NotFiniteError(f"{self.name} answers with values that are not finite: its weights are unusable")
        return outputs
