# SPDX-License-Identifier: Apache-2.0
"""Weights and graphs that anybody may have made: each fault is one line, and no file is opened that was not named."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import typing
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from safetensors import safe_open
from safetensors.numpy import save_file

from lineament.errors import LineamentError, NotFiniteError, WeightsError
from lineament.inference import graphs
from lineament.inference.engine import Network
from lineament.inference.graphs import graph_path
from lineament.inference.onnx_file import EXTERNAL
from lineament.methods.casfne.model import CasFNE
from lineament.methods.casfne.predictor import CasFNEPredictor
from lineament.methods.df2net.model import DF2Net
from lineament.methods.discovery import all_components, open_predictor
from lineament.methods.hffne.model import HFFNE, CoarseNormals
from lineament.methods.hrn.model import HRN
from lineament.methods.l2r.model import L2R
from lineament.methods.l2r.proxy import Proxy
from lineament.models.albedo.model import AlbedoNetwork
from lineament.models.detector.model import FaceDetector
from lineament.models.features.model import FaceFeatures
from lineament.models.parser.model import FaceParser
from lineament.models.stylegan2.model import StyleGAN2
from lineament.networks.weight_files import load_weights
from lineament.weights import FOLDER, file, weights_path
from lineament.weights.schema import OneOf

NETWORKS = (
    CasFNE,
    HFFNE,
    CoarseNormals,
    DF2Net,
    HRN,
    L2R,
    Proxy,
    FaceDetector,
    FaceParser,
    AlbedoNetwork,
    FaceFeatures,
    StyleGAN2,
)


@pytest.fixture
def copy(tiny_weights: Path, tmp_path: Path) -> Path:
    """Weights and graphs of a small Cas-FNE, to be damaged."""
    for part in ("initial", "cascade"):
        shutil.copy(graph_path(tiny_weights, part), tmp_path)
    return Path(shutil.copy(tiny_weights, tmp_path))


def rewrite(path: Path, change: Callable[[dict[str, Any], dict[str, str]], None]) -> None:
    """Change tensors and header of a weights file."""
    with safe_open(path, framework="np") as opened:
        header, tensors = dict(opened.metadata()), {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    change(tensors, header)
    save_file(tensors, path, header)


def configure(**values: object) -> Callable[[dict[str, Any], dict[str, str]], None]:
    """A change of the configuration in the header; None leaves an entry out."""

    def change(tensors: dict[str, Any], header: dict[str, str]) -> None:
        config = json.loads(header["config"]) | values
        header["config"] = json.dumps({name: value for name, value in config.items() if value is not None})

    return change


def both_refuse(path: Path, match: str) -> None:
    """Neither engine takes the weights, and each says so on one line."""
    for load in (open_predictor, lambda weights: load_weights(weights, CasFNE)):
        with pytest.raises(WeightsError, match=match) as caught:
            load(path)
        assert "\n" not in str(caught.value)


def test_the_schema_is_that_of_the_networks() -> None:
    assert {c.weights_format.name for c in all_components().values()} <= {network.FORMAT.name for network in NETWORKS}
    for network in NETWORKS:
        schema, hints = network.FORMAT.schema, typing.get_type_hints(network.CONFIG)
        assert set(schema) == {field.name for field in fields(network.CONFIG)}
        defaults = json.loads(json.dumps(asdict(network.CONFIG())))
        assert all(rule.fits(defaults[name]) for name, rule in schema.items())
        words = {name: rule.words for name, rule in schema.items() if isinstance(rule, OneOf)}
        assert words == {name: typing.get_args(hints[name]) for name in schema if isinstance(defaults[name], str)}


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_value_that_is_not_finite_is_refused_by_its_name(copy: Path, value: float) -> None:
    def change(tensors: dict[str, Any], header: dict[str, str]) -> None:
        tensors["initial_decoder.last.weight"].flat[7] = value

    rewrite(copy, change)
    both_refuse(copy, "'initial_decoder.last.weight' has values that are not finite")


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({"crop_size": 10**9}, "crop_size .* must be a whole number from 16 to 2048"),
        ({"crop_size": -64}, "crop_size"),
        ({"crop_size": 64.5}, "crop_size"),
        ({"crop_size": True}, "crop_size"),
        ({"crop_size": "64"}, "crop_size"),
        ({"crop_size": [64]}, "crop_size"),
        ({"crop_size": None}, "lacks crop_size"),
        ({"width": float("nan")}, "NaN is no number"),
        ({"width": 1e9}, "width"),
        ({"stages": 6}, "stages"),
        ({"decoder_channels": [16, 16, 8, 8]}, "decoder_channels .* a list of 5"),
        ({"decoder_channels": [16, 16, 8, 8, 10**8]}, "decoder_channels"),
        ({"fusion": "sum"}, "fusion .* must be cat or adain or fmm, not 'sum'"),
        ({"colour": 1}, "has 'colour', which casfne does not know"),
    ],
)
def test_configurations_out_of_bounds_are_refused(copy: Path, values: dict[str, object], match: str) -> None:
    rewrite(copy, configure(**values))
    both_refuse(copy, match)


def test_a_header_cannot_ask_for_more_than_its_file_holds(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rewrite(copy, configure(decoder_channels=[2048] * 5, width=2.0))
    made = []
    start = CasFNE.__init__

    def record(self: CasFNE, config: Any) -> None:
        start(self, config)
        made.append(next(self.parameters()).device.type)

    monkeypatch.setattr(CasFNE, "__init__", record)
    with pytest.raises(WeightsError, match="does not fit this version"):
        load_weights(copy, CasFNE)
    assert made == ["meta"]  # which has no memory


def test_sides_that_the_network_cannot_halve_are_refused(copy: Path) -> None:
    rewrite(copy, configure(crop_size=70))
    with pytest.raises(WeightsError, match=r"crop_size .* must be a multiple of 32, not 70"):
        open_predictor(copy)


def damage(path: Path, how: str) -> None:
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    if how == "long header":
        path.write_bytes((100_000_000).to_bytes(8, "little") + data[8:])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "no header":
        path.write_bytes(data[:4])
    elif how == "truncated":
        path.write_bytes(data[:-1])
    elif how == "deep":
        path.write_bytes((200_000).to_bytes(8, "little") + b"[" * 200_000)
    elif how == "list":
        path.write_bytes((2).to_bytes(8, "little") + b"[]")
    elif how == "other types":
        name = next(n for n in header if n != "__metadata__")
        header[name]["dtype"] = "I16"
        text = json.dumps(header).encode()
        path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + size :])
    elif how == "text for a tensor":
        header["other"] = "text"
        text = json.dumps(header).encode()
        path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + size :])
    elif how == "number for a method":
        header["__metadata__"]["method"] = 7
        text = json.dumps(header).encode()
        path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + size :])
    elif how == "folder":
        path.unlink()
        path.mkdir()
    elif how == "pipe":
        path.unlink()
        os.mkfifo(path)
    elif how == "missing":
        path.unlink()


@pytest.mark.parametrize(
    "how",
    [
        *("long header", "empty", "no header", "truncated", "deep", "list", "other types", "text for a tensor"),
        *("number for a method", "folder", "missing"),
        pytest.param("pipe", marks=pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes")),
    ],
)
def test_damaged_files_are_one_line(copy: Path, how: str) -> None:
    damage(copy, how)
    both_refuse(copy, "tiny.safetensors")


def test_a_file_is_read_up_to_a_size(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file, "MAX_FILE", 1000)
    both_refuse(copy, "more than the 1,000 bytes")
    monkeypatch.undo()
    monkeypatch.setattr(graphs, "MAX_GRAPH", 1000)
    with pytest.raises(WeightsError, match="more than the 1,000 bytes"):
        open_predictor(copy)


@pytest.mark.parametrize("config", ["[", "[1]", "7", "null", "[" * 100_000])
def test_configurations_that_are_none_are_refused(copy: Path, config: str) -> None:
    rewrite(copy, lambda tensors, header: header.update(config=config))
    both_refuse(copy, "configuration")


def test_names_out_of_a_file_are_printed_plainly(copy: Path) -> None:
    rewrite(copy, lambda tensors, header: header.update(method="\x1b[31m\n" * 100))
    with pytest.raises(WeightsError) as caught:
        open_predictor(copy)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400 + len(str(copy))


def external(tensor: TensorProto, location: str, **entries: str) -> None:
    """Say that a tensor's values lie elsewhere."""
    for field in ("raw_data", "float_data"):
        tensor.ClearField(field)
    tensor.data_location = TensorProto.EXTERNAL
    del tensor.external_data[:]
    for key, value in {"location": location, **entries}.items():
        tensor.external_data.add(key=key, value=value)


