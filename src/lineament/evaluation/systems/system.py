# SPDX-License-Identifier: Apache-2.0
"""What can be measured: our methods, anybody's adapter, anybody's stored predictions."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lineament.datasets.sample import Sample
from lineament.errors import UsageError
from lineament.evaluation.systems.framing import FramedPredictor, Framing
from lineament.evaluation.systems.stored import StoredPredictions
from lineament.geometry.integration import normals_to_depth

Floats = NDArray[np.float32]

PEERS = ("mediapipe",)
"""Adapters that ship."""


class System(Protocol):
    """Something that answers for a sample; it may use nothing of it but ``image``, ``name`` and ``subject``."""

    name: str
    """In reports."""

    def normals(self, sample: Sample) -> list[Floats]:
        """Normals [H, W, 3] in our frame, one map per stage, the last the answer."""

    def depth(self, sample: Sample) -> Floats:
        """Depth [H, W], larger nearer, of any unit and origin."""

    def stored(self, wanted: str) -> StoredPredictions:
        """The folder that holds ``wanted`` (meshes, pictures), which only other programmes make so far."""


class NormalsSystem:
    """A function from samples to normals; depth is integrated from the last map."""

    def __init__(self, name: str, normals: Callable[[Sample], list[Floats]]) -> None:
        self.name, self._normals = name, normals

    def normals(self, sample: Sample) -> list[Floats]:
        """Normals [H, W, 3] per stage."""
        return self._normals(sample)

    def depth(self, sample: Sample) -> Floats:
        """Depth [H, W] in pixels, integrated where there is a normal."""
        return normals_to_depth(self.normals(sample)[-1])

    def stored(self, wanted: str) -> StoredPredictions:
        """It writes none."""
        raise UsageError(f"{self.name} estimates no {wanted}; give a folder of them with --predictions")


class StoredSystem:
    """A folder of predictions."""

    def __init__(self, predictions: StoredPredictions, name: str | None = None) -> None:
        self.predictions, self.name = predictions, name or predictions.folder.name

    def normals(self, sample: Sample) -> list[Floats]:
        """Stored normal maps."""
        return self.predictions.normals(sample)

    def depth(self, sample: Sample) -> Floats:
        """Stored depth maps."""
        return self.predictions.depth(sample)

    def stored(self, wanted: str) -> StoredPredictions:
        """The folder."""
        return self.predictions


def method_system(name: str, padding: float, second_view: bool = True) -> NormalsSystem:
    """One of our methods: a shipped name or a file of weights.

    Photos are set into a larger square first, since those of datasets are cut tightly (`Framing`).
    """
    import lineament

    estimator = lineament.load(name, options=lineament.Options(second_view=second_view, fine_crop=False))
    framed = FramedPredictor(lambda crop: estimator.estimate_crop(crop).normals, Framing(padding))
    return NormalsSystem(Path(name).stem if name.endswith(".safetensors") else name, framed)


def peer_system(peer: str) -> NormalsSystem:
    """Somebody else's system behind two functions.

    An adapter is a Python file (or the name of one that ships) with ``load()``, which gives whatever the second needs,
    and ``normals(state, image)``, which gives normals [H, W, 3] float in our frame (x right, y up, z to the viewer;
    zero where there is none) for a photo [H, W, 3] uint8 RGB.

    Raises:
        UsageError: No such adapter, or one without these functions.
    """
    module = _adapter(peer)
    missing = [name for name in ("load", "normals") if not callable(getattr(module, name, None))]
    if missing:
        raise UsageError(f"the adapter {peer} has no function {' and no '.join(missing)}")
    state = module.load()

    def normals(sample: Sample) -> list[Floats]:
        answer = np.asarray(module.normals(state, sample.image), np.float32)
        if answer.shape != sample.image.shape:
            raise UsageError(f"{peer} gave normals {answer.shape} for a photo {sample.image.shape}")
        return [answer]

    return NormalsSystem(Path(peer).stem, normals)


def _adapter(peer: str) -> ModuleType | Any:
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
    except ImportError as error:
        raise UsageError(f"{peer}: {error}") from None
    return module
