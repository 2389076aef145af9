# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime, and the only module that imports it: its telemetry is off, its errors are lines, its answers finite.

From version 1.29 on, ONNX Runtime's official builds write a device's identifier and a database of events into the home
folder and look up a host to send them to, unless this variable is set before the library is loaded. Importing
`lineament` sets it, so a caller who imports ONNX Runtime after it has it off, too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from lineament.errors import NotFiniteError, UsageError, WeightsError
from lineament.inference.onnx_file import check_graph
from lineament.options import check_number
from lineament.weights.file import first_line

Shape = Sequence[int] | None
ProviderName = Literal["cpu", "cuda", "coreml", "directml", "openvino"]

PROVIDERS: Mapping[str, tuple[str, str]] = {
    "cpu": ("CPUExecutionProvider", "it comes with every ONNX Runtime"),
    "cuda": ("CUDAExecutionProvider", "pip install onnxruntime-gpu in place of onnxruntime"),
    "coreml": ("CoreMLExecutionProvider", "onnxruntime's wheels for macOS have it"),
    "directml": ("DmlExecutionProvider", "pip install onnxruntime-directml in place of onnxruntime"),
    "openvino": ("OpenVINOExecutionProvider", "pip install onnxruntime-openvino in place of onnxruntime"),
}
"""What ONNX Runtime calls each provider, and where it is had."""


@dataclass(frozen=True)
class Engine:
    """Where and how networks are run."""

    threads: int = 0
    """Threads of one operation; 0 leaves ONNX Runtime's choice (all cores)."""
    provider: ProviderName = "cpu"
    """What runs them; operations that it does not know are left to the CPU."""

    _CURRENT: ClassVar[ContextVar[Engine]]

    def __post_init__(self) -> None:
        check_number("threads", self.threads, "[0, 1024]", whole=True)
        if self.provider not in PROVIDERS:
            raise UsageError(f"provider must be one of {', '.join(PROVIDERS)}, not {self.provider!r:.80}")

    @classmethod
    def current(cls) -> Engine:
        """The one by which networks are opened here."""
        return cls._CURRENT.get()

    @contextmanager
    def used(self) -> Iterator[None]:
        """A block in which networks are opened by this one."""
        token = Engine._CURRENT.set(self)
        try:
            yield
        finally:
            Engine._CURRENT.reset(token)

    def providers(self) -> list[str]:
        """ONNX Runtime's names for the provider and for the CPU behind it.

        Raises:
            UsageError: The ONNX Runtime that is installed does not have it.
        """
        import onnxruntime

        name, where = PROVIDERS[self.provider]
        here = onnxruntime.get_available_providers()
        if name not in here:
            known = ", ".join(own for own, (theirs, _) in PROVIDERS.items() if theirs in here)
            raise UsageError(f"the ONNX Runtime that is installed has no provider {self.provider} ({known}): {where}")
        return list(dict.fromkeys([name, PROVIDERS["cpu"][0]]))


Engine._CURRENT = ContextVar("engine", default=Engine())  # noqa: B039 - it is frozen


class Network:
    """A graph with its weights, ready to run."""

    def __init__(
        self, name: str, graph: bytes, tensors: Mapping[str, NDArray[np.float32]], arena: bool = False
    ) -> None:
        """Open a graph by the current `Engine`.

        Args:
            name: What it is called in messages.
            graph: An ONNX file's bytes.
            tensors: The weights that it names as external, all of them and no others; they are given from memory.
            arena: Keep memory between runs: faster for large pictures, but the process stays as large as it ever was.

        Raises:
            WeightsError: It is no graph that can be run, refers to a file, or does not fit the weights.
            UsageError: The engine's provider is not there, or does not start.
        """
        check_graph(name, graph, tensors)
        import onnxruntime

        onnxruntime.disable_telemetry_events()  # what Windows itself collects of every program's events
        options = onnxruntime.SessionOptions()
        engine = Engine.current()
        providers = engine.providers()
        options.intra_op_num_threads = engine.threads
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
            self._session = onnxruntime.InferenceSession(graph, options, providers=providers)
        except Exception as error:  # it raises kinds of its own, and Python's
            raise WeightsError(f"{name} does not fit its weights or cannot be run: {first_line(error)}") from error
        if self._session.get_providers()[0] != providers[0]:
            raise UsageError(f"the provider {engine.provider} is installed but does not start on this machine")

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
