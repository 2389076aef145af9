# SPDX-License-Identifier: Apache-2.0
"""A scan as a head of the rig with exact deformation and displacement maps (HRN, section 3.3: priors of detail).

The paper fits image and scan with vertex distances after Amberg et al. (2007) and says no more. Here: the rig is laid
on the scan by landmarks; then similarity, identity and expression are solved for together, again and again, by the
distance to the planes of the scan's nearest points (non-rigid ICP in the model's space); then the deformation map by
least squares with smoothness; then the displacement along the normals, texel by texel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from lineament.errors import DataError
from lineament.geometry.mesh import Mesh, vertex_normals, welded_normals
from lineament.geometry.similarity import Similarity, fit_similarity
from lineament.methods.hrn.exact_maps import DeformationFit
from lineament.methods.hrn.texture import SIDE
from lineament.rig import Part, Rig
from lineament.rig.face_chart import ChartGrid, border_fade, chart_vertices, deformed_by

Floats = NDArray[np.float64]

SCAN = "scan.npz"
"""File of a fitted scan: ``vertices`` [V, 3] mm and ``places`` [V, 2] pixels of the head in ``image.png``'s camera
frame, ``height`` [T, T] mm, zero where nothing is known, ``landmarks`` [68, 2] pixels, ``visible`` [68]."""

_DEFORMATION = 64  # texels along a side of the deformation map
_ROUNDS = 15  # of the model's fit
_SMOOTH = 0.5  # weight of the deformation map's changes: relief is the displacement's
_DEFORMED = 4  # rounds of the deformation's
_LANDMARK = 2.0  # mm by which a landmark may be off, beside a point's 1
_FARTHEST = (12.0, 3.0)  # mm from the scan up to which it is looked at, in the first and the last round
_ALIKE = 0.6  # least cosine of two normals that belong together
_WEIGHT = 0.3  # spread of an expression's weight, beside one standard deviation of the identity
_EYE = 3.0  # mm from the lids' edge within which lashes and eyeballs are scanned
_PEAK = 3.0  # mm, largest displacement
_HEADS = 1.3  # times larger or smaller than the mean may a head be
_FEWEST = 6  # landmarks
_NAMED = 68


@dataclass(frozen=True)
class FittedScan:
    """A scan as a head of the rig."""

    vertices: Floats
    """[V, 3] mm of the smooth head, in the head's own frame."""
    identity: Floats
    """[K] standard deviations."""
    expression: Floats
    """[E] weights."""
    deformation: NDArray[np.float32]
    """[64, 64, 3] mm, in the head's frame: what takes the model's head to the scan."""
    displacement: NDArray[np.float32]
    """[T, T] mm along the head's normals, zero where the scan says nothing."""
    known: NDArray[np.bool_]
    """[T, T] texels of which the scan says something."""
    motion: Similarity
    """From the scan to the head's frame, mm."""
    distance: float
    """Median distance in mm of the smooth head from the scan, where it is known."""


class _Scan:
    """A scan's points, with normals, that can be searched."""

    def __init__(self, scan: Mesh) -> None:
        self.points = scan.vertices
        self.normals = vertex_normals(scan)
        triangles = scan.triangles
        edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
        both, often = np.unique(np.sort(edges, axis=1), axis=0, return_counts=True)
        self.border = np.zeros(len(self.points), bool)
        self.border[both[often == 1]] = True  # what lies beyond the border has its nearest point there
        used = np.zeros(len(self.points), bool)
        used[triangles] = True
        self.border |= ~used

    def under(self, motion: Similarity) -> tuple[Floats, Floats, cKDTree]:
        """Points and normals moved, and a tree of the points."""
        points = motion(self.points)
        return points, self.normals @ motion.rotation.T, cKDTree(points)

    def near(
        self, moved: tuple[Floats, Floats, cKDTree], places: Floats, normals: Floats, farthest: float
    ) -> tuple[Floats, Floats, NDArray[np.bool_]]:
        """The nearest point and its normal for places [N, 3], and whether they belong together."""
        points, directions, tree = moved
        away, index = tree.query(places)
        there = directions[index]
        fits = (away < farthest) & ((there * normals).sum(1) > _ALIKE) & ~self.border[index]
        return points[index], there, fits


