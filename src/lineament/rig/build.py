# SPDX-License-Identifier: Apache-2.0
"""Building a rig from ICT-FaceKit: own topology, own chart, own statistics, own regions.

The skin is simplified to a subset of the source's vertices, dense where a face has detail, so every shape
carries over exactly. Eyeballs are new. Lashes, tear fluid and occlusion meshes are left out.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from lineament.files.reading import reading
from lineament.geometry.mesh import Mesh, vertex_normals
from lineament.rig import ict_facekit as kit
from lineament.rig.chart import skin_chart
from lineament.rig.eyes import IRIS_RADIUS, RING_DEGREES, SEGMENTS, Eyeball, fit_eyeball
from lineament.rig.face_chart import face_chart
from lineament.rig.io import check_rig_replaceable, save_rig
from lineament.rig.landmarks import contour_candidates
from lineament.rig.model import Part, Rig
from lineament.rig.regions import compute_regions, find_ears
from lineament.rig.simplify import simplify
from lineament.rig.statistics import expression_spread, identity_statistics, vertex_areas

logger = logging.getLogger(__name__)

TARGET_VERTICES = 8000
COMPONENTS = 80
SAMPLES = 2000
SEED = 20240607

NOTICE = (
    "Statistics computed by lineament from samples of the ICT Face Model (ICT-FaceKit Light). MIT "
    "License, Copyright (c) 2020 USC Institute for Creative Technologies. Permission is hereby granted, "
    "free of charge, to any person obtaining a copy of this software and associated documentation files "
    '(the "Software"), to deal in the Software without restriction, including without limitation the '
    "rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the "
    "Software, and to permit persons to whom the Software is furnished to do so, subject to the following"
    " conditions: The above copyright notice and this permission notice shall be included in all copies "
    'or substantial portions of the Software. THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY '
    "KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS "
    "FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE "
    "LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR "
    "OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN "
    "THE SOFTWARE."
)

_GREY = 0.4  # linear reflectance of a rig without skin
# Gaze is the generator's: it turns the eyeballs itself.
_LEFT_OUT_EXPRESSIONS = ("PupilDilate", "eyeLook")
_EYES = (Part.EYE_LEFT, Part.EYE_RIGHT)
# Labels of the skin's triangles while it is simplified.
_OUTER_SKIN, _MOUTH_SOCKET, _EYE_SOCKET = 0, 1, 2
# Shares of the vertices that remain after the eyeballs.
_SKIN_SHARE, _GUMS_SHARE = 0.82, 0.07
# Importance of each part's area in the identity statistics, and the chart's linear density per label.
_PART_WEIGHT = {Part.FACE: 1.0, Part.EAR: 0.4, Part.SCALP: 0.3, Part.NECK: 0.15, Part.MOUTH: 0.05}
_OTHER_WEIGHT = 0.05
_FACE_DENSITY, _SOCKET_DENSITY = 1.6, 0.25
# The chart's skin fills the square above this height; eyeballs, gums and teeth share the strip below.
_STRIP = 0.14
_STRIP_BOXES = ((0.005, 0.125), (0.145, 0.265), (0.29, 0.60), (0.62, 0.995))


@dataclass(frozen=True, eq=False)
class _Surface:
    """One piece of the rig: positions, shapes and chart of its own vertices."""

    mean: NDArray[np.float64]  # [M, 3]
    identity: NDArray[np.float64]  # [K, M, 3]
    expression: NDArray[np.float64]  # [E, M, 3]
    triangles: NDArray[np.int32]  # [F, 3]
    uv: NDArray[np.float64]  # [M, 2]
    part: NDArray[np.uint8]  # [M]
    face_part: NDArray[np.uint8]  # [F]


Skin = Callable[[Rig], tuple[NDArray[np.float32], NDArray[np.float32]]]
"""From a rig without skin to linear reflectance: its mean [V, 3] and its components [A, V, 3]."""


def build_from_path(
    path: str | Path, output: str | Path, say: Callable[[str], None] = logger.info, skin: Skin | None = None
) -> Rig:
    """Read ICT-FaceKit, build a rig and write it.

    Args:
        path: The ``FaceXModel`` folder of ICT-FaceKit or an npz of it.
        output: The rig file to write; an earlier rig is replaced.
        say: Told what happens: it takes a minute or more.
        skin: Gives the albedo basis (`lineament.synth.skin_statistics`); left out, there is none.

    Returns:
        The rig.

    Raises:
        FaceKitError: If the path holds no readable ICT-FaceKit, or one from which no rig can be built.
        OutputError: The output is a file that is no rig, or cannot be written.
    """
    check_rig_replaceable(Path(output))
    source = kit.read_ict_facekit(path)
    say(f"simplifying {len(source.vertices)} vertices and learning from {len(source.identity)} people: some minutes")
    with reading(Path(path), "a face from which a rig is built", kit.FaceKitError):
        rig = build_rig(source)
    if skin is not None:
        say("painting the skin of random people")
        mean, components = skin(rig)
        rig = replace(rig, albedo_mean=mean, albedo=components)
    save_rig(rig, output)
    return rig


def build_rig(
    source: kit.IctFaceKit,
    target_vertices: int = TARGET_VERTICES,
    components: int = COMPONENTS,
    samples: int = SAMPLES,
    seed: int = SEED,
) -> Rig:
    """Build a rig.

    Args:
        source: The face model to learn from.
        target_vertices: Wanted number of vertices in total; the chart's seam adds some dozens.
        components: Largest number of identity components.
        samples: Number of random people the identity statistics come from.
        seed: Seed of those people.

    Returns:
        The rig; `Rig.metadata` holds its provenance and metrics.
    """
    origin = _head_centre(source)
    chosen = [index for index, name in enumerate(source.expression_names) if not name.startswith(_LEFT_OUT_EXPRESSIONS)]
    names = tuple(source.expression_names[index] for index in chosen)
    eyeballs = [_eyeball(source, material) for material in kit.EYE_MATERIALS]
    budget = max(target_vertices - 2 * (1 + SEGMENTS * len(RING_DEGREES)), 0)
    gums = int(_GUMS_SHARE * budget)
    surfaces = [
        _skin(source, chosen, int(_SKIN_SHARE * budget), eyeballs),
        *(_eye_surface(eye, index, len(chosen)) for index, eye in enumerate(eyeballs)),
        _inner(source, chosen, gums, kit.GUMS_MATERIAL, Part.MOUTH, 2),
        _inner(source, chosen, budget - int(_SKIN_SHARE * budget) - gums, kit.TEETH_MATERIAL, Part.TEETH, 3),
    ]
    offsets = np.cumsum([0] + [len(surface.mean) for surface in surfaces])
    mean = np.concatenate([surface.mean for surface in surfaces]) - origin
    faces = np.concatenate([s.triangles + start for s, start in zip(surfaces, offsets, strict=False)])
    part = np.concatenate([surface.part for surface in surfaces])
    face_part = np.concatenate([surface.face_part for surface in surfaces])
    expression = np.concatenate([surface.expression for surface in surfaces], axis=1)
    shapes = np.concatenate([surface.identity for surface in surfaces], axis=1)

    landmark_points = source.vertices[source.landmarks].astype(np.float64) - origin
    landmarks = cKDTree(mean[: offsets[1]]).query(landmark_points)[1]
    normals = vertex_normals(Mesh(mean.astype(np.float64), faces.astype(np.int64)))
    regions = compute_regions(mean, normals, faces, part, landmark_points)
    part = skin_parts(part, mean, normals, regions, landmark_points)
    outer = face_part == Part.FACE
    face_part[outer] = np.sort(part[faces[outer]], axis=1)[:, 1]

    area = vertex_areas(mean, faces)
    weight = area * np.array([_PART_WEIGHT.get(Part(p), _OTHER_WEIGHT) for p in range(len(Part))])[part]
    rigid = area * (part == Part.FACE)
    statistics = identity_statistics(mean, shapes, weight, rigid, components, samples, seed)
    on_face = rigid / rigid.sum()
    identity_std = np.sqrt(np.einsum("kvi,v->k", statistics.components.astype(np.float64) ** 2, on_face))
    logger.info(
        "rig: %d vertices, %d triangles, %d identity components explain %.3f %% of the variance",
        len(mean), len(faces), len(statistics.components), 100.0 * statistics.explained,
    )  # fmt: skip
    rig = Rig(
        mean=mean.astype(np.float32),
        faces=faces.astype(np.int32),
        uv=np.concatenate([surface.uv for surface in surfaces]).astype(np.float32),
        part=part,
        face_part=face_part,
        identity=statistics.components,
        identity_std=identity_std.astype(np.float32),
        expression=expression.astype(np.float32),
        expression_names=names,
        expression_std=expression_spread(names),
        landmarks=landmarks.astype(np.int32),
        eye_centre=np.stack([eye.centre - origin for eye in eyeballs]).astype(np.float32),
        eye_radius=np.array([eye.radius for eye in eyeballs], dtype=np.float32),
        iris_radius=IRIS_RADIUS,
        face_uv=np.zeros((len(mean), 2), np.float32),
        on_chart=np.zeros(len(faces), np.bool_),
        contour=contour_candidates(mean, part, landmarks),
        albedo_mean=np.full((len(mean), 3), _GREY, np.float32),
        albedo=np.zeros((0, len(mean), 3), np.float32),
        regions=regions,
        metadata={
            "source": "ICT-FaceKit Light",
            "notice": NOTICE,
            "identity_samples": str(samples),
            "identity_seed": str(seed),
            "identity_explained_variance": f"{statistics.explained:.6f}",
            "identity_mean_shift_mm": f"{statistics.mean_shift:.4f}",
        },
    )
    face_uv, on_chart = face_chart(rig)
    return replace(rig, face_uv=face_uv, on_chart=on_chart)


def _head_centre(source: kit.IctFaceKit) -> NDArray[np.float64]:
    """[3] midpoint between the ears, or between the ends of the jaw line where there are none."""
    skin = np.unique(source.triangles[source.with_material(*kit.SKIN_MATERIALS)])
    points = source.vertices[skin].astype(np.float64)
    landmarks = source.vertices[source.landmarks].astype(np.float64)
    ears = [points[mask] for mask in find_ears(points, landmarks)]
    if min(len(ear) for ear in ears) < 8:
        return np.asarray(0.5 * (landmarks[0] + landmarks[16]))
    boxes = [0.5 * (ear.min(0) + ear.max(0)) for ear in ears]
    return np.asarray(0.5 * (boxes[0] + boxes[1]))


def _eyeball(source: kit.IctFaceKit, material: str) -> Eyeball:
    rows = np.unique(source.triangles[source.with_material(material)])
    return fit_eyeball(source.vertices[rows], source.identity[:, rows])


def _carry(
    source: kit.IctFaceKit, chosen: list[int], rows: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Mean, identity shapes and chosen expressions of some source vertices."""
    expression = source.expression[chosen][:, rows]
    return (
        source.vertices[rows].astype(np.float64),
        source.identity[:, rows].astype(np.float64),
        expression.astype(np.float64),
    )