def secret(model: onnx.ModelProto, location: str = "secret", **entries: str) -> TensorProto:
    """A tensor whose values lie in a file beside the graph, or elsewhere."""
    tensor = TensorProto(name="secret", dims=[4], data_type=TensorProto.FLOAT)
    external(tensor, location, **{"offset": "0", "length": "16", **entries})
    return tensor


def in_subgraph(model: onnx.ModelProto) -> None:
    inner = helper.make_graph([], "inner", [], [helper.make_tensor_value_info("secret", TensorProto.FLOAT, [4])])
    inner.initializer.append(secret(model))
    condition = helper.make_node("Constant", [], ["yes"], value=helper.make_tensor("yes", TensorProto.BOOL, [], [True]))
    model.graph.node.append(condition)
    model.graph.node.append(helper.make_node("If", ["yes"], ["read"], then_branch=inner, else_branch=inner))


def in_function(model: onnx.ModelProto) -> None:
    node = helper.make_node("Constant", [], ["read"], value=secret(model))
    model.functions.append(helper.make_function("own", "F", [], ["read"], [node], model.opset_import))


def in_sparse(model: onnx.ModelProto) -> None:
    indices = helper.make_tensor("indices", TensorProto.INT64, [4], range(4))
    sparse = helper.make_sparse_tensor(secret(model), indices, [8])
    model.graph.sparse_initializer.append(sparse)