def fit_scan(scan: Mesh, landmarks: Floats, rig: Rig) -> FittedScan:
    """Fit the rig to a scan.

    Args:
        scan: A face in any unit and pose.
        landmarks: [68, 3] on it, iBUG order; not a number where one is not known.
        rig: The model.

    Raises:
        DataError: Too few landmarks, or a scan that no head comes near to.
    """
    if landmarks.shape != (_NAMED, 3):
        raise DataError(f"a scan's landmarks are 68 lines of x, y and z, not {landmarks.shape}")
    marked = np.isfinite(landmarks).all(1)
    if marked.sum() < _FEWEST:
        raise DataError(f"a scan is laid on the model by {_FEWEST} landmarks or more, not by {marked.sum()}")
    data = _Scan(scan)
    marks = rig.landmarks[marked]
    motion, metric = _first_motion(landmarks[marked], rig.mean[marks].astype(np.float64))
    identity, expression = np.zeros(rig.identity_count), np.zeros(len(rig.expression))
    chart = chart_vertices(rig)
    for number in range(_ROUNDS):
        farthest = _FARTHEST[0] + (_FARTHEST[1] - _FARTHEST[0]) * number / (_ROUNDS - 1)
        vertices = rig.vertices(identity, expression).astype(np.float64)
        normals = _normals(rig, vertices)
        near, directions, fits = data.near(data.under(motion), vertices[chart], normals[chart], farthest)
        if fits.sum() < 100:
            raise DataError("no head comes near to the scan: are its landmarks right?")
        rows = _Rows(rig, chart[fits], near[fits], directions[fits], vertices)
        rows.add_landmarks(marks, motion(landmarks[marked]), vertices)
        identity, expression, motion = rows.solved(identity, expression, motion, metric)
    base = rig.vertices(identity, expression).astype(np.float64)
    offsets, moved = np.zeros((rig.vertex_count, 3)), data.under(motion)
    fit, deformation = DeformationFit(rig, _DEFORMATION, _SMOOTH), np.zeros((_DEFORMATION, _DEFORMATION, 3), np.float32)
    vertices, away = base, np.zeros(0)
    for _ in range(_DEFORMED):
        normals = _normals(rig, vertices)
        near, directions, fits = data.near(moved, vertices[chart], normals[chart], _FARTHEST[1])
        height = _along(near, directions, vertices[chart], normals[chart])
        known = np.zeros(rig.vertex_count, bool)
        known[chart] = fits
        offsets[chart] = (vertices - base)[chart] + (height * fits)[:, None] * normals[chart]
        deformation = fit(offsets, known) * border_fade(_DEFORMATION)[..., None]
        vertices = base + deformed_by(rig, deformation)
        away = np.abs(height[fits])
    displacement, known_texels = _displacement(rig, vertices, data, moved)
    return FittedScan(
        vertices, identity, expression, deformation, displacement, known_texels, motion, float(np.median(away))
    )


def _first_motion(landmarks: Floats, own: Floats) -> tuple[Similarity, bool]:
    """Where landmarks lie on the model, and whether the scan's unit is a millimetre times a power of ten.

    Size and shape cannot be told apart by a model whose prior is a size: where the unit is known, the size is.
    """
    free = fit_similarity(landmarks, own)
    scale = 10.0 ** round(np.log10(free.scale))
    if not 1.0 / _HEADS < free.scale / scale < _HEADS:
        return free, False
    rigid = fit_similarity(scale * landmarks, own, with_scale=False)
    return Similarity(scale, rigid.rotation, rigid.translation), True


