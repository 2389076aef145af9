# SPDX-License-Identifier: Apache-2.0
"""What other programmes have written: normal maps, depth maps, meshes and pictures, one file per sample."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lineament.datasets.meshes import read_mesh
from lineament.datasets.sample import Mesh, Sample
from lineament.datasets.stream import rgb
from lineament.errors import InputError, UsageError

Floats = NDArray[np.float32]

AXES = "+x+y+z"
"""Our frame: the first channel grows to the image's right, the second upwards, the third towards the viewer."""
_PICTURES = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp")


@dataclass(frozen=True)
class Axes:
    """What the channels of somebody's normal maps hold.

    Three signed letters in the order of the channels, read as RGB: ``+x+y+z`` is ours (OpenGL), ``+x-y-z`` OpenCV's,
    ``+x-y+z`` DirectX's, ``+z+y+x`` a map that was written as BGR.
    """

    text: str = AXES

    def __post_init__(self) -> None:
        if not re.fullmatch(r"([+-][xyz]){3}", self.text) or len(set(self.text[1::2])) != 3:
            raise UsageError(f"axes must be like +x+y+z or +x-y-z, each letter once, not {self.text!r}")

    def to_ours(self, maps: Floats) -> Floats:
        """Maps [..., 3] of these axes as maps of our frame."""
        ours = np.empty_like(maps)
        for channel, (sign, letter) in enumerate(zip(self.text[::2], self.text[1::2], strict=True)):
            ours[..., "xyz".index(letter)] = maps[..., channel] * (1.0 if sign == "+" else -1.0)
        return ours


@dataclass(frozen=True)
class StoredPredictions:
    """A folder with one file per sample.

    A sample `a/b/c` is looked for as `a/b/c`, as `a_b_c`, as `c`, and as `c` in a folder named after the person, with
    any known suffix. Its map must have the photo's resolution.
    """

    folder: Path
    axes: Axes = Axes()

    def normals(self, sample: Sample) -> list[Floats]:
        """Normals [H, W, 3] per stage: `.npy`, `.npz` (`normals`), `.exr`, or a picture of (n + 1) / 2, black for none.

        Arrays may be [stages, H, W, 3].

        Raises:
            InputError: No such file, or one that cannot be used.
        """
        path = self._path(sample, (".npy", ".npz", ".exr", *_PICTURES))
        maps = self.axes.to_ours(_read_normals(path))
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
        path = self._path(sample, (".npy", ".npz", *_PICTURES))
        values = _read_array(path, "depth") if path.suffix in (".npy", ".npz") else _read_picture(path)
        depth = np.asarray(values[..., 0] if values.ndim == 3 else values, np.float32)
        if depth.shape != sample.image.shape[:2]:
            raise InputError(f"{path} has the shape {depth.shape}, the photo has {sample.image.shape[:2]}")
        return depth

    def mesh(self, sample: Sample) -> Mesh:
        """A mesh: `.obj`, `.ply`, `.stl`, `.off` or `.wrl`.

        Raises:
            InputError: No such file.
            DataError: One that cannot be read.
        """
        return read_mesh(self._path(sample, (".obj", ".ply", ".stl", ".off", ".wrl")))

    def landmarks(self, sample: Sample, mesh: Mesh) -> NDArray[np.float64]:
        """Landmarks [K, 3] of a mesh from the `.txt` beside it: rows of x y z, of one vertex's index, or of i j k a b c
        (three vertices and their weights, REALY's form). A file `landmarks.txt` serves all meshes of one topology.

        Raises:
            InputError: No such file, or rows of another length.
        """
        common = self.folder / "landmarks.txt"
        path = common if common.is_file() else self._path(sample, (".txt",))
        return landmarks_of(read_rows(path), mesh, path)

    def picture(self, sample: Sample) -> NDArray[np.uint8]:
        """A picture of the photo's size.

        Raises:
            InputError: No such file, or one of another size.
        """
        path = self._path(sample, _PICTURES)
        picture = rgb(path)
        if picture.shape != sample.image.shape:
            raise InputError(f"{path} has the shape {picture.shape}, the photo has {sample.image.shape}")
        return picture

    def views(self, sample: Sample) -> list[NDArray[np.uint8]]:
        """Rendered views of the sample's face: pictures whose name is the sample's, `_view` and anything."""
        stem = sample.name.split("/")[-1]
        found = sorted(p for p in self.folder.rglob(f"{stem}_view*") if p.suffix.lower() in _PICTURES)
        return [rgb(path) for path in found]

    def _path(self, sample: Sample, suffixes: tuple[str, ...]) -> Path:
        last = sample.name.split("/")[-1]
        for name in (sample.name, sample.name.replace("/", "_"), last, f"{sample.subject}/{last}"):
            for suffix in suffixes:
                path = self.folder / f"{name}{suffix}"
                if path.is_file():
                    return path
        raise InputError(f"{self.folder} has no {last} with a suffix of {', '.join(suffixes)}")


