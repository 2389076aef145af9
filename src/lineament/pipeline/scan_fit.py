# SPDX-License-Identifier: Apache-2.0
"""A scan and a photo of one face, fitted by the model: labels from which a method's networks learn real detail."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lineament.annotations.parsing import MaskClass
from lineament.datasets.meshes import picture_of, read_mesh, view_mesh
from lineament.errors import DataError, InputError
from lineament.face import detect_faces, parse_face
from lineament.face.detect import largest
from lineament.files.result_folder import result_folder
from lineament.files.writing import write_json
from lineament.geometry.camera import Perspective
from lineament.geometry.mesh import Mesh
from lineament.images.mesh import write_mesh
from lineament.images.write import write_png
from lineament.methods.hrn.scan_fit import SCAN, FittedScan, fit_scan
from lineament.methods.hrn.texture import SIDE
from lineament.pipeline.estimator import Photo, load
from lineament.pipeline.multiview import largest_face
from lineament.pipeline.options import Options
from lineament.result.geometry import FaceGeometry
from lineament.result.head_detail import raised
from lineament.result.head_texture import parse_of_crop
from lineament.rig import shipped_rig
from lineament.rig.face_chart import ChartGrid
from lineament.rig.posing import FOCAL

CROP = 512
"""Pixels of the photo's crop that is written."""

_VIEW = 512  # pixels of the picture of the scan in which landmarks are looked for
_SEEN = 0.5  # probability from which a landmark counts as seen
_SKIN = (int(MaskClass.SKIN), int(MaskClass.BROWS))
_FROM_OPENCV = np.diag([1.0, -1.0, -1.0])  # its y runs down and its z away


@dataclass(frozen=True)
class ScanInPhoto:
    """A fitted scan before the camera of its photo."""

    fitted: FittedScan
    face: FaceGeometry
    rotation: NDArray[np.float64]
    """[3, 3] from the head's frame to the photo's camera frame."""
    translation: NDArray[np.float64]
    """[3] mm."""
    camera: Perspective
    """Of the photo's pixels."""
    landmark_error: float
    """Median distance of the photo's visible landmarks from the head's, pixels of the crop of `CROP`."""

    @property
    def vertices(self) -> NDArray[np.float64]:
        """[V, 3] mm of the smooth head in the photo's camera frame."""
        return np.asarray(self.fitted.vertices @ self.rotation.T + self.translation)

    def height(self) -> NDArray[np.float32]:
        """[T, T] mm of relief; zero where the scan says nothing, or the photo shows hair, glasses, eyes or a hand."""
        parse = parse_of_crop(self.face.region, CROP)
        grid = ChartGrid.of(shipped_rig(), SIDE)
        places = self.face.crop.at(CROP).to_crop(self.camera.project(grid.of_vertices(self.vertices).reshape(-1, 3)))
        column, row = np.floor(places).astype(np.int64).T
        inside = (column >= 0) & (column < CROP) & (row >= 0) & (row < CROP)
        shown = inside & np.isin(parse[row.clip(0, CROP - 1), column.clip(0, CROP - 1)], _SKIN)
        return np.where(shown.reshape(SIDE, SIDE), self.fitted.displacement, np.float32(0))

    def save(self, folder: Path) -> None:
        """Write what trainings read, the fitted head, and how it was fitted; the folder appears whole or not at all."""
        rig, fitted, crop = shipped_rig(), self.fitted, self.face.crop.at(CROP)
        head = Mesh(fitted.vertices, rig.faces.astype(np.int64))
        with result_folder(folder) as temporary:
            write_png(temporary / "image.png", crop.extract(self.face.photo))
            write_png(temporary / "mask.png", parse_of_crop(self.face.region, CROP))
            arrays: dict[str, Any] = {
                "vertices": (self.vertices @ crop.camera_turn).astype(np.float32),
                "places": crop.to_crop(self.camera.project(self.vertices)).astype(np.float32),
                "height": self.height(),
                "landmarks": crop.to_crop(self.face.landmarks),
                "visible": self.face.visibility > _SEEN,
            }
            with (temporary / SCAN).open("wb") as file:
                np.savez(file, **arrays)
            write_mesh(temporary / "head.ply", raised(head, fitted.displacement))
            write_json(temporary / "scan.json", self._described())

    def _described(self) -> dict[str, Any]:
        fitted = self.fitted
        return {
            "identity": np.round(fitted.identity, 5).tolist(),
            "expression": dict(
                zip(shipped_rig().expression_names, np.round(fitted.expression, 5).tolist(), strict=True)
            ),
            "scan_to_head": {
                "scale": fitted.motion.scale,
                "rotation": np.round(fitted.motion.rotation, 6).tolist(),
                "translation": np.round(fitted.motion.translation, 3).tolist(),
            },
            "head_to_camera": {
                "rotation": np.round(self.rotation, 6).tolist(),
                "translation": np.round(self.translation, 3).tolist(),
            },
            "focal_length": round(self.camera.focal_length, 3),
            "distance_mm": round(fitted.distance, 4),
            "landmark_error_px": round(self.landmark_error, 2),
            "known": round(float(fitted.known.mean()), 4),
            "units": "mm; pixels of image.png for the landmarks, of the photo for the focal length",
        }


