# SPDX-License-Identifier: Apache-2.0
"""A small head in the layout of ICT-FaceKit: an open ball with eyes, gums and teeth, in centimetres."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from lineament.rig import Rig, load_rig

MATERIALS = ("M_Face", "M_BackHead", "M_GumsTongue", "M_Teeth", "M_ScleraLeft", "M_ScleraRight")


def ball(radius, centre, rows, columns, last_degrees=180.0):
    """Ball with its first pole up: vertices [N, 3], quads [P, 4] with -1 as a triangle's fourth corner."""
    polar = np.radians(np.linspace(0.0, last_degrees, rows + 1))[1 : rows + (last_degrees < 180.0)]
    turn = np.arange(columns) * 2.0 * np.pi / columns
    ring = np.stack(
        np.broadcast_arrays(
            np.sin(polar)[:, None] * np.sin(turn),
            np.cos(polar)[:, None],
            np.sin(polar)[:, None] * np.cos(turn),
        ),
        axis=-1,
    ).reshape(-1, 3)
    vertices = np.concatenate([[[0.0, 1.0, 0.0]], ring])
    here, after = np.arange(columns), (np.arange(columns) + 1) % columns
    quads = [np.column_stack([np.zeros(columns, int), 1 + here, 1 + after, np.full(columns, -1)])]
    for row in range(len(polar) - 1):
        upper, lower = 1 + row * columns, 1 + (row + 1) * columns
        quads.append(np.column_stack([upper + here, lower + here, lower + after, upper + after]))
    if last_degrees >= 180.0:
        end, last = len(vertices), 1 + (len(polar) - 1) * columns
        vertices = np.concatenate([vertices, [[0.0, -1.0, 0.0]]])
        quads.append(np.column_stack([last + here, np.full(columns, end), last + after, np.full(columns, -1)]))
    return vertices * radius + centre, np.concatenate(quads)


@pytest.fixture(scope="session")
def shipped() -> Rig:
    return load_rig()


@pytest.fixture(scope="session")
def small_head(shipped: Rig) -> SimpleNamespace:
    """The model's arrays, centimetres."""
    skin, skin_quads = ball(9.0, np.zeros(3), 24, 48, 150.0)
    front = skin[skin_quads[:, 1], 2] > -2.0
    pieces = [(skin, skin_quads[front]), (skin[:0], skin_quads[~front])]
    pieces += [ball(1.0, np.array([0.0, -4.0, 5.0]), 6, 8), ball(0.8, np.array([0.0, -4.0, 6.0]), 6, 8)]
    pieces += [ball(1.5, np.array([side * 3.0, 3.0, 6.5]), 10, 12) for side in (1.0, -1.0)]
    vertices, quads, material = [], [], []
    for index, (points, corners) in enumerate(pieces):
        start = 0 if index < 2 else sum(map(len, vertices))
        quads.append(np.where(corners < 0, -1, corners + start))
        material.append(np.full(len(corners), index))
        vertices.append(points)
    v = np.concatenate(vertices)
    directions = shipped.mean[shipped.landmarks]
    directions = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    landmarks = np.array([int(np.argmax(skin @ d)) for d in directions])
    identity = np.stack([0.05 * v, 0.02 * v * [1.0, 0.0, -1.0], 0.1 * np.sin(v[:, [1, 2, 0]])])
    expression = np.stack([np.where(v[:, 1:2] < -2.0, [0.0, -0.5, 0.0], 0.0), 0.1 * np.cos(v), 0.2 * np.ones_like(v)])
    return SimpleNamespace(
        vertices=v,
        quads=np.concatenate(quads),
        material=np.concatenate(material),
        identity=identity,
        expression=expression,
        expression_names=("jawOpen", "mouthSmile_L", "eyeLookUp_L"),
        landmarks=landmarks,
    )


@pytest.fixture(scope="session")
def head_npz(small_head: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("npz") / "head.npz"
    np.savez(
        path,
        vertices=small_head.vertices.astype(np.float32),
        faces=small_head.quads.astype(np.int32),
        face_material=small_head.material.astype(np.uint8),
        materials=np.array(MATERIALS),
        identity=small_head.identity.astype(np.float32),
        expression=small_head.expression.astype(np.float32),
        expression_names=np.array(small_head.expression_names),
        landmarks68=small_head.landmarks.astype(np.int32),
    )
    return path


@pytest.fixture(scope="session")
def head_folder(small_head: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same model as ICT-FaceKit's folder, with one expression file missing."""
    folder = tmp_path_factory.mktemp("kit") / "FaceXModel"
    folder.mkdir()

    def write(name: str, vertices: np.ndarray) -> None:
        lines = [
            "# head",
            "mtllib none.mtl",
            *(f"v {x:.7f} {y:.7f} {z:.7f}" for x, y, z in vertices),
            "vt 0 0",
        ]
        current = -1
        for corners, material in zip(small_head.quads, small_head.material, strict=True):
            if material != current:
                lines.append(f"usemtl {MATERIALS[material]}")
                current = material
            lines.append("f " + " ".join(f"{corner + 1}/1" for corner in corners if corner >= 0))
        (folder / name).write_text("\n".join(lines) + "\n")

    write("generic_neutral_mesh.obj", small_head.vertices)
    for index, offset in enumerate(small_head.identity):
        write(f"identity{index:03d}.obj", small_head.vertices + offset)
    for name, offset in zip(small_head.expression_names, small_head.expression, strict=True):
        write(f"{name}.obj", small_head.vertices + offset)
    names = [*small_head.expression_names, "mouthPucker"]
    indices = {"idx_to_landmark_verts": small_head.landmarks.tolist(), "expressions": names}
    (folder / "vertex_indices.json").write_text(json.dumps(indices))
    return folder
