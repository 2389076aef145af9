# SPDX-License-Identifier: Apache-2.0
"""Where inputs come in: what is done with an input of each kind, as a user would."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lineament.errors import LineamentError
from tests.fuzz.objects import draw_options, draw_photo
from tests.fuzz.seeds import SIDE
from tests.fuzz.training import FACES, run_config

Random = np.random.Generator

WEIGHTS = Path("weights/tiny/tiny.safetensors")
"""In the folder of the seeds, where everything runs."""


class TracebackError(Exception):
    """A command that ended as no command may."""


class SaidError(LineamentError):
    """A command that ended with a line and an exit code, as it should."""


class Door(NamedTuple):
    """One way in."""

    name: str
    enter: Callable[[Path, Random], Any]
    """Takes the damaged file and returns what was made of it, whose numbers must be finite."""
    share: int = 1
    """How often it is taken, beside the others of its kind."""
    suffixes: tuple[str, ...] = ()
    """Of the files that it takes; none for all."""


def _read_image(path: Path, rng: Random) -> Any:
    from lineament.images.read import read_image

    return read_image(path)


def _command(*words: str) -> None:
    """Run a command in this process."""
    from lineament.cli import main

    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        code = main(words)
    if code not in range(14) or "Traceback (most recent call last)" in said.getvalue():
        raise TracebackError(f"exit code {code}: {said.getvalue()[-2000:]}")
    if code:
        raise SaidError(said.getvalue().strip())


def _with_results(path: Path, *words: str) -> Any:
    """What a command wrote as JSON."""
    out = path.parent / "out"
    _command(*words, "-o", str(out))
    return [json.loads(file.read_text(encoding="utf-8")) for file in sorted(out.rglob("*.json"))]


_QUICK = ("--whole", "--no-second-view", "--no-fine-crop")


def _estimate(path: Path, rng: Random) -> Any:
    more = ("--outputs", "normals", "depth", "mesh", "albedo") if rng.random() < 0.1 else ()
    return _with_results(path, "estimate", str(path), "--method", str(WEIGHTS), *_QUICK, *more)


def _exemplar(path: Path, rng: Random) -> Any:
    photo = Path("photo/rgb-bmp/rgb.bmp")
    return _with_results(
        path, "estimate", str(photo), "--method", str(WEIGHTS), "--whole", "--exemplar", str(path), "--no-second-view"
    )


def _faces(path: Path, rng: Random) -> Any:
    return _with_results(path, "faces", str(path), *(("--any-rotation",) if rng.random() < 0.2 else ()))


def _check(path: Path, rng: Random) -> Any:
    _command("check", str(path))


def _read_normals(path: Path, rng: Random) -> Any:
    from lineament.images.maps import read_normals

    return read_normals(path)


def _sample(path: Path) -> Any:
    from lineament.datasets.sample import Sample

    return Sample(np.zeros((SIDE, SIDE, 3), np.uint8), path.stem, path.stem)


def _stored(what: str) -> Callable[[Path, Random], Any]:
    def enter(path: Path, rng: Random) -> Any:
        from lineament.evaluation.systems.stored import StoredPredictions

        return getattr(StoredPredictions(path.parent), what)(_sample(path))

    return enter


def _mesh(path: Path, rng: Random) -> Any:
    from lineament.datasets.meshes import read_mesh, view_mesh
    from lineament.geometry.enhance import enhance
    from lineament.geometry.mesh import vertex_normals

    mesh = read_mesh(path)
    wanted = vertex_normals(mesh)[:, [1, 2, 0]]
    view = view_mesh(mesh, 32)
    return mesh, enhance(mesh, wanted).vertices, view.normals, view.scale


def _points(path: Path, rng: Random) -> Any:
    from lineament.datasets.meshes import read_points

    return read_points(path)


def _landmarks(path: Path, rng: Random) -> Any:
    from lineament.evaluation.systems.stored import landmarks_of, read_rows
    from lineament.geometry.mesh import Mesh

    mesh = Mesh(np.arange(30.0).reshape(10, 3), np.array([[0, 1, 2]]))
    return landmarks_of(read_rows(path), mesh, path)


def _weights(path: Path, rng: Random) -> Any:
    from lineament.methods.discovery import open_predictor

    session = open_predictor(path.with_name("tiny.safetensors"))
    if session.size > 256:  # sound weights may be of any size; a picture of it takes long
        return None
    maps = session.run(np.full((1, session.size, session.size, 3), 128, np.uint8))
    return maps.normals, maps.concentrations


def _estimate_with(path: Path, rng: Random) -> Any:
    weights = path.with_name("tiny.safetensors")
    photo = Path("photo/rgb-bmp/rgb.bmp")
    return _with_results(
        path, "estimate", str(photo), "--method", str(weights), "--whole", "--no-second-view", "--no-fine-crop"
    )


def _export(path: Path, rng: Random) -> Any:
    _command("export", str(path))


def _rig(path: Path, rng: Random) -> Any:
    from lineament.rig import load_rig

    rig = load_rig(path)
    return rig.vertices(np.ones(rig.identity_count), np.ones(rig.expression_count)), rig.regions, rig.iris_radius


def _synth(path: Path, rng: Random) -> Any:
    from lineament.synth.write import write_dataset

    return str(write_dataset(_folder(path), **FACES))


def _batch(path: Path, rng: Random) -> Any:
    import torch

    from lineament.training.data import batches

    config = run_config(path.parent / "run", _folder(path))
    return [next(batches(config, split, 0, torch.device("cpu"))) for split in ("train", "validation")]


def _folder(path: Path) -> Path:
    """The dataset that a file is of."""
    return path.parent if path.suffix.startswith(".json") else path.parent.parent


def _resume(path: Path, rng: Random) -> Any:
    import torch

    from lineament.methods.casfne.recipe import CasFNERecipe
    from lineament.networks.weight_files import load_weights
    from lineament.training.loop import train

    config = run_config(path.parent)
    torch.manual_seed(0)
    weights = train(CasFNERecipe(config), config)
    return dict(load_weights(weights, type(CasFNERecipe(config).model)).state_dict())


@cache
def _estimator() -> Any:
    import lineament

    return lineament.load(str(WEIGHTS), threads=1)


def _object(path: Path, rng: Random) -> Any:
    photo, options = draw_photo(rng), draw_options(rng)
    found = _estimator().estimate(photo, **options)
    return [(face.box, face.landmarks, face.stages, face.crop_uncertainty) for face in _flat(found)]


def _flat(found: Any) -> list[Any]:
    """Faces, also of several photos."""
    return [face for item in found for face in (item if isinstance(item, list) else [item])]


_ARRAYS, _PICTURES = (".npy", ".npz"), (".png", ".tif", ".jpg", ".bmp")

DOORS: dict[str, tuple[Door, ...]] = {
    "photo": (
        Door("read_image", _read_image, 6),
        Door("lineament estimate", _estimate, 2),
        Door("lineament check", _check),
        Door("lineament faces", _faces),
    ),
    "bomb": (Door("read_image", _read_image),),
    "map": (
        Door("read_normals", _read_normals, 3),
        Door("stored normals", _stored("normals")),
        Door("stored depth", _stored("depth"), suffixes=(*_ARRAYS, *_PICTURES)),
        Door("lineament estimate --exemplar", _exemplar),
    ),
    "mesh": (
        Door("read_mesh", _mesh, 3),
        Door("stored mesh", _stored("mesh")),
        Door("read_points", _points, suffixes=(".obj",)),
    ),
    "landmarks": (Door("landmarks", _landmarks),),
    "weights": (
        Door("open_predictor", _weights, 3),
        Door("lineament estimate --method", _estimate_with),
        Door("lineament export", _export),
    ),
    "graph": (Door("open_predictor", _weights, 3), Door("lineament estimate --method", _estimate_with)),
    "rig": (Door("load_rig", _rig),),
    "synth": (
        Door("write_dataset", _synth, suffixes=(".json", ".jsonl")),
        Door("training batches", _batch, 2, suffixes=(".jsonl", ".png")),
    ),
    "run": (Door("train", _resume),),
    "object": (Door("Estimator.estimate", _object),),
}
"""The ways in of every kind of input."""

SHARES: dict[str, int] = {
    "photo": 12,
    "bomb": 1,
    "map": 6,
    "mesh": 6,
    "landmarks": 1,
    "weights": 3,
    "graph": 3,
    "rig": 2,
    "synth": 3,
    "run": 1,
    "object": 4,
}
"""How many of so many inputs are of a kind."""
