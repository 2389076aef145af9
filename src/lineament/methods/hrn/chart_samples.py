# SPDX-License-Identifier: Apache-2.0
"""What the maps' networks learn from: photos laid on the chart of the frozen analyser's mesh, with the exact maps of
synthetic faces. Each is made once and written into the run's folder.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray

from lineament.alignment.crop import FaceCrop, crop_of_landmarks
from lineament.annotations.parsing import FACE_CLASSES, MaskClass
from lineament.datasets.labelled_folder import decoded_normals, read_picture
from lineament.errors import DataError, UsageError
from lineament.files.reading import MAXIMUM_BYTES, parse_json, read_bounded
from lineament.files.writing import atomic_path, write_json
from lineament.geometry.mesh import Mesh, welded_normals
from lineament.images.resize import resized_square
from lineament.methods.hrn.analyser import Analyser
from lineament.methods.hrn.coefficients import SIZES
from lineament.methods.hrn.data import shown_alone
from lineament.methods.hrn.exact_maps import DeformationFit
from lineament.methods.hrn.head import assumed_camera, mesh_of
from lineament.methods.hrn.model import DEFORMATION
from lineament.methods.hrn.scan_fit import SCAN
from lineament.methods.hrn.texture import SIDE, charted
from lineament.models.parser.data import shaken, turned
from lineament.render.cameras import project
from lineament.rig import Rig, load_rig
from lineament.rig.posing import DISTANCE, FOCAL
from lineament.synth.chart_skin import ChartSkin
from lineament.synth.config import SynthConfig
from lineament.synth.person import RigTensors, pose_faces
from lineament.synth.random import SampleRandom
from lineament.training.picture_augment import recolour

Arrays = Mapping[str, NDArray[Any]]

_ABOUT = "about.json"


class ChartSamples:
    """Makes samples, or reads those that a folder keeps.

    Of each: ``image`` [S, S, 3] and ``texture`` [T, T, 3] uint8, ``seen`` [T, T] uint8 of 255, ``coefficients`` [K] of
    the analyser, ``face`` and ``skin`` [S, S] bool, ``landmarks`` [68, 2] shares of the side, ``visible`` [68].

    Synthetic faces have ``target`` [V, 3], where the head's vertices lie before the assumed camera, ``normals`` [V, 3]
    of the smooth head, the exact maps ``deformation`` [64, 64, 3] and ``height`` [T, T] mm.
    Photos have ``normal_map`` [S, S, 3], zero where none is.
    """

    def __init__(self, folder: Path, analyser: Analyser, size: int, seed: int, augment: bool) -> None:
        """Choose where samples are kept, and what makes them; all but the folder decide what they are.

        Raises:
            UsageError: The folder keeps samples that something else has made.
            DataError: The folder's own description is damaged.
        """
        self.folder, self.analyser, self.size = folder, analyser.eval(), size
        self.seed, self.augment = seed, augment
        self._claim()
        self.rig: Rig = load_rig()
        self._tensors = RigTensors.of(self.rig, torch.device("cpu"))
        self._skin = ChartSkin(self.rig, SIDE)
        self._fit = DeformationFit(self.rig, DEFORMATION)

    def synthetic(self, name: str, sample: Mapping[str, Any], made_by: SynthConfig) -> Arrays:
        """The sample of a line of a synthetic dataset; ``name`` is its own in the folder."""
        return self._kept(name, lambda: self._synthetic(name, sample, made_by))

    def scan(self, name: str, folder: Path) -> Arrays:
        """The sample of a folder that `lineament scan-fit` wrote: labels are those of a synthetic face."""
        return self._kept(name, lambda: self._scan(name, folder))

    def photo(self, name: str, sample: Mapping[str, Any]) -> Arrays:
        """The sample of a line of a folder of labelled photos."""
        return self._kept(name, lambda: self._photo(name, sample))

    def _claim(self) -> None:
        """Say in the folder what its samples are made by, or hold it to what it says."""
        digest = hashlib.sha256()
        for name, value in sorted(self.analyser.state_dict().items()):
            digest.update(name.encode() + value.numpy().tobytes())
        about = {"analyser": digest.hexdigest(), "size": self.size, "seed": self.seed, "augment": self.augment}
        path = self.folder / _ABOUT
        try:
            before = parse_json(read_bounded(path, error=DataError)) if path.exists() else about
        except ValueError as error:
            raise DataError(f"{path} is damaged ({error}); delete its folder, and it is made again") from error
        if before != about:
            changed = [name for name in about if not isinstance(before, dict) or before.get(name) != about[name]]
            raise UsageError(f"{self.folder} keeps faces of another {changed[0]}; choose another folder with --charts")
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(path, about)

    def _kept(self, name: str, make: Callable[[], Arrays]) -> Arrays:
        path = self.folder / f"{name}.npz"
        if path.exists():
            return _read(path)
        arrays: Arrays = make()
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
        return arrays

    def _synthetic(self, name: str, sample: Mapping[str, Any], made_by: SynthConfig) -> Arrays:
        landmarks = np.array(sample["landmarks"])
        image, mask = read_picture(sample["files"]["image"]), read_picture(sample["files"]["mask"])
        crop, arrays = self._cropped(name, image, mask, landmarks, np.array(sample["visible"]))
        draws = SampleRandom(made_by.seed, [sample["index"]])
        own = SampleRandom(made_by.seed + 0x5EED, [sample["person"]])
        face = pose_faces(self._tensors, made_by, draws, own)
        pixels = project(face.vertices, face.camera)[0][0, :, :2].double().numpy()
        vertices, normals = (each[0].double().numpy() for each in (face.vertices, face.normals))
        height = self._skin.height(own, face.expression, made_by)[0, 0].numpy()
        return {**arrays, **self._exact(crop, arrays, vertices, normals, pixels, height)}

    def _scan(self, name: str, folder: Path) -> Arrays:
        image, mask = (read_picture(folder / f"{kind}.png") for kind in ("image", "mask"))
        scan = _read(folder / SCAN)
        crop, arrays = self._cropped(name, image, mask, scan["landmarks"], scan["visible"])
        vertices = scan["vertices"].astype(np.float64)
        normals = welded_normals(Mesh(vertices, self.rig.faces.astype(np.int64)), self.rig.weld())
        return {**arrays, **self._exact(crop, arrays, vertices, normals, scan["places"], scan["height"])}

    def _exact(
        self,
        crop: FaceCrop,
        arrays: Arrays,
        vertices: NDArray[np.float64],
        normals: NDArray[np.float64],
        pixels: NDArray[np.float64],
        height: NDArray[np.floating],
    ) -> dict[str, NDArray[Any]]:
        """What is known of a head whose vertices are, in the picture's camera frame and in its pixels."""
        upright = turned(np.eye(3), crop)
        mesh = mesh_of(self.rig, self._named(arrays["coefficients"]))
        middle = float(mesh.vertices[self._fit.vertices, 2].mean()) + DISTANCE
        places = crop.to_crop(pixels) / crop.size
        target = before_assumed_camera(vertices @ upright.T, places, middle, self._fit.vertices)
        return {
            "target": target,
            "deformation": self._fit(target - (mesh.vertices + np.array([0.0, 0.0, DISTANCE]))).astype(np.float16),
            "normals": (normals @ upright.T).astype(np.float16),
            "height": height.astype(np.float16),
        }

    def _photo(self, name: str, sample: Mapping[str, Any]) -> Arrays:
        files = sample["files"]
        image, mask, normals = (read_picture(files[kind]) for kind in ("image", "mask", "normals"))
        known = decoded_normals(normals)
        crop, arrays = self._cropped(name, image, mask, np.array(sample["landmarks"]), np.array(sample["visible"]))
        seen = crop.normals_from_photo(np.ascontiguousarray(known, np.float32))
        return {**arrays, "normal_map": seen.astype(np.float16)}

    def _cropped(
        self,
        name: str,
        image: NDArray[np.uint8],
        mask: NDArray[np.uint8],
        landmarks: NDArray[np.float64],
        visible: NDArray[np.bool_],
    ) -> tuple[FaceCrop, dict[str, NDArray[Any]]]:
        """The crop, and what is taken from it alone."""
        random = np.random.default_rng((self.seed, *name.encode()))
        crop = crop_of_landmarks(landmarks, self.size)
        if self.augment:
            crop = shaken(crop, random, loose=False)
        picture = crop.extract(np.ascontiguousarray(image))
        if self.augment:
            picture = recolour(picture, random)
        coefficients = self._analysed(picture)
        photo = charted(picture, mesh_of(self.rig, self._named(coefficients)), assumed_camera(self.size))
        return crop, {
            "image": picture,
            "texture": photo.texture,
            "seen": np.rint(255.0 * photo.seen).astype(np.uint8),
            "coefficients": coefficients,
            "face": shown_alone(mask, FACE_CLASSES, crop),
            "skin": shown_alone(mask, (MaskClass.SKIN, MaskClass.BROWS), crop),
            "landmarks": (crop.to_crop(landmarks) / crop.size).astype(np.float32),
            "visible": visible,
        }

    @torch.no_grad()
    def _analysed(self, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The analyser's answer, all numbers in one row."""
        small = resized_square(picture, self.analyser.config.crop_size)
        found = self.analyser(torch.from_numpy(small).permute(2, 0, 1)[None].float() / 255)
        return torch.cat([found[key][0] for key in SIZES]).numpy()

    @staticmethod
    def _named(coefficients: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        ends = np.cumsum(list(SIZES.values()))[:-1]
        return dict(zip(SIZES, np.split(coefficients, ends), strict=True))


def before_assumed_camera(
    vertices: NDArray[np.float64], places: NDArray[np.float64], middle: float, chart: NDArray[np.integer]
) -> NDArray[np.float32]:
    """A head stood before the assumed camera so that its picture stays what it is.

    Every vertex keeps its place in the crop; depth keeps its proportion to the picture's scale. The paper aligns scans
    to their photos, too, and does not say how.

    Args:
        vertices: [V, 3] mm in the crop's frame, from any zero.
        places: [V, 2] where they lie in the crop, shares of its side.
        middle: Mean z of the face in the frame that the assumed camera stands 1000 mm before.
        chart: The face's vertices.

    Returns:
        [V, 3] mm in that frame.
    """
    flat, seen = (each[chart] - each[chart].mean(0) for each in (vertices[:, :2], places))
    true_scale = np.sqrt(np.square(seen).sum() / np.square(flat).sum())  # shares of the side per mm
    larger = true_scale * (DISTANCE - middle) / FOCAL
    z = middle + larger * (vertices[:, 2] - vertices[chart, 2].mean())
    away = (DISTANCE - z) / FOCAL
    return np.stack([(places[:, 0] - 0.5) * away, (0.5 - places[:, 1]) * away, z], axis=1).astype(np.float32)


def _read(path: Path) -> Arrays:
    try:
        with np.load(io.BytesIO(read_bounded(path, MAXIMUM_BYTES, DataError)), allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (ValueError, OSError, EOFError, BadZipFile) as error:
        raise DataError(f"{path} is damaged ({error}); delete it, and it is made again") from error
