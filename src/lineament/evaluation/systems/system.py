# SPDX-License-Identifier: Apache-2.0
"""What a system under test is, whoever made it: one interface for methods, peers and stored predictions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lineament.datasets.sample import Sample
from lineament.errors import UsageError
from lineament.geometry.integration import normals_to_depth
from lineament.geometry.mesh import Mesh

Floats = NDArray[np.float32]

Frame = Literal["millimetres", "picture", "camera"]
"""Where a benchmark wants a mesh.

"millimetres": axes of the camera frame, any origin, a head's true or average size. "picture": FaceScape's orthographic
camera, which sees [-1, 1] across the picture. "camera": FaceScape's perspective camera, in distances of pupils.
"""


class System:
    """Something that answers for a sample; it may use nothing of it but ``image``, ``name`` and ``subject``.

    Each kind of system gives what it can. All methods raise UsageError for what it never gives, NoFaceError where it
    finds no face in this photo (a protocol says what that counts), and InputError for an answer that cannot be used.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        """In reports."""

    def normals(self, sample: Sample) -> list[Floats]:
        """Unit normals [H, W, 3] in the camera frame, one map per stage, the last the answer; zero for no answer."""
        raise self._gives_no("normals")

    def depth(self, sample: Sample) -> Floats:
        """Depth [H, W], larger nearer, of any unit and origin; not a number where there is no answer."""
        raise self._gives_no("depth")

    def mesh(self, sample: Sample, frame: Frame = "millimetres") -> Mesh:
        """The face's surface."""
        raise self._gives_no("meshes")

    def landmarks(self, sample: Sample) -> NDArray[np.float64]:
        """Landmarks [K, 3] of `mesh`, in its frame of millimetres."""
        raise self._gives_no("landmarks of meshes")

    def person(self, samples: Sequence[Sample], naive: bool = False) -> tuple[Mesh, NDArray[np.float64]]:
        """One head of several photos of a person: its surface, and its landmarks [K, 3] in the same frame.

        A system that knows single photos answers for the first; stored predictions are kept under its name.

        Args:
            samples: The photos.
            naive: Average what single photos give, for systems that could do better.
        """
        return self.mesh(samples[0]), self.landmarks(samples[0])

    def picture(self, sample: Sample) -> NDArray[np.uint8]:
        """The photo rendered again [H, W, 3] from the estimated shape, texture and light."""
        raise self._gives_no("rendered pictures")

    def views(self, sample: Sample) -> list[NDArray[np.uint8]]:
        """The estimated face rendered in other poses, [H, W, 3] each."""
        raise self._gives_no("rendered views")

    def about(self) -> dict[str, Any]:
        """What else a report should say of it in JSON, such as the hash of its weights and its options."""
        return {}

    def _gives_no(self, wanted: str) -> UsageError:
        return UsageError(f"{self.name} estimates no {wanted}; give a folder of them with --predictions")


class NormalsSystem(System):
    """A function from samples to normals; depth is integrated from the last map, as the estimator does."""

    def __init__(self, name: str, normals: Callable[[Sample], list[Floats]]) -> None:
        super().__init__(name)
        self._normals = normals

    def normals(self, sample: Sample) -> list[Floats]:
        """Normals [H, W, 3] per stage."""
        return self._normals(sample)

    def depth(self, sample: Sample) -> Floats:
        """Depth [H, W] in pixels, integrated where there is a normal; not a number elsewhere."""
        normals = self.normals(sample)[-1]
        known = (normals != 0).any(axis=2)
        return np.where(known, normals_to_depth(normals, known, "least_squares"), np.float32(np.nan))