def _skin(source: kit.IctFaceKit, chosen: list[int], count: int, eyeballs: list[Eyeball]) -> _Surface:
    """Skin with the sockets of mouth and eyes: one disc whose only border is at the neck."""
    triangles = source.triangles[source.with_material(*kit.SKIN_MATERIALS)]
    points = source.vertices.astype(np.float64)
    label = _socket_labels(source, triangles, eyeballs)
    spacing = _skin_spacing(points, source.landmarks, triangles, label)
    kept, faces, label = simplify(points, triangles, count, spacing, label, source.landmarks)
    density = np.where(_near_face(points[kept], points[source.landmarks]), _FACE_DENSITY, 1.0)
    inner = np.setdiff1d(faces[label != _OUTER_SKIN], faces[label == _OUTER_SKIN])
    density[inner] = _SOCKET_DENSITY
    chart = skin_chart(points[kept], faces, density)
    part = np.full(len(chart.source), Part.FACE, np.uint8)
    mouth = chart.triangles[label == _MOUTH_SOCKET]
    part[np.setdiff1d(mouth, chart.triangles[label != _MOUTH_SOCKET])] = Part.MOUTH
    mean, identity, expression = _carry(source, chosen, kept[chart.source])
    uv = chart.uv * [1.0, 1.0 - _STRIP] + [0.0, _STRIP]
    face_part = np.where(label == _MOUTH_SOCKET, Part.MOUTH, Part.FACE).astype(np.uint8)
    return _Surface(mean, identity, expression, chart.triangles, uv, part, face_part)


