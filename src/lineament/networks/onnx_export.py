# SPDX-License-Identifier: Apache-2.0
"""Networks as ONNX graphs without weights; the session gives them the safetensors file's (needs torch)."""

from __future__ import annotations

import copy
import io
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from lineament.errors import OutputError, WeightsError
from lineament.inference.onnx_file import EXTERNAL
from lineament.methods.casfne.model import CasFNE
from lineament.methods.df2net.model import DF2Net
from lineament.methods.hffne.model import HFFNE
from lineament.models.albedo.model import AlbedoNetwork
from lineament.models.detector.model import FaceFinder
from lineament.models.parser.model import FaceReader
from lineament.networks.weight_files import load_weights
from lineament.weights import graph_path
from lineament.weights.file import read_method

Model = TypeVar("Model", bound=nn.Module)

OPSET = 17

FEATURES = tuple(f"features{i}" for i in range(5))


class _Initial(nn.Module):
    def __init__(self, model: CasFNE) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        features, normals, concentration, mask_logits = self.model.initial(image)
        return *features, normals, concentration, mask_logits


class _Cascade(nn.Module):
    def __init__(self, model: CasFNE) -> None:
        super().__init__()
        self.model = model

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        f0, f1, f2, f3, f4, normals = given
        return self.model.cascade((f0, f1, f2, f3, f4), normals)


class _Refine(nn.Module):
    def __init__(self, model: HFFNE) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor, exemplar: Tensor) -> Tensor:
        return self.model.refine(image, exemplar)


class _Part(nn.Module):
    """One of a model's networks, by its name."""

    def __init__(self, model: nn.Module, name: str) -> None:
        super().__init__()
        self.model, self.name = model, name

    def forward(self, *given: Tensor) -> Tensor:
        out: Tensor = self.model.get_submodule(self.name)(*given)
        return out