def read_rows(path: Path) -> NDArray[np.float64]:
    """A text file's rows of numbers.

    Raises:
        InputError: No table of numbers.
    """
    try:
        text = path.read_text().replace(",", " ")
        return np.array([line.split() for line in text.splitlines() if line.strip()], dtype=np.float64)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is no table of numbers: {error}") from None


def landmarks_of(rows: NDArray[np.float64], mesh: Mesh, path: Path) -> NDArray[np.float64]:
    """Landmarks [K, 3] from rows of coordinates, of vertices' indices, or of barycentric coordinates."""
    vertices = mesh.vertices
    indices = rows[:, : {1: 1, 6: 3}.get(rows.shape[1], 0)] if rows.ndim == 2 else rows
    if rows.ndim == 2 and rows.shape[1] == 3:
        return rows
    if rows.ndim != 2 or rows.shape[1] not in (1, 6) or indices.min() < 0 or indices.max() >= len(vertices):
        raise InputError(f"{path} must hold rows of x y z, of a vertex's index, or of three indices and weights")
    whole = indices.astype(np.int64)
    return vertices[whole[:, 0]] if rows.shape[1] == 1 else (vertices[whole] * rows[:, 3:, None]).sum(axis=1)


def _read_array(path: Path, key: str) -> Floats:
    try:
        loaded = np.load(path, allow_pickle=False)
        array = loaded if isinstance(loaded, np.ndarray) else loaded[key if key in loaded else loaded.files[0]]
        return np.asarray(array, dtype=np.float32)
    except (OSError, ValueError, EOFError, IndexError, KeyError) as error:
        raise InputError(f"{path} cannot be read: {error}") from None


def _read_picture(path: Path) -> Floats:
    """[H, W] or [H, W, 3] RGB as stored, in [0, 1]."""
    import cv2

    # imdecode of the bytes, since imread cannot open every file name on every system.
    pixels = cv2.imdecode(np.fromfile(path, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise InputError(f"{path} is not a picture that can be read")
    span = np.float32(65535.0 if pixels.dtype == np.uint16 else 255.0)
    rgb_or_grey = pixels[..., 2::-1] if pixels.ndim == 3 else pixels
    return np.asarray(rgb_or_grey, dtype=np.float32) / span


def _read_normals(path: Path) -> Floats:
    if path.suffix in (".npy", ".npz"):
        return _read_array(path, "normals")
    if path.suffix == ".exr":
        import OpenEXR

        try:
            channels = OpenEXR.File(str(path)).channels()
        except Exception as error:  # the binding raises its own kinds
            raise InputError(f"{path} cannot be read: {error}") from None
        names = [set(channels) & {letter, letter.lower()} for letter in "RGB"]
        if "RGB" in channels:
            return np.asarray(channels["RGB"].pixels, np.float32)
        if not all(names):
            raise InputError(f"{path} has no channels R, G and B")
        return np.stack([np.asarray(channels[name.pop()].pixels, np.float32) for name in names], axis=-1)
    colours = _read_picture(path)
    if colours.ndim != 3 or colours.shape[2] != 3:
        raise InputError(f"{path} is not an RGB picture that can be read")
    normals = colours * np.float32(2) - np.float32(1)
    normals[~colours.any(axis=2)] = 0.0  # black encodes no normal
    return normals
