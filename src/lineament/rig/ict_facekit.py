# SPDX-License-Identifier: Apache-2.0
"""Reading ICT-FaceKit Light (MIT, USC Institute for Creative Technologies): its folder, or one npz of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lineament.errors import InputError
from lineament.files.arrays import read_npz
from lineament.files.reading import parse_json, read_bounded, reading
from lineament.rig.model import LANDMARK_COUNT

CENTIMETRE = 10.0
"""Millimetres per unit of ICT-FaceKit's files."""

NEUTRAL_FILE = "generic_neutral_mesh.obj"
INDICES_FILE = "vertex_indices.json"
SKIN_MATERIALS = ("M_Face", "M_BackHead")
GUMS_MATERIAL = "M_GumsTongue"
TEETH_MATERIAL = "M_Teeth"
EYE_MATERIALS = ("M_ScleraLeft", "M_ScleraRight")
ALL_MATERIALS = (*SKIN_MATERIALS, GUMS_MATERIAL, TEETH_MATERIAL, *EYE_MATERIALS)


_ARRAYS = (
    *("vertices", "faces", "face_material", "materials"),
    *("identity", "expression", "expression_names", "landmarks68"),
)
_LONGEST_TEXT = 1 << 28  # bytes of an .obj; those of ICT-FaceKit have 4 million


class FaceKitError(InputError):
    """Raised when a path holds no readable ICT-FaceKit."""


@dataclass(frozen=True, eq=False)
class IctFaceKit:
    """The parts of ICT-FaceKit that a rig is built from, in millimetres.

    Attributes:
        vertices: [N, 3] neutral vertices, x to the subject's left, y up, z out of the face.
        triangles: [T, 3] int32, quads split in two.
        material: [T] int32 index into `materials`.
        materials: Names of the materials.
        identity: [K, N, 3] float32 offsets per unit of a N(0, 1) coefficient.
        expression: [E, N, 3] float32 offsets at weight 1.
        expression_names: E names.
        landmarks: [68] int32 vertex indices in the iBUG order.
    """

    vertices: NDArray[np.float32]
    triangles: NDArray[np.int32]
    material: NDArray[np.int32]
    materials: tuple[str, ...]
    identity: NDArray[np.float32]
    expression: NDArray[np.float32]
    expression_names: tuple[str, ...]
    landmarks: NDArray[np.int32]

    def with_material(self, *names: str) -> NDArray[np.bool_]:
        """[T] mask of the triangles that have one of the named materials."""
        wanted = [self.materials.index(name) for name in names if name in self.materials]
        return np.isin(self.material, wanted)


def read_ict_facekit(path: str | Path) -> IctFaceKit:
    """Read ICT-FaceKit from its ``FaceXModel`` folder (or the folder above it) or from an npz.

    As many ``identityNNN.obj`` and expression files as exist are read; an identity that is missing ends the
    numbering, an expression that is missing is left out.

    Args:
        path: A folder with ``generic_neutral_mesh.obj``, or an npz with the keys vertices, faces,
            face_material, materials, identity, expression, expression_names and landmarks68.

    Returns:
        The model in millimetres.

    Raises:
        FaceKitError: If the path is neither, or a file of it is broken.
    """
    path = Path(path)
    if path.is_dir():
        for folder in (path, path / "FaceXModel"):
            if (folder / NEUTRAL_FILE).is_file():
                return _read_folder(folder)
        raise FaceKitError(f"{path} holds no {NEUTRAL_FILE}; give the FaceXModel folder of ICT-FaceKit")
    if not path.exists():
        raise FaceKitError(f"{path} does not exist; give the FaceXModel folder of ICT-FaceKit or an npz of it")
    return _read_npz(path)


def _read_npz(path: Path) -> IctFaceKit:
    data = read_npz(path, _ARRAYS, FaceKitError)
    with reading(path, "ICT-FaceKit", FaceKitError):
        triangles, parent = split_quads(data["faces"])
        return _checked(
            path,
            IctFaceKit(
                vertices=_millimetres(data["vertices"]),
                triangles=triangles,
                material=data["face_material"][parent].astype(np.int32),
                materials=tuple(str(name) for name in data["materials"]),
                identity=_millimetres(data["identity"]),
                expression=_millimetres(data["expression"]),
                expression_names=tuple(str(name) for name in data["expression_names"]),
                landmarks=np.asarray(data["landmarks68"], dtype=np.int32),
            ),
        )


def _read_folder(folder: Path) -> IctFaceKit:
    quads, material, materials = read_obj_faces(folder / NEUTRAL_FILE)
    neutral = read_obj_vertices(folder / NEUTRAL_FILE)
    try:
        indices = parse_json(read_bounded(folder / INDICES_FILE, error=FaceKitError))
        landmarks = np.asarray(indices["idx_to_landmark_verts"], dtype=np.int32)
        listed = [str(name) for name in indices["expressions"]]
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise FaceKitError(f"{folder / INDICES_FILE} is broken: {error!r}") from error
    names = tuple(name for name in listed if (folder / f"{name}.obj").is_file())
    identity_files: list[Path] = []
    while (file := folder / f"identity{len(identity_files):03d}.obj").is_file():
        identity_files.append(file)
    triangles, parent = split_quads(quads)
    return _checked(
        folder,
        IctFaceKit(
            vertices=_millimetres(neutral),
            triangles=triangles,
            material=material[parent],
            materials=materials,
            identity=_offsets(identity_files, neutral),
            expression=_offsets([folder / f"{name}.obj" for name in names], neutral),
            expression_names=names,
            landmarks=landmarks,
        ),
    )


