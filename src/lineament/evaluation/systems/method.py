# SPDX-License-Identifier: Apache-2.0
"""Our own methods under test: the estimator that users run, with its options and with what a benchmark gives."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from lineament.datasets.sample import Sample
from lineament.errors import NoFaceError
from lineament.evaluation.systems.framing import Framing
from lineament.evaluation.systems.settings import Settings
from lineament.evaluation.systems.system import Floats, Frame, System
from lineament.face import detect_faces
from lineament.face.detect import largest
from lineament.geometry.mesh import Mesh
from lineament.inference.multiview import FitOptions
from lineament.methods.discovery import all_methods
from lineament.pipeline.multiview import fit_of, fitted
from lineament.rig import shipped_rig

if TYPE_CHECKING:
    from lineament.pipeline.estimator import Estimator
    from lineament.result.geometry import FaceGeometry


class MethodSystem(System):
    """An estimator with its options."""

    def __init__(self, name: str, estimator: Estimator, settings: Settings) -> None:
        super().__init__(name)
        self.estimator, self.settings = estimator, settings
        self._detector = Framing(settings.padding) if settings.crop == "given" else largest(detect_faces)
        self._last: tuple[Sample, FaceGeometry | NoFaceError] | None = None

    def normals(self, sample: Sample) -> list[Floats]:
        """Normals [H, W, 3] per stage, zero outside the crop or the estimated mask (`Settings.counted`).

        Raises:
            NoFaceError: None was found.
        """
        face = self._face(sample)
        if self.settings.counted == "labels":
            # Nothing but the mask keeps the estimator from answering on the whole crop.
            face = replace(face, region=replace(face.region, mask=np.ones_like(face.region.mask)))
        return [face.stage(number) for number in range(len(face.stages))]

    def depth(self, sample: Sample) -> Floats:
        """The face's depth in pixels: the method's own where it has one; not a number outside the estimated mask.

        Raises:
            NoFaceError: None was found, or no pixel of the crop is one.
        """
        face = self._seen(sample)
        return np.where(face.mask, face.depth, np.float32(np.nan))

    def mesh(self, sample: Sample, frame: Frame = "millimetres") -> Mesh:
        """The face's mesh, in millimetres of an average adult's head with the origin in the middle of the crop.

        Raises:
            NoFaceError: None was found, or no pixel of the crop is one.
            UsageError: A mesh in a perspective camera is asked for; the estimator assumes scaled orthography.
        """
        if frame == "camera":
            raise self._gives_no("meshes in a perspective camera")
        face = self._seen(sample)
        mesh = face.mesh()
        if frame == "millimetres":
            return mesh
        height, width = sample.image.shape[:2]
        pixels = mesh.vertices * face.surface.scale
        middle = np.array([0.5 * width, 0.5 * height])
        pixels[:, :2] += (np.array(face.crop.centre) - middle) * np.array([1.0, -1.0])
        return replace(mesh, vertices=pixels / (0.5 * max(height, width)))

    def picture(self, sample: Sample) -> NDArray[np.uint8]:
        """The photo with the restored face in it, of a method that restores photos.

        Raises:
            NoFaceError: None was found, or no pixel of the crop is one.
            UsageError: The method restores no photos.
        """
        if not self._restores:
            raise self._gives_no("rendered pictures")
        face = self._seen(sample)
        height, width = sample.image.shape[:2]
        crop, picture = face.crop.at(len(face.restored)), sample.image.copy()
        x, y, w, h = crop.place(height, width)
        place = slice(y, y + h), slice(x, x + w)
        restored = np.rint(crop.paste(face.restored.astype(np.float32), height, width)).clip(0, 255).astype(np.uint8)
        np.copyto(picture[place], restored, where=face.mask[place][..., None])
        return picture

    def views(self, sample: Sample) -> list[NDArray[np.uint8]]:
        """The restored face from its own side, the front, and ±45° of yaw and pitch.

        Raises:
            NoFaceError: None was found, or no pixel of the crop is one.
            UsageError: The method restores no photos.
        """
        if not self._restores:
            raise self._gives_no("rendered views")
        return self._seen(sample).views()

    @property
    def _restores(self) -> bool:
        """Whether the method restores photos."""
        method = all_methods().get(self.estimator.predictor.FORMAT.name)
        return method is not None and method.restores

    def landmarks(self, sample: Sample) -> NDArray[np.float64]:
        """The photo's 68 landmarks (iBUG) lifted onto the mesh, [68, 3].

        Each takes the depth of the vertex that is seen nearest to it, also beyond the mesh's outline.

        Raises:
            NoFaceError: None was found, or no pixel of the crop is one.
        """
        vertices = self.mesh(sample).vertices
        face = self._seen(sample)
        across = (face.landmarks - np.array(face.crop.centre)) * np.array([1.0, -1.0]) / face.surface.scale
        _, nearest = cKDTree(vertices[:, :2]).query(across)
        return np.column_stack([across, vertices[nearest, 2]])

    def person(self, samples: Sequence[Sample], naive: bool = False) -> tuple[Mesh, NDArray[np.float64]]:
        """The head that is fitted to the photos, if the method fits heads; else the first photo's.

        Photos without a face are left out.

        Raises:
            NoFaceError: None was found in any of them.
        """
        faces = []
        for sample in samples:
            with suppress(NoFaceError):
                faces.append((sample, self._seen(sample)))
        if not faces:
            raise NoFaceError(f"{samples[0].name}: no face found, nor in the other photos of the person")
        if len(faces) == 1 or all_methods()[self.estimator.predictor.FORMAT.name].multiview is None:
            return super().person([faces[0][0]])
        options = FitOptions(steps=0) if naive else FitOptions()
        names = [sample.name for sample, _ in faces]
        person = fitted(names, [face for _, face in faces], fit_of(self.estimator), options)
        mesh = person.head.mesh
        return mesh, mesh.vertices[shipped_rig().landmarks]

    def about(self) -> dict[str, Any]:
        """The weights' hash, and the settings."""
        return {"weights_sha256": self.estimator.predictor.sha256, "settings": asdict(self.settings)}

    def _face(self, sample: Sample) -> FaceGeometry:
        """The face; of the last sample it is kept, since some protocols ask for several of its quantities."""
        if self._last is None or self._last[0] is not sample:
            try:
                (face,) = self.estimator.estimate(sample.image, faces=self._detector, options=self.settings.options)
                self._last = sample, face
            except NoFaceError as error:
                self._last = sample, error
        answer = self._last[1]
        if isinstance(answer, NoFaceError):
            raise answer
        return answer

    def _seen(self, sample: Sample) -> FaceGeometry:
        """The face, of which something is seen."""
        face = self._face(sample)
        if not face.region.in_crop.any():
            raise NoFaceError(f"{sample.name}: no pixel of the crop is taken for a face")
        return face


def method_system(name: str, settings: Settings) -> MethodSystem:
    """One of our methods: a name, that of weights that ship, or a file of weights.

    Raises:
        WeightsError: No such weights, or damaged ones.
    """
    from lineament.pipeline.estimator import load

    shown = Path(name).stem if name.endswith(".safetensors") else name
    return MethodSystem(shown, load(name, options=settings.options), settings)
