# SPDX-License-Identifier: Apache-2.0
"""Where networks are run: threads and providers that reach all of them."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage import data

import lineament
from lineament.cli import main
from lineament.errors import UsageError
from lineament.inference import engine as module
from lineament.inference.engine import Engine
from lineament.models.parser.predictor import shipped_parser


def test_threads_and_provider_reach_every_network(tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    onnxruntime = import_module("onnxruntime")  # lineament, imported above, has its telemetry off
    opened: list[tuple[int, list[str]]] = []
    session = onnxruntime.InferenceSession

    def noted(graph: bytes, options: Any, providers: list[str]) -> Any:
        opened.append((options.intra_op_num_threads, providers))
        return session(graph, options, providers=providers)

    monkeypatch.setattr(onnxruntime, "InferenceSession", noted)
    # The processor under another name: what a user's own provider would be.
    monkeypatch.setitem(module.PROVIDERS, "openvino", ("CPUExecutionProvider", "nowhere"))
    estimator = lineament.load(tiny_weights, threads=3, provider="openvino")
    (face,) = estimator.estimate(data.astronaut()[:256, 90:346])
    assert face.albedo.shape == (256, 256, 3)
    assert len(opened) >= 4  # detector, parser, the method's own, albedo
    assert set(map(str, opened)) == {str((3, ["CPUExecutionProvider"]))}


def test_engines_have_their_own_networks() -> None:
    with Engine(threads=1).used():
        one = shipped_parser()
        assert shipped_parser() is one
    with Engine(threads=2).used():
        assert shipped_parser() is not one
    assert Engine.current() == Engine()


def test_what_is_not_there_is_said_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match=r"has no provider directml.*onnxruntime-directml"):
        lineament.load(provider="directml")
    with pytest.raises(UsageError, match="provider must be one of cpu"):
        Engine(provider="tpu")  # type: ignore[arg-type]
    photo = tmp_path / "photo.png"
    Image.fromarray(data.astronaut()[:256, 90:346]).save(photo)
    assert main(["estimate", str(photo), "-o", str(tmp_path / "out"), "--provider", "directml"]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_jobs_change_no_result(tmp_path: Path, tiny_weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(3):
        Image.fromarray(data.astronaut()[:256, 80 + number : 336 + number]).save(folder / f"{number}.png")
    (folder / "3.png").write_text("no picture")
    for jobs in ("1", "2"):
        words = ["estimate", str(folder), "-o", str(tmp_path / jobs), "--method", str(tiny_weights), "--jobs", jobs]
        assert main(words) == 4
        said = capsys.readouterr().err
        assert said.count("3.png") == 1
        assert "3 of 4 photos" in said
    for number in range(3):
        one, two = (np.asarray(Image.open(tmp_path / jobs / str(number) / "normals.png")) for jobs in ("1", "2"))
        assert np.array_equal(one, two)