def _offsets(files: Iterable[Path], neutral: NDArray[np.float64]) -> NDArray[np.float32]:
    """[M, N, 3] differences of morph targets from the neutral mesh, mm."""
    offsets = []
    for file in files:
        target = read_obj_vertices(file)
        if target.shape != neutral.shape:
            raise FaceKitError(f"{file} has {len(target)} vertices, the neutral mesh has {len(neutral)}")
        offsets.append(_millimetres(target - neutral))
    return np.stack(offsets) if offsets else np.zeros((0, *neutral.shape), np.float32)


def read_obj_vertices(path: Path) -> NDArray[np.float64]:
    """Positions of a Wavefront .obj file, [N, 3] in the file's unit.

    Raises:
        FaceKitError: If the file is missing or has a vertex line that is not three numbers.
    """
    lines = [line[2:].split()[:3] for line in _lines(path) if line.startswith("v ")]
    try:
        vertices = np.array(lines, dtype=np.float64).reshape(-1, 3)
    except ValueError as error:
        raise FaceKitError(f"{path} has a broken vertex line: {error}") from error
    if not len(vertices):
        raise FaceKitError(f"{path} has no vertices")
    return vertices


def read_obj_faces(path: Path) -> tuple[NDArray[np.int32], NDArray[np.int32], tuple[str, ...]]:
    """Polygons of a Wavefront .obj file.

    Returns:
        polygons: [P, 4] int32 vertex indices from zero, -1 as the fourth of a triangle.
        material: [P] int32 index into the third value.
        materials: Names as given by ``usemtl``, in order of first use.

    Raises:
        FaceKitError: If a face has neither three nor four corners or an index is no number.
    """
    polygons: list[list[int]] = []
    material: list[int] = []
    materials: dict[str, int] = {}
    current = 0
    for line in _lines(path):
        if line.startswith("usemtl "):
            current = materials.setdefault(line[7:].strip(), len(materials))
        elif line.startswith("f "):
            try:
                corners = [int(corner.partition("/")[0]) - 1 for corner in line[2:].split()]
            except ValueError as error:
                raise FaceKitError(f"{path} has a broken face line {line.strip()!r}") from error
            if len(corners) not in (3, 4):
                raise FaceKitError(f"{path} has a face with {len(corners)} corners, 3 or 4 are supported")
            polygons.append(corners if len(corners) == 4 else [*corners, -1])
            material.append(current)
    return (
        np.array(polygons, dtype=np.int32).reshape(-1, 4),
        np.array(material, dtype=np.int32),
        tuple(materials),
    )


def split_quads(polygons: NDArray[np.generic]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Split quads along their first diagonal.

    Args:
        polygons: [P, 4] vertex indices, -1 as the fourth of a triangle.

    Returns:
        triangles: [T, 3] int32.
        parent: [T] index of the polygon each triangle comes from.
    """
    corners = np.asarray(polygons, dtype=np.int32).reshape(-1, 4)
    quads = np.flatnonzero(corners[:, 3] >= 0)
    triangles = np.concatenate([corners[:, :3], corners[quads][:, [0, 2, 3]]])
    return triangles, np.concatenate([np.arange(len(corners)), quads])


def _lines(path: Path) -> list[str]:
    return read_bounded(path, _LONGEST_TEXT, FaceKitError).decode("utf-8", "replace").splitlines()


def _millimetres(values: NDArray[np.generic]) -> NDArray[np.float32]:
    return np.asarray(values).astype(np.float32) * np.float32(CENTIMETRE)


def _checked(path: Path, kit: IctFaceKit) -> IctFaceKit:
    """Return the kit if its arrays fit together."""
    count = len(kit.vertices)
    if missing := sorted(set(ALL_MATERIALS) - set(kit.materials)):
        raise FaceKitError(f"{path} lacks the materials {', '.join(missing)}")
    if kit.landmarks.shape != (LANDMARK_COUNT,):
        raise FaceKitError(f"{path} has {len(kit.landmarks)} landmarks, expected {LANDMARK_COUNT}")
    for name, indices in (("faces", kit.triangles), ("landmarks", kit.landmarks)):
        if indices.min(initial=0) < 0 or indices.max(initial=0) >= count:
            raise FaceKitError(f"{path}: {name} point outside the {count} vertices")
    for name, basis in (("identity", kit.identity), ("expression", kit.expression)):
        if basis.shape[1:] != kit.vertices.shape:
            raise FaceKitError(f"{path}: {name} has shape {basis.shape}, expected [*, {count}, 3]")
    for values in (kit.vertices, kit.identity, kit.expression):
        if not np.isfinite(values).all():
            raise FaceKitError(f"{path} holds numbers that are not finite")
    if len(kit.identity) == 0:
        raise FaceKitError(f"{path} has no identity shapes, at least identity000 is needed")
    return kit