def _socket_labels(source: kit.IctFaceKit, triangles: NDArray[np.int32], eyeballs: list[Eyeball]) -> NDArray[np.int64]:
    """[T] outer skin, mouth socket or eye socket: the pieces of the back head's mesh, by where they are."""
    back = source.with_material(kit.SKIN_MATERIALS[1])[source.with_material(*kit.SKIN_MATERIALS)]
    label = np.full(len(triangles), _OUTER_SKIN, np.int64)
    pieces = triangles[back]
    count = len(source.vertices)
    edges = np.concatenate([pieces[:, [0, 1]], pieces[:, [1, 2]]])
    graph = coo_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(count, count))
    owner = connected_components(graph, directed=False)[1]
    lips = source.vertices[source.landmarks[48:]].astype(np.float64)
    for piece in np.unique(owner[pieces[:, 0]]):
        rows = np.unique(pieces[owner[pieces[:, 0]] == piece])
        points = source.vertices[rows].astype(np.float64)
        members = back & (owner[triangles[:, 0]] == piece)
        if any(np.linalg.norm(points.mean(0) - eye.centre) < eye.radius for eye in eyeballs):
            label[members] = _EYE_SOCKET
        elif np.ptp(points[:, 0]) < 3.0 * np.ptp(lips[:, 0]):
            label[members] = _MOUTH_SOCKET
    return label


