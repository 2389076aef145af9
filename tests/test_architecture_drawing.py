# SPDX-License-Identifier: Apache-2.0
"""The drawing of the rooms says what the code imports, and is the same each time."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parent.parent / "tools" / "draw_architecture.py"


@pytest.fixture(scope="module")
def drawing() -> ModuleType:
    pytest.importorskip("matplotlib")
    spec = importlib.util.spec_from_file_location("draw_architecture", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def package(tmp_path: Path) -> Path:
    files = {
        "__init__.py": "from lineament.top import thing",
        "top/__init__.py": "",
        "top/one.py": "import torch\nfrom lineament.low import x",
        "top/two.py": "def late():\n    import lineament.low.y\n    from lineament.top import one",
        "low/__init__.py": "import numpy",
        "errors.py": "",
        "middle/a.py": "from lineament import errors",
    }
    for name, text in files.items():
        path = tmp_path / "lineament" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path / "lineament"


def test_imports_are_those_of_the_code_wherever_they_stand(drawing: ModuleType, package: Path) -> None:
    found = drawing.imports_of(package)
    assert found == {"top": {"torch": 1, "low": 2}, "low": {}, "errors": {}, "middle": {"errors": 1}}


def test_layers_are_those_of_the_contract(drawing: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "pyproject.toml"
    contract = '[[tool.importlinter.contracts]]\ntype = "layers"\nlayers = ["top", "middle | low", "errors"]\n'
    path.write_text(contract, encoding="utf-8")
    assert drawing.layers_of(path) == [["top"], ["middle", "low"], ["errors"]]
    path.write_text("[tool.other]\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="no contract of layers"):
        drawing.layers_of(path)


def test_two_drawings_are_the_same_bytes(drawing: ModuleType, package: Path, tmp_path: Path) -> None:
    layers = [["top"], ["middle", "low"], ["errors"]]
    for name in ("first.svg", "second.svg"):
        drawing.draw(layers, drawing.imports_of(package), tmp_path / name)
    first = (tmp_path / "first.svg").read_bytes()
    assert first == (tmp_path / "second.svg").read_bytes()
    assert b"middle" in first