def in_training(model: onnx.ModelProto) -> None:
    model.training_info.add().initialization.initializer.append(secret(model))


ESCAPES: dict[str, Callable[[onnx.ModelProto], object]] = {
    "an initializer": lambda model: model.graph.initializer.append(secret(model)),
    "a path upwards": lambda model: model.graph.initializer.append(secret(model, "../secret")),
    "an absolute path": lambda model: model.graph.initializer.append(secret(model, "/etc/hostname")),
    "an address": lambda model: model.graph.initializer.append(secret(model, "*/_ORT_MEM_ADDR_/*", offset="4096")),
    "our own place": lambda model: model.graph.initializer.append(secret(model, EXTERNAL)),
    "a weight of ours, elsewhere": lambda model: external(model.graph.initializer[0], "secret"),
    "a weight of ours, at an offset": lambda model: external(model.graph.initializer[0], EXTERNAL, offset="8"),
    "entries without a mark": lambda model: (
        setattr(model.graph.initializer[0], "data_location", TensorProto.DEFAULT)
        or model.graph.initializer[0].external_data.add(key="location", value="secret")
    ),
    "a mark without entries": lambda model: (
        external(model.graph.initializer[0], EXTERNAL) or model.graph.initializer[0].ClearField("external_data")
    ),
    "a constant": lambda model: model.graph.node.append(
        helper.make_node("Constant", [], ["read"], value=secret(model))
    ),
    "a subgraph": in_subgraph,
    "a function": in_function,
    "a sparse initializer": in_sparse,
    "training": in_training,
}


@pytest.mark.parametrize("name", ESCAPES)
def test_graphs_that_refer_to_files_or_memory_are_refused(copy: Path, name: str) -> None:
    path = graph_path(copy, "initial")
    model = onnx.load(path, load_external_data=False)
    ESCAPES[name](model)
    path.write_bytes(model.SerializeToString())
    np.full(4, 42.0, np.float32).tofile(copy.parent / "secret")
    with pytest.raises(WeightsError, match="lies outside the graph") as caught:
        open_predictor(copy)
    assert str(caught.value).isprintable()