def _near_face(points: NDArray[np.float64], landmarks: NDArray[np.float64]) -> NDArray[np.bool_]:
    """[N] whether points are on the front of the head, from the forehead to the chin."""
    height = landmarks[19, 1] - landmarks[8, 1]
    low, high = landmarks[8, 1] - 0.1 * height, landmarks[19, 1] + 0.4 * height
    return np.asarray((points[:, 2] > landmarks[0, 2]) & (points[:, 1] > low) & (points[:, 1] < high))


def _skin_spacing(
    points: NDArray[np.float64],
    landmarks: NDArray[np.int32],
    triangles: NDArray[np.int32],
    label: NDArray[np.int64],
) -> NDArray[np.float64]:
    """[N] wanted edge length, mm: fine at eyes, nose and lips, coarse on the scalp, neck and in sockets."""
    marks = points[landmarks]
    distance = np.minimum(cKDTree(marks[27:]).query(points)[0], cKDTree(marks[17:27]).query(points)[0] + 5.0)
    face = _near_face(points, marks)
    spacing = np.clip(1.6 + 0.08 * (distance - 4.0), 1.6, 4.0)
    ears = np.logical_or(*find_ears(points, marks))
    ear_distance = cKDTree(points[ears]).query(points)[0] if ears.any() else np.full(len(points), np.inf)
    spacing = np.where(face, spacing, np.where(ear_distance < 12.0, 4.0, 9.0))
    spacing = np.where((points[:, 1] < marks[8, 1] - 70.0), 14.0, spacing)
    spacing[np.unique(triangles[label == _MOUTH_SOCKET])] = 5.0
    spacing[np.unique(triangles[label == _EYE_SOCKET])] = 3.5
    rim = np.intersect1d(triangles[label == _OUTER_SKIN], triangles[label != _OUTER_SKIN])
    spacing[rim] = 2.0
    return np.asarray(spacing)


