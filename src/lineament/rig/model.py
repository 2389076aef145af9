# SPDX-License-Identifier: Apache-2.0
"""The linear face model: a mean head plus identity and expression offsets, with named skin regions.

Rig frame: millimetres, right-handed, x to the subject's left (the image's right when the face looks at the
camera), y up, z out of the face, origin midway between the ears. Left and right are the subject's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lineament.errors import RigError

Float32 = NDArray[np.float32]

LANDMARK_COUNT = 68
"""Number of landmarks in the iBUG order (jaw, brows, nose, eyes, outer lips, inner lips)."""


CONTOUR = 17
"""Landmarks of the jaw, which come first and slide (`lineament.rig.landmarks`)."""


class Part(IntEnum):
    """What a vertex or a triangle of the rig belongs to."""

    FACE = 0
    SCALP = 1
    EAR = 2
    NECK = 3
    EYE_LEFT = 4
    EYE_RIGHT = 5
    MOUTH = 6
    TEETH = 7


class RigShapeError(RigError):
    """Raised when the arrays of a rig do not fit together."""


@dataclass(frozen=True, eq=False)
class Rig:
    """A linear face model: ``mean + identity coefficients · identity + expression weights · expression``.

    Attributes:
        mean: [V, 3] mean vertices, mm, rig frame.
        faces: [F, 3] int32 triangles, counter-clockwise seen from outside.
        uv: [V, 2] one chart in [0, 1]², v up, origin bottom left; a seam has duplicated vertices.
        part: [V] uint8 values of `Part`.
        face_part: [F] uint8 values of `Part`.
        identity: [K, V, 3] offsets in mm for one standard deviation; the coefficients are N(0, 1).
        identity_std: [K] rms offset of each component over the face, mm.
        expression: [E, V, 3] offsets in mm at weight 1; weights lie in [0, 1].
        expression_names: E names, ARKit's with the side as ``_L`` or ``_R``.
        expression_std: [E] standard deviation of each weight over plausible expressions.
        landmarks: [68] int32 vertex indices in the iBUG order; the subject's right side comes first.
        eye_centre: [2, 3] centres of the mean's eyeballs (left, right), mm.
        eye_radius: [2] radii of the mean's eyeballs (left, right), mm.
        iris_radius: radius of the iris, mm.
        face_uv: [V, 2] a chart of the face alone that fills [0, 1]², v up; zero off it (`lineament.rig.face_chart`).
        on_chart: [F] bool, the triangles of that chart.
        contour: [17, C] int32 vertices along which the jaw's landmarks slide, the fixed one in the middle.
        albedo_mean: [V, 3] linear reflectance.
        albedo: [A, V, 3] its offsets for one standard deviation; the coefficients are N(0, 1). A is 0 where the rig
            was built without skin.
        regions: name -> [V] fields on the mean: signed distances in mm, or weights in [0, 1].
        metadata: provenance and the notice of the licence of the data, written into the file.

    Raises:
        RigShapeError: If an array has the wrong shape or an index is out of range.
    """

    mean: Float32
    faces: NDArray[np.int32]
    uv: Float32
    part: NDArray[np.uint8]
    face_part: NDArray[np.uint8]
    identity: Float32
    identity_std: Float32
    expression: Float32
    expression_names: tuple[str, ...]
    expression_std: Float32
    landmarks: NDArray[np.int32]
    eye_centre: Float32
    eye_radius: Float32
    iris_radius: float
    face_uv: Float32
    on_chart: NDArray[np.bool_]
    contour: NDArray[np.int32]
    albedo_mean: Float32
    albedo: Float32
    regions: Mapping[str, Float32]
    metadata: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        vertices, triangles = len(self.mean), len(self.faces)
        expressions, components = len(self.expression_names), len(self.identity)
        expected: dict[str, tuple[int, ...]] = {
            "mean": (vertices, 3),
            "faces": (triangles, 3),
            "uv": (vertices, 2),
            "part": (vertices,),
            "face_part": (triangles,),
            "identity": (components, vertices, 3),
            "identity_std": (components,),
            "expression": (expressions, vertices, 3),
            "expression_std": (expressions,),
            "landmarks": (LANDMARK_COUNT,),
            "eye_centre": (2, 3),
            "eye_radius": (2,),
            "face_uv": (vertices, 2),
            "on_chart": (triangles,),
            "contour": (CONTOUR, self.contour.shape[-1]),
            "albedo_mean": (vertices, 3),
            "albedo": (len(self.albedo), vertices, 3),
        }
        arrays = {name: getattr(self, name) for name in expected}
        arrays.update({f"regions[{name!r}]": values for name, values in self.regions.items()})
        for name, array in arrays.items():
            shape = expected.get(name, (vertices,))
            if array.shape != shape:
                raise RigShapeError(f"rig: {name} has shape {array.shape}, expected {shape}")
        for name in ("faces", "landmarks", "contour"):
            indices = arrays[name]
            if indices.size and not (indices.min() >= 0 and indices.max() < vertices):
                raise RigShapeError(
                    f"rig: {name} holds vertex indices {indices.min()}..{indices.max()}, allowed are 0..{vertices - 1}"
                )

    @property
    def vertex_count(self) -> int:
        """Number of vertices V."""
        return len(self.mean)

    @property
    def identity_count(self) -> int:
        """Number of identity components K."""
        return len(self.identity)

    @property
    def albedo_count(self) -> int:
        """Number of albedo components A."""
        return len(self.albedo)

    @property
    def expression_count(self) -> int:
        """Number of expressions E."""
        return len(self.expression)

    def weld(self) -> NDArray[np.int64]:
        """Join the two sides of the chart's seam.

        Returns:
            [V] index of the first vertex at the same place in the same part, itself where there is none
            before it. Summing face normals over welded vertices makes the seam invisible.
        """
        keys = np.column_stack([np.round(self.mean * 1e3).astype(np.int64), _weld_group(self.part)])
        _, first, inverse = np.unique(keys, axis=0, return_index=True, return_inverse=True)
        return np.asarray(first[inverse.reshape(-1)], dtype=np.int64)

    def vertices(self, identity: ArrayLike | None = None, expression: ArrayLike | None = None) -> Float32:
        """Evaluate the model.

        Args:
            identity: [K] or [B, K] coefficients, N(0, 1) over people; fewer than K leave the rest at zero.
            expression: [E] or [B, E] weights in [0, 1]; fewer than E leave the rest at zero.

        Returns:
            [V, 3] when both arguments are vectors (or None), otherwise [B, V, 3]; mm, rig frame, float32.

        Raises:
            RigShapeError: If there are more coefficients than components or the batch sizes differ.
        """
        result = self.mean[None]
        batched = False
        for name, coefficients, basis in (
            ("identity", identity, self.identity),
            ("expression", expression, self.expression),
        ):
            if coefficients is None:
                continue
            values = np.asarray(coefficients, dtype=np.float32)
            batched |= values.ndim == 2
            values = np.atleast_2d(values)
            if values.ndim != 2 or values.shape[1] > len(basis):
                raise RigShapeError(
                    f"rig: {name} coefficients have shape {values.shape}, "
                    f"expected [{len(basis)}] or [batch, {len(basis)}] or fewer components"
                )
            offsets = values @ basis[: values.shape[1]].reshape(values.shape[1], -1)
            offsets = offsets.reshape(len(values), -1, 3)  # [B, V, 3]
            if len(result) > 1 and len(offsets) > 1 and len(result) != len(offsets):
                raise RigShapeError(
                    f"rig: {len(result)} identities and {len(offsets)} expressions; give equal numbers or one"
                )
            result = result + offsets
        result = np.ascontiguousarray(result, dtype=np.float32)
        return result if batched else result[0]


def _weld_group(part: NDArray[np.uint8]) -> NDArray[np.int64]:
    """[V] one number for all skin and one for every other part: welding never joins skin to an eye."""
    return np.where(part <= Part.NECK, 0, part).astype(np.int64)
