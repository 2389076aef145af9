# SPDX-License-Identifier: Apache-2.0
"""L2R on ONNX Runtime and NumPy (no torch): the proxy and the restored texture, what the photo sees of it, the refined
shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lineament.geometry.mesh import grid_triangles
from lineament.geometry.raster import rasterize
from lineament.images.inpaint import sampled
from lineament.images.resize import resized_square
from lineament.inference.graphs import as_input
from lineament.inference.predictor import Prediction, Predictor
from lineament.methods.l2r.camera import (
    HALF,
    MOST_SHIFT,
    MOST_TURN,
    PROXY_SIZE,
    UNIT,
)
from lineament.methods.l2r.method import METHOD

Float32 = NDArray[np.float32]


class L2RPredictor(Predictor):
    """Stage 0 is the proxy, stage 1 the refined shape."""

    FORMAT = METHOD.weights_format
    MOST_STAGES = METHOD.most_stages
    TAKES_EXEMPLARS = METHOD.takes_exemplars
    GRAPHS: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "restoring": ("proxy.", "restoration."),
        "refining": ("refinement.",),
    }

    def run(
        self,
        crops: NDArray[np.uint8],
        stages: int | None = None,
        exemplars: NDArray[np.float32] | None = None,
    ) -> Prediction:
        """See `Predictor.run`; no exemplars. Crops may have any size: the networks see them at their own."""
        stages = self.MOST_STAGES if stages is None else stages
        self.check(crops, stages, exemplars)
        side, own = crops.shape[1], self.size
        image = as_input(crops if side == own else np.stack([resized_square(crop, own) for crop in crops]))
        count = len(crops)
        small, large = (count, 1, PROXY_SIZE, PROXY_SIZE), (count, 3, own, own)
        shapes: list[tuple[int, ...]] = [
            small,
            (count, 3, PROXY_SIZE, PROXY_SIZE),
            (count, 4),
            (count, 6),
            large,
            large,
        ]
        found = self._graphs["restoring"].run({"image": image}, shapes)
        distance, normals, light, view, albedo, texture = found
        points = distance * _rays(PROXY_SIZE)
        scale = self.config["warp_scale"]
        seen = [Seen.of(coarse(one, scale), turn, side) for one, turn in zip(points, view, strict=True)]
        shapes_seen = [[one.shape(p, n, v)] for one, p, n, v in zip(seen, points, normals, view, strict=True)]
        kappas: tuple[Float32, ...] = ()
        if stages:
            if side != own:
                seen = [Seen.of(coarse(one, scale), turn, own) for one, turn in zip(points, view, strict=True)]
            original = np.stack([one.sample(t) for one, t in zip(seen, texture, strict=True)])
            given = {"image": image, "distance": distance, "light": light, "albedo": albedo, "texture": texture}
            given["original"] = np.ascontiguousarray(original.transpose(0, 3, 1, 2))
            learned = self.config["concentration"] == "learned"
            shapes = [*[large] * 3, *[(count, 1, own, own)] * learned]
            points, normals, texture, *kappa = self._graphs["refining"].run(given, shapes)
            finer = scale * own // PROXY_SIZE
            seen = [Seen.of(coarse(one, finer), turn, side) for one, turn in zip(points, view, strict=True)]
            for number, one in enumerate(seen):
                shapes_seen[number].append(one.shape(points[number], normals[number], view[number]))
            if kappa:
                last = np.stack([one.sample(k)[..., 0] for one, k in zip(seen, kappa[0], strict=True)])
                kappas = (last, last)
        stages_seen = range(len(shapes_seen[0]))
        return Prediction(
            normals=tuple(np.stack([one[stage][0] for one in shapes_seen]) for stage in stages_seen),
            concentrations=kappas,
            depths=tuple(np.stack([one[stage][1] for one in shapes_seen]) for stage in stages_seen),
            albedo=np.stack([one.sample(a) for one, a in zip(seen, albedo, strict=True)]).clip(0.0, 1.0),
            restored=np.stack([one.sample(t) for one, t in zip(seen, texture, strict=True)]).clip(0.0, 1.0),
            position_map=np.stack([UNIT * _viewed(p, v) for p, v in zip(points, view, strict=True)]),
            rotation=np.stack([rotation(one) for one in view]).astype(np.float32),
            texture_map=texture.transpose(0, 2, 3, 1).clip(0.0, 1.0),
        )


class Seen:
    """What a picture sees of canonical maps: Π, as `lineament.methods.l2r.warp.Warp` has it in torch."""

    def __init__(self, source: Float32, mask: NDArray[np.bool_]) -> None:
        self.source = source
        """[S, S, 2] where each pixel looks, shares of the maps' sides; x right, y down."""
        self.mask = mask
        """[S, S] where it sees any of them; elsewhere it looks where its nearest neighbour does."""

    @classmethod
    def of(cls, points: Float32, view: Float32, size: int) -> Seen:
        """What a picture of size² sees of points [3, h, w] in a view [6]."""
        from scipy import ndimage

        rows, columns = points.shape[1:]
        place = _viewed(points, view).reshape(-1, 3).astype(np.float64)
        far = np.maximum(-place[:, 2], 0.1)
        half = 0.5 * size
        pixels = np.column_stack([half + half / HALF * place[:, 0] / far, half - half / HALF * place[:, 1] / far, -far])
        triangles = grid_triangles(rows, columns)
        found = rasterize(pixels, triangles, size, size, far)
        source = found.of(_texels(rows, columns), triangles)
        mask = found.triangle >= 0
        if mask.any() and not mask.all():
            nearest = ndimage.distance_transform_edt(~mask, return_distances=False, return_indices=True)
            source = source[tuple(nearest)]
        return cls(source.astype(np.float32), mask)

    def sample(self, canonical: Float32) -> Float32:
        """A canonical map [C, h, w] in the picture, [S, S, C]."""
        channels, rows, columns = canonical.shape
        places = self.source * np.array([columns, rows], np.float32) - np.float32(0.5)
        found = sampled(np.ascontiguousarray(canonical.transpose(1, 2, 0)), places)
        return np.asarray(found, np.float32).reshape(*places.shape[:2], channels)

    def shape(self, points: Float32, normals: Float32, view: Float32) -> tuple[Float32, Float32]:
        """Normals [S, S, 3] in the camera frame and depth [S, S], shares of the picture's side."""
        turned = self.sample(normals) @ rotation(view).T
        turned /= np.maximum(np.linalg.norm(turned, axis=-1, keepdims=True), 1e-6)
        depth = (self.sample(np.ascontiguousarray(_viewed(points, view)[None, ..., 2]))[..., 0] + 1.0) / (2.0 * HALF)
        return turned.astype(np.float32), depth.astype(np.float32)