def _inner(source: kit.IctFaceKit, chosen: list[int], count: int, material: str, part: Part, box: int) -> _Surface:
    """Gums with tongue, or teeth: simplified, finest at the front, charted by azimuth and height."""
    triangles = source.triangles[source.with_material(material)]
    points = source.vertices.astype(np.float64)
    used = np.unique(triangles)
    front = points[used, 2].max()
    spacing = 1.0 + 0.06 * np.maximum(front - points[:, 2], 0.0)
    kept, faces, _ = simplify(points, triangles, count, spacing)
    mean, identity, expression = _carry(source, chosen, kept)
    turn = np.arctan2(mean[:, 0] - mean[:, 0].mean(), mean[:, 2] - mean[:, 2].min() + 1.0)
    flat = np.column_stack([turn, mean[:, 1]])
    flat = (flat - flat.min(0)) / np.maximum(np.ptp(flat, axis=0), 1e-6)
    return _Surface(
        mean, identity, expression, faces, _in_strip(flat, box),
        np.full(len(mean), part, np.uint8), np.full(len(faces), part, np.uint8),
    )  # fmt: skip


def _eye_surface(eye: Eyeball, index: int, expressions: int) -> _Surface:
    return _Surface(
        eye.vertices, eye.offsets, np.zeros((expressions, *eye.vertices.shape)), eye.triangles,
        _in_strip(eye.uv, index), np.full(len(eye.vertices), _EYES[index], np.uint8),
        np.full(len(eye.triangles), _EYES[index], np.uint8),
    )  # fmt: skip


def _in_strip(uv: NDArray[np.float64], box: int) -> NDArray[np.float64]:
    """Unit square coordinates moved into one of the strip's boxes."""
    low, high = _STRIP_BOXES[box]
    return np.asarray([low, 0.005] + uv * [high - low, _STRIP - 0.02])


def skin_parts(
    part: NDArray[np.uint8],
    mean: NDArray[np.float64],
    normals: NDArray[np.float64],
    regions: dict[str, NDArray[np.float32]],
    landmarks: NDArray[np.float64],
) -> NDArray[np.uint8]:
    """Split the skin into face, scalp, ears and neck.

    Args:
        part: [V] where FACE stands for all skin.
        mean: [V, 3] mm, rig frame.
        normals: [V, 3] unit, outward.
        regions: Fields of `lineament.rig.regions.compute_regions`.
        landmarks: [68, 3] mm.

    Returns:
        [V] `Part` of every vertex.
    """
    result = part.copy()
    skin = part == Part.FACE
    chin, angle = landmarks[8], 0.5 * (landmarks[3] + landmarks[13])
    # The jaw's edge seen from the side: from below the chin back to the jaw's angle under the ear.
    edge = np.interp(mean[:, 2], [0.2 * angle[2], chin[2]], [angle[1] - 6.0, chin[1] - 4.0])
    behind = (mean[:, 2] < 0.1 * angle[2]) & (mean[:, 1] < landmarks[27, 1])
    under = (mean[:, 1] < edge) | ((mean[:, 1] < edge + 6.0) & (normals[:, 1] < -0.7))
    result[skin & (under | behind)] = Part.NECK
    result[skin & (regions["hairline"] > 0)] = Part.SCALP
    result[skin & (regions["ear"] > 0.5)] = Part.EAR
    return result
