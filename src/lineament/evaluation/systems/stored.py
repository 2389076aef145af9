# SPDX-License-Identifier: Apache-2.0
"""What other programmes have written: normal maps, depth maps, meshes and pictures, one file per sample."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lineament.datasets.dataset import rgb
from lineament.datasets.meshes import read_mesh
from lineament.datasets.sample import Sample
from lineament.errors import InputError
from lineament.evaluation.systems.system import Floats, Frame, System
from lineament.files.reading import parse_json, read_bounded, reading, regular_file
from lineament.geometry.mesh import Mesh
from lineament.images.maps import PICTURES, Axes, read_array, read_normals, read_picture_values

_LARGEST_TABLE = 1 << 26


class StoredPredictions(System):
    """A folder with one file per sample.

    A sample `a/b/c` is looked for as `a/b/c`, as `a_b_c`, as `c`, and as `c` in a folder named after the person, with
    any known suffix. Its map must have the photo's resolution.
    """

    def __init__(self, folder: Path, axes: Axes | None = None, name: str | None = None) -> None:
        """Predictions in a folder, whose name they go by unless another is given; ``axes`` are those of normal maps."""
        super().__init__(name or folder.name)
        self.folder, self.axes = folder, axes or Axes()
        self._last: tuple[Path, Mesh] | None = None

    def normals(self, sample: Sample) -> list[Floats]:
        """Normals [H, W, 3] per stage: `.npy`, `.npz` (`normals`), `.exr`, or a picture of (n + 1) / 2, black for none.

        Arrays may be [stages, H, W, 3].

        Raises:
            InputError: No such file, or one that cannot be used.
        """
        path = self._path(sample, (".npy", ".npz", ".exr", *PICTURES))
        maps = self.axes.to_ours(read_normals(path))
        stacked = maps[None] if maps.ndim == 3 else maps
        wanted = (*sample.image.shape[:2], 3)
        if stacked.ndim != 4 or stacked.shape[1:] != wanted:
            raise InputError(f"{path} has the shape {maps.shape}, the photo's normals have {wanted}")
        return list(stacked)

    def depth(self, sample: Sample) -> Floats:
        """Depth [H, W], larger nearer, any unit: `.npy`, or a grey picture of 8 or 16 bits.

        Raises:
            InputError: No such file, or one that cannot be used.
        """
        path = self._path(sample, (".npy", ".npz", *PICTURES))
        values = read_array(path, "depth") if path.suffix in (".npy", ".npz") else read_picture_values(path)
        depth = np.asarray(values[..., 0] if values.ndim == 3 else values, np.float32)
        if depth.shape != sample.image.shape[:2]:
            raise InputError(f"{path} has the shape {depth.shape}, the photo has {sample.image.shape[:2]}")
        return depth

    def mesh(self, sample: Sample, frame: Frame = "millimetres") -> Mesh:
        """A mesh: `.obj`, `.ply`, `.stl`, `.off` or `.wrl`, in whatever frame it is stored.

        Raises:
            InputError: No such file.
            DataError: One that cannot be read, or whose numbers are not finite.
        """
        path = self._path(sample, (".obj", ".ply", ".stl", ".off", ".wrl"))
        if self._last is None or self._last[0] != path:
            self._last = path, read_mesh(path)
        return self._last[1]

    def landmarks(self, sample: Sample) -> NDArray[np.float64]:
        """Landmarks [K, 3] of the mesh from the `.txt` beside it.

        Its rows are x y z, one vertex's index, or i j k a b c (three vertices and their weights), or it is a JSON list
        of [triangle, a, b] (REALY's form: a triangle of the mesh and the weights of its first two corners). A file
        `landmarks.txt` serves all meshes of one topology.

        Raises:
            InputError: No such file, or rows of another length.
        """
        common = self.folder / "landmarks.txt"
        path = common if common.is_file() else self._path(sample, (".txt",))
        return read_landmarks(path, self.mesh(sample))

    def picture(self, sample: Sample) -> NDArray[np.uint8]:
        """A picture of the photo's size.

        Raises:
            InputError: No such file, or one of another size.
        """
        path = self._path(sample, PICTURES)
        picture = rgb(path)
        if picture.shape != sample.image.shape:
            raise InputError(f"{path} has the shape {picture.shape}, the photo has {sample.image.shape}")
        return picture

    def views(self, sample: Sample) -> list[NDArray[np.uint8]]:
        """Rendered views of the sample's face: pictures whose name is the sample's, `_view` and anything."""
        stem = sample.name.split("/")[-1]
        found = sorted(p for p in self.folder.rglob(f"{stem}_view*") if p.suffix.lower() in PICTURES)
        return [rgb(path) for path in found]

    def _path(self, sample: Sample, suffixes: tuple[str, ...]) -> Path:
        last = sample.name.split("/")[-1]
        for name in (sample.name, sample.name.replace("/", "_"), last, f"{sample.subject}/{last}"):
            for suffix in suffixes:
                path = self.folder / f"{name}{suffix}"
                if path.is_file():
                    return path
        raise InputError(f"{self.folder} has no {last} with a suffix of {', '.join(suffixes)}")


def read_landmarks(path: Path, mesh: Mesh) -> NDArray[np.float64]:
    """The landmarks [K, 3] of a mesh from a text file (`StoredPredictions.landmarks`).

    Raises:
        InputError: No such file, or one of another form.
    """
    with regular_file(path).open("rb") as stream:
        listed = stream.read(64).lstrip().startswith(b"[")
    if not listed:
        return landmarks_of(read_rows(path), mesh, path)
    with reading(path, "a list of [triangle, weight, weight]"):
        rows = np.array(parse_json(read_bounded(path, _LARGEST_TABLE)), np.float64).reshape(-1, 3)
        triangles = rows[:, 0].astype(np.int64)
    if not np.isfinite(rows).all() or (triangles < 0).any() or (triangles >= len(mesh.triangles)).any():
        raise InputError(f"{path} names triangles that the mesh does not have, or weights that are not finite")
    weights = np.column_stack([rows[:, 1:], 1.0 - rows[:, 1:].sum(axis=1)])
    return landmarks_of(np.column_stack([mesh.triangles[triangles], weights]), mesh, path)


def read_rows(path: Path) -> NDArray[np.float64]:
    """A text file's rows of numbers.

    Raises:
        InputError: No table of numbers, or one of numbers that are not finite.
    """
    path = regular_file(path)
    if path.stat().st_size > _LARGEST_TABLE:
        raise InputError(f"{path}: a table of more than {_LARGEST_TABLE >> 20} MB is not read")
    with reading(path, "a table of numbers"):
        text = path.read_text().replace(",", " ")
        rows = np.array([line.split() for line in text.splitlines() if line.strip()], dtype=np.float64)
    if not np.isfinite(rows).all():
        raise InputError(f"{path}: holds numbers that are not finite")
    return rows


def landmarks_of(rows: NDArray[np.float64], mesh: Mesh, path: Path) -> NDArray[np.float64]:
    """Landmarks [K, 3] from rows of coordinates, of vertices' indices, or of barycentric coordinates."""
    vertices = mesh.vertices
    indices = rows[:, : {1: 1, 6: 3}.get(rows.shape[1], 0)] if rows.ndim == 2 else rows
    if rows.ndim == 2 and rows.shape[1] == 3:
        return rows
    if (
        rows.ndim != 2
        or rows.shape[1] not in (1, 6)
        or not len(rows)
        or indices.min() < 0
        or indices.max() >= len(vertices)
    ):
        raise InputError(f"{path} must hold rows of x y z, of a vertex's index, or of three indices and weights")
    whole = indices.astype(np.int64)
    if rows.shape[1] == 1:
        return vertices[whole[:, 0]]
    with np.errstate(over="ignore", invalid="ignore"):
        landmarks: NDArray[np.float64] = (vertices[whole] * rows[:, 3:, None]).sum(axis=1)
    if not np.isfinite(landmarks).all():
        raise InputError(f"{path} holds weights so large that landmarks are not finite")
    return landmarks