def scan_in_photo(
    scan: Path, photo: Photo, landmarks: NDArray[np.float64] | None = None, focal_length: float | None = None
) -> ScanInPhoto:
    """Fit the model to a scan, and place it in a photo that was taken with it.

    Args:
        scan: OBJ, PLY, STL, OFF or WRL file, of any unit.
        photo: As `lineament.estimate` takes it.
        landmarks: [68, 3] on the scan; without them they are looked for in a picture of it, which must face
            +z, its y up.
        focal_length: Of the photo, pixels; the assumed camera's by default.

    Raises:
        DataError: A scan that cannot be read or that no head comes near to.
        NoFaceError: A photo without a face.
        InputError: A photo that does not show what the scan does.
    """
    mesh = read_mesh(scan)
    marks = landmarks_of(mesh, str(scan)) if landmarks is None else landmarks
    fitted = fit_scan(mesh, marks, shipped_rig())
    face = largest_face(load(options=Options(second_view=False, stages=0)), photo)
    camera = Perspective(focal_length or FOCAL * face.crop.side, face.crop.centre)
    return _placed(fitted, face, camera)


def landmarks_of(mesh: Mesh, name: str) -> NDArray[np.float64]:
    """Landmarks [68, 3] on a scan that looks along +z, found in a grey picture of it; not a number where hidden.

    Raises:
        DataError: No face is seen on it.
        UsageError: The extra packages of evaluation are missing.
    """
    view = view_mesh(mesh, _VIEW)
    picture = picture_of(view, mesh, None)
    faces = largest(detect_faces)(picture)
    if not faces:
        raise DataError(f"{name}: no face is seen from its front (z towards the viewer, y up): give --landmarks")
    face = parse_face(picture, faces[0])
    assert face.parsing is not None
    column, row = np.floor(face.parsing.landmarks).astype(np.int64).clip(0, _VIEW - 1).T
    triangle = view.triangle[row, column]
    found = (mesh.vertices[mesh.triangles[triangle.clip(0)]] * view.weights[row, column][..., None]).sum(1)
    hidden = (triangle < 0) | (face.parsing.visibility < _SEEN)
    return np.where(hidden[:, None], np.nan, found)


def read_landmarks(path: Path) -> NDArray[np.float64]:
    """Landmarks [68, 3] of a text file: 68 lines of x, y and z, with spaces or commas between; nan where not known.

    Raises:
        DataError: It cannot be read, or holds something else.
    """
    try:
        values = np.loadtxt(path, np.float64, delimiter="," if "," in path.read_text() else None)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} holds no landmarks: {' '.join(str(error).split())}") from error
    if values.shape != (68, 3):
        raise DataError(f"{path} must hold 68 lines of x, y and z, not {'×'.join(map(str, values.shape))} numbers")
    return values


def _placed(fitted: FittedScan, face: FaceGeometry, camera: Perspective) -> ScanInPhoto:
    """The pose in which the head's landmarks come nearest to the photo's."""
    marks = fitted.vertices[shipped_rig().landmarks]
    seen = face.visibility > _SEEN
    if seen.sum() < 6:
        raise InputError("the photo shows too few landmarks of the face to tell how the head stands")
    (x, y), focal = camera.centre, camera.focal_length
    matrix = np.array([[focal, 0.0, x], [0.0, focal, y], [0.0, 0.0, 1.0]])
    found, turn, shift = cv2.solvePnP(marks[seen], face.landmarks[seen], matrix, None, flags=cv2.SOLVEPNP_SQPNP)
    if found:
        found, turn, shift = cv2.solvePnP(
            marks[seen], face.landmarks[seen], matrix, None, turn, shift, True, cv2.SOLVEPNP_ITERATIVE
        )
    if not found or shift[2, 0] <= 0:
        raise InputError("the scan cannot be placed in the photo: do both show one face?")
    rotation = np.asarray(_FROM_OPENCV @ cv2.Rodrigues(turn)[0], np.float64)
    translation = np.asarray(_FROM_OPENCV @ shift[:, 0], np.float64)
    places = camera.project(marks @ rotation.T + translation)
    error = float(np.median(np.linalg.norm(places - face.landmarks, axis=1)[seen])) * CROP / face.crop.side
    return ScanInPhoto(fitted, face, rotation, translation, camera, error)