def coarse(points: Float32, scale: int) -> Float32:
    """Points [3, h, w] at a grid so many times coarser."""
    if scale == 1:
        return points
    _, rows, columns = points.shape
    return np.asarray(points.reshape(3, rows // scale, scale, columns // scale, scale).mean((2, 4)), np.float32)


def rotation(view: Float32) -> NDArray[np.float64]:
    """The rotation [3, 3] of a view, as `lineament.methods.l2r.warp.rotation_of` has it in torch."""
    from scipy.spatial.transform import Rotation

    return np.asarray(Rotation.from_euler("xyz", MOST_TURN * view[:3].astype(np.float64), degrees=True).as_matrix())


def _viewed(points: Float32, view: Float32) -> Float32:
    """Canonical places [3, h, w] in the camera frame of a view, [h, w, 3]."""
    centre = np.array([0.0, 0.0, -1.0])
    moved = (points.transpose(1, 2, 0) - centre) @ rotation(view).T + centre + MOST_SHIFT * view[3:]
    return np.asarray(moved, np.float32)


@lru_cache(maxsize=4)
def _rays(size: int) -> Float32:
    """[3, S, S], of length 1 along the camera's axis."""
    line = ((np.arange(size) + 0.5) * (2.0 / size) - 1.0) * HALF
    y, x = np.meshgrid(-line, line, indexing="ij")
    return np.stack([x, y, np.full_like(x, -1.0)]).astype(np.float32)


@lru_cache(maxsize=4)
def _texels(rows: int, columns: int) -> NDArray[np.float64]:
    """[rows · columns, 2] of texels' middles, shares of the map's sides, x and y down."""
    x, y = (np.arange(columns) + 0.5) / columns, (np.arange(rows) + 0.5) / rows
    return np.stack(np.meshgrid(x, y, indexing="xy"), axis=-1).reshape(-1, 2)
