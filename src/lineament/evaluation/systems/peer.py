# SPDX-License-Identifier: Apache-2.0
"""Somebody else's system behind a few functions in a Python file."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lineament.datasets.sample import Sample
from lineament.errors import DataError, InputError, UsageError
from lineament.evaluation.systems.system import Floats, Frame, NormalsSystem, System
from lineament.geometry.mesh import Mesh

PEERS = ("mediapipe",)
"""Adapters that ship."""

_ANSWERS = ("normals", "depth", "mesh", "landmarks", "picture")


class PeerSystem(System):
    """An adapter: a module with ``load()``, whose answer is given to its other functions, and any of these.

    Each takes (state, image), image a photo [H, W, 3] uint8 RGB:

    - ``normals``: [H, W, 3] or [stages, H, W, 3] float in our frame (x right, y up, z to the viewer); zero where there
      are none. Without ``depth``, depth is integrated from them;
    - ``depth``: [H, W] float, larger nearer;
    - ``mesh``: (vertices [V, 3], triangles [T, 3]), in the frame and unit that the table's dataset asks for
      (docs/datasets.md);
    - ``landmarks``: [K, 3], of that mesh;
    - ``picture``: [H, W, 3] uint8 RGB.
    """

    def __init__(self, name: str, module: ModuleType | Any) -> None:
        """Load an adapter.

        Raises:
            UsageError: It has no ``load``, or none of the other functions.
        """
        super().__init__(name)
        self._module = module
        if not callable(getattr(module, "load", None)):
            raise UsageError(f"the adapter {name} has no function load")
        if not any(self._has(answer) for answer in _ANSWERS):
            raise UsageError(f"the adapter {name} has no function {' and no '.join(_ANSWERS)}")
        self._state = module.load()

    def normals(self, sample: Sample) -> list[Floats]:
        """Normals [H, W, 3] per stage."""
        maps = self._numbers("normals", "normals", sample)
        stacked = maps[None] if maps.ndim == 3 else maps
        if stacked.ndim != 4 or not len(stacked) or stacked.shape[1:] != sample.image.shape:
            raise InputError(f"{self.name} gave normals {maps.shape} for a photo {sample.image.shape}")
        return list(stacked)

    def depth(self, sample: Sample) -> Floats:
        """Depth [H, W], integrated from the last normals where the adapter gives none."""
        if not self._has("depth") and self._has("normals"):
            return NormalsSystem(self.name, self.normals).depth(sample)
        depth = self._numbers("depth", "depth", sample)
        if depth.shape != sample.image.shape[:2]:
            raise InputError(f"{self.name} gave a depth {depth.shape} for a photo {sample.image.shape}")
        return depth

    def mesh(self, sample: Sample, frame: Frame = "millimetres") -> Mesh:
        """The adapter's mesh, in whatever frame it gives it."""
        answer = self._ask("mesh", "meshes", sample)
        try:
            vertices, triangles = answer
            return Mesh(np.asarray(vertices, np.float64), np.asarray(triangles, np.int64))
        except (TypeError, ValueError, DataError) as error:
            raise InputError(f"{self.name} gave no mesh (vertices [V, 3], triangles [T, 3]): {error}") from None

    def landmarks(self, sample: Sample) -> NDArray[np.float64]:
        """The adapter's landmarks [K, 3]."""
        points = self._numbers("landmarks", "landmarks of meshes", sample).astype(np.float64)
        if points.ndim != 2 or points.shape[1] != 3 or not np.isfinite(points).all():
            raise InputError(f"{self.name} gave landmarks {points.shape}, not finite numbers [K, 3]")
        return points

    def picture(self, sample: Sample) -> NDArray[np.uint8]:
        """The adapter's picture."""
        picture = np.asarray(self._ask("picture", "rendered pictures", sample))
        if picture.dtype != np.uint8 or picture.shape != sample.image.shape:
            given = f"{picture.shape} of {picture.dtype}"
            raise InputError(f"{self.name} gave a picture {given} for a photo {sample.image.shape} of uint8")
        return picture

    def _has(self, answer: str) -> bool:
        return callable(getattr(self._module, answer, None))

    def _ask(self, answer: str, wanted: str, sample: Sample) -> Any:
        if not self._has(answer):
            raise self._gives_no(wanted)
        return getattr(self._module, answer)(self._state, sample.image)

    def _numbers(self, answer: str, wanted: str, sample: Sample) -> Floats:
        given = self._ask(answer, wanted, sample)
        try:
            return np.asarray(given, np.float32)
        except (TypeError, ValueError) as error:
            raise InputError(f"{self.name} gave {answer} that are no array of numbers: {error}") from None


def peer_system(peer: str) -> PeerSystem:
    """A peer by the name of an adapter that ships, or by a Python file.

    Raises:
        UsageError: No such adapter, one that cannot be imported, or one without the functions of `PeerSystem`.
    """
    return PeerSystem(Path(peer).stem, _adapter(peer))


def _adapter(peer: str) -> ModuleType:
    if peer in PEERS:
        return importlib.import_module(f"lineament.evaluation.systems.peers.{peer}")
    path = Path(peer)
    if path.suffix != ".py" or not path.is_file():
        raise UsageError(f"there is no adapter {peer!r}: name a Python file, or one of {', '.join(PEERS)}")
    spec = importlib.util.spec_from_file_location(f"lineament_peer_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{peer} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except (ImportError, SyntaxError) as error:
        raise UsageError(f"{peer}: {error}") from None
    return module
