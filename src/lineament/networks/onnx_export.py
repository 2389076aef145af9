# SPDX-License-Identifier: Apache-2.0
"""Networks as ONNX graphs without weights; the session gives them the safetensors file's (needs torch)."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from lineament.errors import OutputError, WeightsError
from lineament.files.reading import read_bounded
from lineament.files.writing import atomic_path
from lineament.inference.component import Component, resolved
from lineament.inference.graphs import MAX_GRAPH, graph_path
from lineament.inference.onnx_file import EXTERNAL
from lineament.networks.weight_files import load_weights

OPSET = 17


@dataclass(frozen=True)
class Graph:
    """A part of a network that runs by itself."""

    run: Callable[..., Tensor | tuple[Tensor, ...]]
    """From the inputs to the outputs, by the network's own modules."""
    inputs: Mapping[str, Tensor]
    """Examples of what it is given, by name."""
    outputs: tuple[str, ...]
    """Names of what it gives."""
    free_size: Collection[str] = ()
    """Those of both whose height and width are not the example's alone; the batch is always free."""


def export_graphs(component: Component, weights: Path) -> list[Path]:
    """Write the graphs that belong to a weights file, beside it.

    Args:
        component: What the weights are for.
        weights: The file.

    Returns:
        The graphs' paths.

    Raises:
        WeightsError: The file cannot be read, or its network has no graphs.
        OutputError: They cannot be written, or a file of such a name is no ONNX graph.
    """
    if component.graphs is None:
        raise WeightsError(f"{weights} is for {component.weights_format.name}, which has no graphs")
    model = load_weights(weights, resolved(component.network))
    graphs: Mapping[str, Graph] = resolved(component.graphs)(model)
    for part in graphs:
        _check_replaceable(graph_path(weights, part))
    return [_write(model, graph, graph_path(weights, part)) for part, graph in graphs.items()]


def _check_replaceable(path: Path) -> None:
    """Raise OutputError for a file that is no ONNX graph, and would be lost if one were written there."""
    import onnx

    if not path.is_symlink() and not path.exists():
        return
    try:
        known = bool(onnx.load_from_string(read_bounded(path, MAX_GRAPH)).graph.node)
    except Exception:  # of protobuf: it is something else
        known = False
    if not known:
        raise OutputError(f"{path} is no graph of ours and would be lost: move it away")


def whole_network(model: nn.Module, inputs: Mapping[str, Tensor], outputs: tuple[str, ...]) -> Graph:
    """The graph of a whole network, whose output is a tensor or a dataclass of tensors.

    The first and the last of its maps may have any size.
    """

    def run(*given: Tensor) -> Tensor | tuple[Tensor, ...]:
        out = model(*given)
        return out if isinstance(out, Tensor) else tuple(vars(out).values())

    return Graph(run, inputs, outputs, (*list(inputs)[:1], outputs[-1]))


class _Runner(nn.Module):
    """A part of a network as a module, in which the network's weights have their names after a prefix."""

    def __init__(self, model: nn.Module, graph: Graph) -> None:
        super().__init__()
        self.model, self._run = model, graph.run

    def forward(self, *given: Tensor) -> Tensor | tuple[Tensor, ...]:
        return self._run(*given)


def _write(model: nn.Module, part: Graph, path: Path) -> Path:
    import onnx

    # The batch is free (two for a mirrored pair); height and width are the example's, unless they are free, too.
    axes = {name: {0: "batch"} for name in (*part.inputs, *part.outputs)}
    for name in part.free_size:
        axes[name] |= {2: f"{name}_height", 3: f"{name}_width"}
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that this exporter is the classic one; docs/dependencies.md says why it is
        torch.onnx.export(
            _Runner(model, part).eval(),
            tuple(part.inputs.values()),
            buffer,  # type: ignore[arg-type]  # the classic exporter writes to buffers, too
            input_names=list(part.inputs),
            output_names=list(part.outputs),
            dynamic_axes=axes,
            opset_version=OPSET,
            do_constant_folding=False,  # keeps every weight an initializer under its own name
            keep_initializers_as_inputs=True,  # else it merges weights of equal values
            training=torch.onnx.TrainingMode.PRESERVE,
            dynamo=False,
        )
    graph = onnx.load_from_string(buffer.getvalue())
    del graph.graph.input[len(part.inputs) :]  # the weights, which are initializers only
    own = {f"model.{name}": name for name in model.state_dict()}
    rename = {t.name: own[t.name] for t in graph.graph.initializer if t.name in own}
    for node in graph.graph.node:
        for place, name in enumerate(node.input):
            node.input[place] = rename.get(name, name)
    for tensor in graph.graph.initializer:
        if tensor.name in rename:
            tensor.name = rename[tensor.name]
            tensor.ClearField("raw_data")
            tensor.ClearField("float_data")
            tensor.data_location = onnx.TensorProto.EXTERNAL
            del tensor.external_data[:]
            tensor.external_data.add(key="location", value=EXTERNAL)
    with atomic_path(path) as temporary:
        temporary.write_bytes(graph.SerializeToString())
    return path
