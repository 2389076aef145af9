# SPDX-License-Identifier: Apache-2.0
"""What an ONNX graph says of its weights, read before ONNX Runtime sees the graph.

A graph may name other files as the place of a tensor's values, or addresses in memory, and versions of ONNX Runtime
differ in what they open. Here nothing is opened but what the caller brings. Estimation does without the onnx package,
so the few fields of its format that matter are declared here; protobuf reads them and passes over the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lineament.errors import WeightsError
from lineament.weights.file import first_line, shown

EXTERNAL = "weights.safetensors"
"""Where our graphs say that their weights are; no such file exists, the session has them in memory."""

_FLOAT, _OUTSIDE = 1, 1  # TensorProto.DataType.FLOAT, TensorProto.DataLocation.EXTERNAL

# message: field: number in onnx.proto, what it is, whether it is repeated
_MESSAGES: Mapping[str, Mapping[str, tuple[int, str, bool]]] = {
    "Entry": {"key": (1, "string", False), "value": (2, "string", False)},
    "Tensor": {
        "dims": (1, "int64", True),
        "data_type": (2, "int32", False),
        "name": (8, "string", False),
        "external_data": (13, "Entry", True),
        "data_location": (14, "int32", False),
    },
    "SparseTensor": {"values": (1, "Tensor", False), "indices": (2, "Tensor", False)},
    "Attribute": {
        "t": (5, "Tensor", False),
        "g": (6, "Graph", False),
        "tensors": (10, "Tensor", True),
        "graphs": (11, "Graph", True),
        "sparse_tensor": (22, "SparseTensor", False),
        "sparse_tensors": (23, "SparseTensor", True),
    },
    "Node": {"attribute": (5, "Attribute", True)},
    "Graph": {
        "node": (1, "Node", True),
        "initializer": (5, "Tensor", True),
        "sparse_initializer": (15, "SparseTensor", True),
    },
    "Function": {"node": (7, "Node", True), "attribute_proto": (11, "Attribute", True)},
    "Training": {"initialization": (1, "Graph", False), "algorithm": (2, "Graph", False)},
    "Model": {
        "graph": (7, "Graph", False),
        "training_info": (20, "Training", True),
        "functions": (25, "Function", True),
    },
}


def check_graph(name: str, graph: bytes, tensors: Mapping[str, NDArray[np.float32]]) -> None:
    """Hold a graph to the weights that it will be given.

    Args:
        name: What the graph is called in messages.
        graph: An ONNX file's bytes.
        tensors: The weights, by name.

    Raises:
        WeightsError: The bytes are no graph; a tensor lies in a file, or in memory that the caller does not
            give; or the graph names weights that are not given, of another shape, or too few of them.
    """
    from google.protobuf.message import DecodeError

    model = _model_class()()
    try:
        model.ParseFromString(graph)
    except (DecodeError, UnicodeDecodeError, RecursionError) as error:  # the last of protobuf's Python reader
        raise WeightsError(f"{name} is no ONNX graph: {first_line(error)}") from error
    if not model.HasField("graph"):
        raise WeightsError(f"{name} is no ONNX graph")
    named = set()
    for tensor, place in _tensors(model):
        if not tensor.external_data and tensor.data_location != _OUTSIDE:
            continue
        entries = [(entry.key, entry.value) for entry in tensor.external_data]
        if place != ("graph", "initializer") or entries != [("location", EXTERNAL)] or tensor.name not in tensors:
            raise WeightsError(f"{name} is refused: its tensor {shown(tensor.name)} lies outside the graph")
        value = tensors[tensor.name]
        if tensor.data_type != _FLOAT or tuple(tensor.dims) != value.shape or tensor.name in named:
            raise WeightsError(f"{name} does not fit its weights (first difference: {shown(tensor.name)})")
        named.add(tensor.name)
    if left := sorted(set(tensors) - named):
        raise WeightsError(f"{name} does not fit its weights (first difference: {shown(left[0])})")


def _tensors(message: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[Any, tuple[str, ...]]]:
    """Every tensor in a message, also in nodes' attributes and functions, and the names of the fields around it."""
    kind = message.DESCRIPTOR.name
    if kind == "Tensor":
        yield message, place
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            for each in value if _MESSAGES[kind][field.name][2] else (value,):
                yield from _tensors(each, (*place, field.name))


@lru_cache(maxsize=1)
def _model_class() -> Any:
    """A class that reads `Model`, made from the table."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    kinds = descriptor_pb2.FieldDescriptorProto
    scalars = {"string": kinds.TYPE_STRING, "int32": kinds.TYPE_INT32, "int64": kinds.TYPE_INT64}
    file = descriptor_pb2.FileDescriptorProto(name="lineament_graph.proto", package="lineament.graph", syntax="proto2")
    for message, fields in _MESSAGES.items():
        declared = file.message_type.add(name=message)
        for name, (number, kind, repeated) in fields.items():
            field = declared.field.add(name=name, number=number)
            field.label = kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL
            field.type = scalars.get(kind, kinds.TYPE_MESSAGE)
            if kind not in scalars:
                field.type_name = f".lineament.graph.{kind}"
    pool = descriptor_pool.DescriptorPool()  # our own: the onnx package may be there, too
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("lineament.graph.Model"))
