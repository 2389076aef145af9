# SPDX-License-Identifier: Apache-2.0
"""A tiny Extended Yale B: rendered ellipsoids under named lights."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lineament.datasets.yaleb import Light

HEIGHT, WIDTH = 36, 32
LIGHTS = tuple(
    Light(azimuth, elevation)
    for azimuth, elevation in [
        (0, 0), (0, 20), (0, -20), (20, 10), (-20, 10), (35, -20), (-35, -20),
        (50, 0), (-50, 0), (35, 40), (-35, 40), (70, 0), (-70, 0), (110, 15), (0, 90),
    ]
)  # fmt: skip


def truth(depth: float = 14.0) -> tuple[np.ndarray, np.ndarray]:
    """Normals [H, W, 3] and the outline [H, W] of the ellipsoid in the pictures; larger depth is rounder."""
    v, u = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    x, y = u - WIDTH / 2, HEIGHT / 2 - v
    inside = (x / 20) ** 2 + (y / 22) ** 2
    z = depth * np.sqrt(np.maximum(1 - inside, 1e-9))
    normals = np.stack([x / 20**2, y / 22**2, z / depth**2], axis=-1)
    return normals / np.linalg.norm(normals, axis=-1, keepdims=True), inside < 0.9


def write_pgm(path: Path, grey: np.ndarray, comment: str = "") -> None:
    header = f"P5\n{comment}{grey.shape[1]} {grey.shape[0]}\n255\n"
    path.write_bytes(header.encode() + grey.astype(np.uint8).tobytes())


def photo_name(subject: str, light: Light) -> str:
    return f"{subject}_P00A{int(light.azimuth):+04d}E{int(light.elevation):+03d}"


def write_subject(root: Path, subject: str, ambient: int = 0, depth: float = 14.0) -> Path:
    """Write one subject's folder; every photo and the ambient one hold this much ambient light."""
    folder = root / subject
    folder.mkdir(parents=True)
    normals, _ = truth(depth)
    for light in LIGHTS:
        shading = 180.0 * np.maximum(normals @ np.array(light.direction), 0.0)
        write_pgm(folder / f"{photo_name(subject, light)}.pgm", np.round(shading + ambient), "#@DOME@ x\n")
    write_pgm(folder / f"{subject}_P00_Ambient.pgm", np.full((HEIGHT, WIDTH), ambient))
    (folder / f"{subject}_P00.info").write_text("names\n")
    return folder
