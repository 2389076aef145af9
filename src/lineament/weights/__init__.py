# SPDX-License-Identifier: Apache-2.0
"""The trained weights that ship, each with its ONNX graphs and a model card."""

from __future__ import annotations

from pathlib import Path

from lineament.errors import WeightsError
from lineament.files.names import printable

FOLDER = Path(__file__).parent


def weights_path(name: str) -> Path:
    """The weights file of shipped weights' name, or of a path to one.

    Raises:
        WeightsError: No such weights.
    """
    if name.endswith(".safetensors"):
        path = Path(name)
        if not _is_there(path):
            raise WeightsError(f"no weights at {printable(str(path))}")
        return path
    path = FOLDER / f"{name}.safetensors"
    if not _is_there(path):
        shipped = {p.stem for p in FOLDER.glob("*.safetensors")}
        known = sorted(other for other in shipped if not other.startswith("face-"))  # those are parts of every method
        raise WeightsError(f"no weights named {name!r:.80}; there are {', '.join(known)}, or a path to a .safetensors")
    return path


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # no file can have such a name
        return False