class _Whole(nn.Module):
    """A network whose output is one tensor, or a dataclass of tensors."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, ...]:
        out = self.model(image)
        return out if isinstance(out, Tensor) else tuple(vars(out).values())


def export_graphs(weights: Path) -> list[Path]:
    """Write the graphs that belong to a weights file, beside it.

    Returns:
        The graphs' paths.

    Raises:
        WeightsError: The file cannot be read, or is for no method that is known.
        OutputError: They cannot be written.
    """
    method = read_method(weights)
    if method == CasFNE.METHOD:
        return list(export_casfne(load_weights(weights, CasFNE), weights))
    if method == HFFNE.METHOD:
        return list(export_hffne(load_weights(weights, HFFNE), weights))
    if method == DF2Net.METHOD:
        return list(export_df2net(load_weights(weights, DF2Net), weights))
    path = graph_path(weights, "network")
    if method == FaceFinder.METHOD:
        finder = _unalike(load_weights(weights, FaceFinder))
        _write(_Whole(finder), (torch.rand(1, 3, 64, 96),), ["image"], ["cells"], path, ("image", "cells"))
    elif method == AlbedoNetwork.METHOD:
        albedo = load_weights(weights, AlbedoNetwork)
        image = torch.rand(1, 3, albedo.config.crop_size, albedo.config.crop_size)
        _write(_Whole(_unalike(albedo)), (image,), ["image"], ["albedo"], path, ("image", "albedo"))
    elif method == FaceReader.METHOD:
        reader = load_weights(weights, FaceReader)
        image = torch.rand(1, 3, reader.config.crop_size, reader.config.crop_size)
        outputs = ["landmarks", "visibility", "rotation", "parse"]
        _write(_Whole(_unalike(reader)), (image,), ["image"], outputs, path, ("image", "parse"))
    else:
        raise WeightsError(f"{weights} is for {method}, which has no graphs")
    return [path]


def export_casfne(model: CasFNE, weights: Path) -> tuple[Path, Path]:
    """Write the two graphs that belong to a weights file of Cas-FNE.

    Args:
        model: The network, in evaluation mode, on the CPU.
        weights: The weights file beside which the graphs are written.

    Returns:
        Paths of the initial block's graph and of the cascade's.

    Raises:
        OutputError: They cannot be written.
    """
    size = model.config.crop_size
    model = _unalike(model)
    image = torch.rand(1, 3, size, size)
    with torch.no_grad():
        features, normals, _, _ = model.initial(image)
    initial, cascade = graph_path(weights, "initial"), graph_path(weights, "cascade")
    maps = [*FEATURES, "normals", "concentration", "mask_logits"]
    _write(_Initial(model), (image,), ["image"], maps, initial, ["image", *maps])
    given = [*FEATURES, "previous"]
    refined = ["normals", "concentration"]
    _write(_Cascade(model), (*features, normals), given, refined, cascade, [*given, *refined])
    return initial, cascade


def export_hffne(model: HFFNE, weights: Path) -> tuple[Path, Path]:
    """Write the two graphs that belong to a weights file of HFFNE.

    Args:
        model: The network, in evaluation mode, on the CPU.
        weights: The weights file beside which the graphs are written.

    Returns:
        Paths of the coarse network's graph and of the refining one's.

    Raises:
        OutputError: They cannot be written.
    """
    size = model.config.crop_size
    model = _unalike(model)
    image, exemplar = torch.rand(2, 1, 3, size, size)
    coarse, refine = graph_path(weights, "coarse"), graph_path(weights, "refine")
    _write(_Part(model, "coarse"), (image,), ["image"], ["normals"], coarse, ["image", "normals"])
    names = ["image", "exemplar"]
    _write(_Refine(model), (image, exemplar), names, ["normals"], refine, [*names, "normals"])
    return coarse, refine


def export_df2net(model: DF2Net, weights: Path) -> tuple[Path, Path, Path]:
    """Write the three graphs that belong to a weights file of DF²Net.

    Args:
        model: The networks, on the CPU.
        weights: The weights file beside which the graphs are written.

    Returns:
        Paths of the graphs of D-Net, F-Net and Fr-Net.

    Raises:
        OutputError: They cannot be written.
    """
    size = model.config.crop_size
    model = _unalike(model)
    image, before = torch.rand(1, 3, size, size), torch.rand(1, 1, size, size)
    dense, fine, finer = (graph_path(weights, part) for part in ("dense", "fine", "finer"))
    _write(_Part(model, "dense"), (image,), ["image"], ["result"], dense, ["image", "result"])
    for part, path in (("fine", fine), ("finer", finer)):
        names = ["image", "depth"]
        _write(_Part(model, part), (image, before), names, ["result"], path, [*names, "result"])
    return dense, fine, finer


def _unalike(model: Model) -> Model:
    """A copy of a network with other weights, no two alike.

    Only the weights' names matter in a graph. The exporter merges weights of equal values (a block's two last biases,
    which train alike), so each gets values of its own.
    """
    model = copy.deepcopy(model).eval()
    for tensor in model.state_dict().values():
        if tensor.dtype.is_floating_point:
            tensor.uniform_(0.5, 1.5)
    return model


def _write(
    module: nn.Module,
    inputs: tuple[Tensor, ...],
    names: list[str],
    outputs: list[str],
    path: Path,
    free_size: Sequence[str] = (),
) -> None:
    import onnx

    # The batch is free (two for a mirrored pair); height and width are the example's, unless they are free, too.
    axes = {name: {0: "batch"} for name in (*names, *outputs)}
    for name in free_size:
        axes[name] |= {2: f"{name}_height", 3: f"{name}_width"}
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(),
            inputs,
            buffer,  # type: ignore[arg-type]  # the classic exporter writes to buffers, too
            input_names=names,
            output_names=outputs,
            dynamic_axes=axes,
            opset_version=OPSET,
            do_constant_folding=False,  # keeps every weight an initializer under its own name
            training=torch.onnx.TrainingMode.PRESERVE,
            dynamo=False,
        )
    graph = onnx.load_from_string(buffer.getvalue())
    own = {f"model.{name}": name for name in dict(module.get_submodule("model").state_dict())}
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
    temporary = path.with_name(path.name + ".tmp")
    try:
        temporary.write_bytes(graph.SerializeToString())
        os.replace(temporary, path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error