class _Rows:
    """Linear equations for steps of identity, expression and of the scan's motion."""

    def __init__(self, rig: Rig, used: NDArray[np.int64], near: Floats, directions: Floats, vertices: Floats) -> None:
        """Distances of vertices to the planes of the scan's points: n · (v + basis x - q - ω × q - t - s q) = 0."""
        self.rig = rig
        basis = np.concatenate([rig.identity[:, used], rig.expression[:, used]])  # [K + E, N, 3]
        of_shape = np.einsum("knc,nc->nk", basis, directions)
        weight = 1.0 / np.sqrt(len(used) / 1000.0)  # as if there were a thousand points, whatever the rig's density
        self.left = [weight * np.concatenate([of_shape, self._of_motion(near, directions)], axis=1)]
        self.right = [weight * ((near - vertices[used]) * directions).sum(1)]

    @staticmethod
    def _of_motion(points: Floats, directions: Floats) -> Floats:
        """[N, 7] what rotation, shift and growth of the scan take off the distance."""
        turn = -np.cross(points, directions)
        return np.concatenate([turn, -directions, -(points * directions).sum(1, keepdims=True)], axis=1)

    def add_landmarks(self, marks: NDArray[np.integer], landmarks: Floats, vertices: Floats) -> None:
        """Distances of landmarks along all three axes."""
        basis = np.concatenate([self.rig.identity[:, marks], self.rig.expression[:, marks]])
        for axis in np.eye(3):
            directions = np.broadcast_to(axis, landmarks.shape)
            of_shape = (basis @ axis).T
            self.left.append(np.concatenate([of_shape, self._of_motion(landmarks, directions)], axis=1) / _LANDMARK)
            self.right.append((landmarks - vertices[marks]) @ axis / _LANDMARK)

    def solved(
        self, identity: Floats, expression: Floats, motion: Similarity, metric: bool
    ) -> tuple[Floats, Floats, Similarity]:
        """The next identity, expression and motion; a metric scan keeps its size."""
        prior = np.concatenate([np.ones(len(identity)), np.full(len(expression), 1.0 / _WEIGHT), np.zeros(7)])
        now = np.concatenate([identity, expression, np.zeros(7)])
        left = np.concatenate([*self.left, np.diag(prior)])
        if metric:
            left[:, -1] = 0.0
        right = np.concatenate([*self.right, -prior * now])
        step = np.linalg.lstsq(left, right, rcond=None)[0]
        turn, shift, growth = Rotation.from_rotvec(step[-7:-4]).as_matrix(), step[-4:-1], float(np.exp(step[-1]))
        # The scan moves: q becomes (1 + s) R q + t, on top of what has moved it so far.
        rotation, scale = turn @ motion.rotation, growth * motion.scale
        motion = Similarity(scale, rotation, growth * turn @ motion.translation + shift)
        return (
            identity + step[: len(identity)],
            (expression + step[len(identity) : -7]).clip(0.0, 1.0),
            motion,
        )


def _displacement(
    rig: Rig, vertices: Floats, data: _Scan, moved: tuple[Floats, Floats, cKDTree]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """[T, T] mm along the normals of a head to the scan, and where it is known: skin, off the scan's borders."""
    grid = ChartGrid.of(rig, SIDE)
    texels = grid.of_vertices(np.concatenate([vertices, _normals(rig, vertices)], axis=1)).reshape(-1, 6)
    places = texels[:, :3].astype(np.float64)
    normals = texels[:, 3:] / np.maximum(np.linalg.norm(texels[:, 3:], axis=1, keepdims=True), 1e-9)
    near, directions, fits = data.near(moved, places, normals, _FARTHEST[1])
    height = _along(near, directions, places, normals)
    skin = (
        grid.inside & (rig.part[grid.corner] <= Part.NECK).all(-1) & (rig.regions["eye_line"][grid.corner] >= 0).all(-1)
    )
    known = fits.reshape(SIDE, SIDE) & skin & (np.abs(height) < _PEAK).reshape(SIDE, SIDE)
    faded = height.reshape(SIDE, SIDE) * border_fade(SIDE)
    return np.where(known, faded, 0.0).astype(np.float32), known


def _along(near: Floats, directions: Floats, places: Floats, normals: Floats) -> Floats:
    """[N] how far places lie from the planes of the scan's points, along their own normals."""
    slant = (directions * normals).sum(1)
    return np.asarray(((near - places) * directions).sum(1) / np.where(slant > _ALIKE, slant, 1.0))


def _normals(rig: Rig, vertices: Floats) -> Floats:
    return welded_normals(Mesh(vertices, rig.faces.astype(np.int64)), rig.weld())
