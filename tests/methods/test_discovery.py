# SPDX-License-Identifier: Apache-2.0
"""A method is one folder: a toy in a folder of its own works in every command, and nothing else names it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

import lineament.methods
from lineament.cli import main
from lineament.errors import UsageError, WeightsError
from lineament.inference.component import resolved
from lineament.methods.discovery import all_components, all_methods, method_of_size, method_weights

TOY = Path(__file__).parent / "toy"
TINY = ["--size", "64", "--batch-size", "2", "--steps", "3", "--warmup", "1", "--validation-batches", "1"]


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The toy as one of the methods, from a temporary folder."""
    shutil.copytree(TOY, tmp_path / "methods" / "toy")
    monkeypatch.setattr(lineament.methods, "__path__", [*lineament.methods.__path__, str(tmp_path / "methods")])
    for found in (all_methods, all_components):
        found.cache_clear()
    yield
    for found in (all_methods, all_components):
        found.cache_clear()
    for name in [name for name in sys.modules if name.startswith("lineament.methods.toy")]:
        del sys.modules[name]


@pytest.mark.usefixtures("toy")
def test_a_folder_is_a_method(
    tmp_path: Path, faces: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["train", "--help"]) == 0
    assert "toy" in capsys.readouterr().out
    run = tmp_path / "run"
    assert main(["train", "toy", "--output", str(run), "--data", str(faces), *TINY]) == 0
    assert main(["export", str(run / "toy.safetensors")]) == 0
    photo = tmp_path / "photo.png"
    Image.fromarray(data.astronaut()).save(photo)
    words = ["estimate", str(photo), "--whole", "--method", str(run / "toy.safetensors"), "-o", str(tmp_path / "out")]
    assert main(words) == 0
    assert json.loads((tmp_path / "out" / "photo" / "face.json").read_text())["method"] == "toy"
    capsys.readouterr()
    assert main(["bench", "--method", "toy", "--size", "64", "--runs", "1", "--threads", "1"]) == 0
    assert "toy" in capsys.readouterr().out
    small = ["--budget", "0.001", "--faces", "20", "--test-faces", "10", "--size", "64"]
    assert main(["ablate", "toy", *small, "--folder", str(tmp_path / "ablation")]) == 0
    assert "Toy's kernels" in capsys.readouterr().out


def test_methods_and_helper_networks_are_found() -> None:
    assert {"casfne", "hffne", "df2net"} <= set(all_methods())
    assert {"albedo", "detector", "features", "parser"} <= set(all_components())
    for component in all_components().values():
        for reference in (component.network, component.training, component.graphs):
            assert reference is None or resolved(reference) is not None
    for method in all_methods().values():
        for reference in (method.predictor, method.study, *method.sizes.values()):
            assert reference is None or resolved(reference) is not None
    assert method_of_size("casfne").name == "casfne"
    assert method_weights("casfne").stem == "casfne-s"
    with pytest.raises(UsageError, match="there are casfne-s"):
        method_of_size("nothing")
    with pytest.raises(WeightsError, match="no weights named"):
        method_weights("nothing")


def test_finding_methods_imports_no_torch() -> None:
    found = "from lineament.methods.discovery import all_components; all_components()"
    code = f"import sys; {found}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_no_other_file_names_a_method() -> None:
    source = Path(lineament.methods.__file__).parents[1]
    for name in all_methods():
        for path in source.rglob("*.py"):
            inside = path.is_relative_to(source / "methods") or path.is_relative_to(source / "evaluation")
            words = path.read_text(encoding="utf-8").replace('"casfne-s"', "")  # the weights that are the default
            assert inside or f'"{name}"' not in words, path
    assert np.all([method.sizes for method in all_methods().values()])