def test_a_graph_alone_brings_its_own_weights() -> None:
    nodes = [helper.make_node("Add", ["x", "w"], ["y"])]
    given, out = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in "xy")
    own = helper.make_tensor("w", TensorProto.FLOAT, [4], [1.0, 2.0, 3.0, np.inf])
    model = helper.make_model(
        helper.make_graph(nodes, "g", [given], [out], [own]),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    network = Network("g", model.SerializeToString(), {})
    with pytest.raises(NotFiniteError, match="g answers with values that are not finite"):
        network.run({"x": np.zeros(4, np.float32)}, [None])
    external(own, "w.bin")
    model.graph.initializer[0].CopyFrom(own)
    with pytest.raises(WeightsError, match="lies outside the graph"):
        Network("g", model.SerializeToString(), {})


def renamed(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].name = "other"


def reshaped(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].dims[0] += 1


def dropped(model: onnx.ModelProto) -> None:
    del model.graph.initializer[0]


def doubled(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(model.graph.initializer[0])


@pytest.mark.parametrize("change", [renamed, reshaped, dropped, doubled])
def test_graphs_that_do_not_fit_their_weights_are_refused(copy: Path, change: Callable[[Any], None]) -> None:
    path = graph_path(copy, "cascade")
    model = onnx.load(path, load_external_data=False)
    change(model)
    path.write_bytes(model.SerializeToString())
    with pytest.raises(WeightsError, match=r"does not fit its weights|lies outside"):
        open_predictor(copy)


@pytest.mark.parametrize("content", [b"", b"no graph", b"\x3a\xff\xff\xff\xff\x0f", b"\x3a\x04" * 5000])
def test_damaged_graphs_are_one_line(copy: Path, content: bytes) -> None:
    graph_path(copy, "cascade").write_bytes(content)
    with pytest.raises(WeightsError, match=r"tiny\.cascade\.onnx") as caught:
        open_predictor(copy)
    assert str(caught.value).isprintable()


def test_other_outputs_and_other_inputs_are_refused(copy: Path) -> None:
    path, crop = graph_path(copy, "initial"), np.zeros((1, 64, 64, 3), np.uint8)
    model = onnx.load(path, load_external_data=False)
    kept = model.graph.output.pop()
    path.write_bytes(model.SerializeToString())
    with pytest.raises(WeightsError, match="7 outputs, not 8"):
        open_predictor(copy).run(crop, 0)
    model.graph.output.append(kept)
    model.graph.output[5].CopyFrom(model.graph.output[0])
    path.write_bytes(model.SerializeToString())
    with pytest.raises(LineamentError, match=r"tiny\.initial\.onnx"):
        open_predictor(copy).run(crop, 0)


def test_normals_that_are_not_finite_are_an_error_of_their_own(copy: Path) -> None:
    def change(tensors: dict[str, Any], header: dict[str, str]) -> None:
        for name, values in tensors.items():
            if name.endswith("weight"):
                tensors[name] = np.full_like(values, 60_000.0)  # finite, its products are not

    rewrite(copy, change)
    with pytest.raises(NotFiniteError, match="not finite"):
        CasFNEPredictor(copy).run(np.full((1, 64, 64, 3), 200, np.uint8), 0)


def test_what_ships_is_what_was_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = file.shipped_hashes()
    here = {path.resolve() for kind in ("*.safetensors", "*.onnx") for path in FOLDER.glob(kind)}
    assert here == {path for path in shipped if path.parent == FOLDER.resolve()}
    other = "0" * 64
    with pytest.raises(WeightsError, match="not the file that ships"):
        file.check_shipped(weights_path("casfne-s"), other)
    with pytest.raises(WeightsError, match="not the file that ships"):
        file.check_shipped(FOLDER / "another.safetensors", other)
    file.check_shipped(tmp_path / "own.safetensors", other)
    for path, digest in shipped.items():
        read = file.read_bytes(path, file.MAX_FILE, WeightsError, "weights")
        file.check_shipped(path, hashlib.sha256(read).hexdigest())
        assert len(digest) == 64
