# SPDX-License-Identifier: Apache-2.0
"""Make the README's pictures with the current code: ``python tools/pictures.py``."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.spatial.transform import Rotation

import lineament
from lineament.annotations.parsing import colours_of
from lineament.datasets.meshes import picture_of, view_mesh
from lineament.face import detect_faces, draw_faces
from lineament.geometry.mesh import Mesh
from lineament.images import encode_normals
from lineament.images.sample import sample_photo
from lineament.render.preview import shade_normals
from lineament.result.head import head_of, head_texture_of
from lineament.rig import load_rig
from lineament.synth import Generator, SynthConfig

Picture = NDArray[np.uint8]
FOLDER = Path(__file__).parent.parent / "docs" / "images"
_PERSON = 12  # of several_photos


def main() -> None:
    """Write every picture."""
    FOLDER.mkdir(exist_ok=True)
    Image.fromarray(lineament.estimate(sample_photo())[0].sheet()).save(FOLDER / "demo.png", optimize=True)
    batch = Generator(SynthConfig(size=192), load_rig()).batch(range(100, 116))
    photos = batch.image.permute(0, 2, 3, 1).numpy()
    normals = (0.5 * batch.normals + 0.5 * (batch.normals.norm(dim=1, keepdim=True) > 0)).permute(0, 2, 3, 1).numpy()
    rows = [np.concatenate(list(tiles[start : start + 8]), axis=1) for start in (0, 8) for tiles in (photos, normals)]
    picture = (np.concatenate(rows, axis=0).clip(0, 1) * 255).astype(np.uint8)
    Image.fromarray(picture).save(FOLDER / "synthetic.jpg", quality=88)
    Image.fromarray(mesh_views()).save(FOLDER / "mesh.jpg", quality=90)
    Image.fromarray(relit_face()).save(FOLDER / "relit.jpg", quality=90)
    Image.fromarray(canonical_crop()).save(FOLDER / "crop.jpg", quality=90)
    Image.fromarray(depth_stages()).save(FOLDER / "df2net.jpg", quality=90)
    Image.fromarray(head_levels()).save(FOLDER / "head.jpg", quality=90)
    Image.fromarray(several_photos()).save(FOLDER / "multiview.jpg", quality=88)


def mesh_views(size: int = 240) -> Picture:
    """The astronaut's mesh turned from side to side, textured above, shaded below."""
    face = lineament.estimate(sample_photo())[0]
    mesh, texture = face.mesh(), face.mesh_texture()
    columns = []
    for yaw in (-50, -25, 0, 25, 50):
        turned = Rotation.from_euler("y", yaw, degrees=True).apply(mesh.vertices)
        shown = Mesh(turned, mesh.triangles, mesh.corner_uv)
        view = view_mesh(shown, size)
        columns.append(np.concatenate([picture_of(view, shown, texture), picture_of(view, shown, None)]))
    return np.concatenate(columns, axis=1)


def relit_face() -> Picture:
    """The astronaut's face, its albedo, and the albedo under two other lights."""
    face = lineament.estimate(sample_photo())[0]
    tiles = [face.photo, face.albedo]
    for light in ((-0.8, 0.2, 0.5), (0.5, 0.7, 0.5)):
        shading = shade_normals(face.normals, light, face.mask) / 255.0
        tiles.append((face.albedo * np.minimum(1.35 * shading, 1.0)[..., None]).astype(np.uint8))
    crop = face.crop.at(300)
    return np.concatenate([crop.extract(tile) for tile in tiles], axis=1)


def depth_stages() -> Picture:
    """The astronaut's face and the depth of DF²Net's three networks, lit from the left."""
    face = lineament.load("df2net").estimate(sample_photo())[0]
    mask = face.surface.crop_mask
    stages = [shade_normals(normals, (-0.6, 0.5, 0.6), mask) for normals in face.stages]
    tiles = [face.crop_image, *(np.repeat(stage[..., None], 3, axis=2) for stage in stages)]
    left, top, width, height = cv2.boundingRect(mask.astype(np.uint8))
    around = slice(max(top - 8, 0), top + height + 8), slice(max(left - 8, 0), left + width + 8)
    picture = np.concatenate([tile[around] for tile in tiles], axis=1)
    return np.asarray(cv2.resize(picture, None, fx=1.6, fy=1.6, interpolation=cv2.INTER_CUBIC), np.uint8)


def head_levels(size: int = 240) -> Picture:
    """The astronaut's face, HRN's three levels in the photo, and the head with its texture from three sides."""
    face = lineament.load("hrn").estimate(sample_photo())[0]
    tiles = [face.crop.at(size).extract(face.photo)]
    for normals in face.crop_estimate.normals:
        shading = shade_normals(normals, (-0.6, 0.5, 0.6), np.ones(normals.shape[:2], bool))
        tile = cv2.resize(np.repeat(shading[..., None], 3, axis=2), (size, size), interpolation=cv2.INTER_AREA)
        tiles.append(np.asarray(tile, np.uint8))
    mesh, texture = head_of(face.crop_estimate).mesh, head_texture_of(face).colours
    for yaw in (-60, 0, 60):
        turned = Rotation.from_euler("y", yaw, degrees=True).apply(mesh.vertices)
        shown = Mesh(turned, mesh.triangles, mesh.corner_uv)
        tiles.append(picture_of(view_mesh(shown, size), shown, texture))
    return np.concatenate(tiles, axis=1)


def several_photos() -> Picture:
    """A synthetic person's head fitted to three photos: from five sides, textured and as clay, and in the photos."""
    config = SynthConfig(seed=101, identities=50, yaw=60.0, frontal=0.2, pitch=20.0, roll=10.0, expression=0.3,
                         glasses=0.0, covered=0.0, hats=0.0)  # fmt: skip
    batch = Generator(config, load_rig()).batch(range(_PERSON, _PERSON + 150, 50))
    photos = (255.0 * batch.image.permute(0, 2, 3, 1).numpy().clip(0, 1)).round().astype(np.uint8)
    return lineament.multiview(list(photos)).report()


def canonical_crop() -> Picture:
    """A leaning face as it is found, its canonical crop, the parse and the normals of that crop."""
    photo = np.ascontiguousarray(sample_photo()[:300, 76:376])
    turn = cv2.getRotationMatrix2D((150.0, 128.0), -25.0, 1.0)
    leaning = np.asarray(cv2.warpAffine(photo, turn, (300, 300), borderMode=cv2.BORDER_REFLECT))
    face = detect_faces(leaning)[0]
    assert face.parsing is not None
    crop = face.parsing.crop.at(300)
    parse = colours_of(face.parsing.parse.argmax(-1).astype(np.uint8))
    normals = encode_normals(lineament.load().estimate_crop(crop.extract(leaning)).normals[-1])
    small = [cv2.resize(tile, (300, 300), interpolation=cv2.INTER_AREA) for tile in (parse, normals)]
    return np.concatenate([draw_faces(leaning, [face]), crop.extract(leaning), *small], axis=1)


if __name__ == "__main__":
    main()
