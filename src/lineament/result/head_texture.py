# SPDX-License-Identifier: Apache-2.0
"""The texture of a head from the photo that it was estimated from: what is seen, and a guess of what is not.

Every texel takes the photo's colour at the place where its point of the head is projected to (HRN, section 3.2), if
that point faces the camera, nothing of the head lies before it, and the photo shows there what the texel is of: skin,
eye or mouth. What is hidden is filled from coarse to fine: from the other half of the face, fitted in colour to what is
seen around, then by diffusion. Hair, eyeballs and the mouth's inside have colours of their own under what is seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from lineament.alignment.crop import FaceCrop
from lineament.annotations.parsing import MaskClass
from lineament.face.paste import FaceRegion
from lineament.geometry.mesh import Mesh, vertex_normals
from lineament.geometry.raster import Seen, rasterize
from lineament.images.inpaint import inpainted, sampled
from lineament.rig import Part, Rig, shipped_rig
from lineament.rig.face_chart import texels_of
from lineament.rig.regions import smoothstep

Floats = NDArray[np.float32]

SIDE = 1024
"""Texels along a side of the texture."""

_LARGEST = 1536  # pixels of the crop that colours are taken from
_GRAZING, _FRONTAL = 0.15, 0.45  # z of the normal from which on, and beyond which, a texel is sure of its colour
_BEHIND = 6.0  # mm behind the nearest surface from which on a point is hidden
_DEPTH_SIDE = 256  # pixels of the picture that tells what hides what
_MIRROR_SIDE = 256  # texels of the map that tells which texels mirror each other
_ERODED = 0.008  # share of the crop's side by which classes shrink: a parse is not exact at its edges
_HAIRLINE = 12.0  # mm over which skin passes into hair
_RIM = (Part.NECK, Part.EAR)
_ALIKE = (0.25, 0.5)  # difference in a colour's logarithm up to which these are skin, and from which they are not
_FADE, _NEAR = 0.02, 2.0  # of the texture's side, over which what is seen of a neck fades out
_SCLERA, _IRIS, _GUMS, _TEETH = (214, 205, 198), (72, 50, 36), (116, 58, 54), (222, 212, 196)  # sRGB
_PUPIL = 0.42  # of the iris's radius
_SHOWN: dict[int, tuple[MaskClass, ...]] = {
    **dict.fromkeys((Part.FACE, Part.EAR, Part.NECK), (MaskClass.SKIN, MaskClass.BROWS, MaskClass.MOUTH)),
    Part.SCALP: (MaskClass.SKIN, MaskClass.HAIR),
    **dict.fromkeys((Part.EYE_LEFT, Part.EYE_RIGHT), (MaskClass.EYES,)),
    Part.MOUTH: (MaskClass.MOUTH,),
    Part.TEETH: (MaskClass.TEETH,),
}
"""What a photo shows where it shows a part of the head."""


@dataclass(frozen=True)
class HeadTexture:
    """A texture on the rig's chart, row 0 being v = 1."""

    colours: NDArray[np.uint8]
    """[T, T, 3] sRGB."""
    visibility: Floats
    """[T, T] from 0, a guess, to 1, as the photo shows it."""


def texture_of_head(
    photo: NDArray[Any],
    crop: FaceCrop,
    parse: NDArray[np.uint8],
    mesh: Mesh,
    places: NDArray[np.float64],
    side: int = SIDE,
) -> HeadTexture:
    """Take the texture of a head of the shipped rig from its photo.

    Args:
        photo: H×W×3 RGB.
        crop: The face's crop in it.
        parse: h×w of `MaskClass`, of the rectangle of the photo that `FaceCrop.place` names.
        mesh: The head in the crop's camera frame, mm, its vertices those of the rig.
        places: [V, 2] where they lie in the crop, shares of its side; x right, y down.
        side: T.
    """
    rig, chart = shipped_rig(), chart_of(side)
    seen_at = np.concatenate([places, vertex_normals(mesh)[:, 2:], mesh.vertices[:, 2:]], axis=1)
    texels = chart.of(seen_at, rig.faces).astype(np.float32)  # [T, T, 4]
    on_chart, part = chart.triangle >= 0, rig.face_part[chart.triangle.clip(0)]
    sharp = crop.at(min(_LARGEST, max(64, round(crop.side))))
    picture = sharp.extract(photo)
    grid = texels[..., :2] * np.float32(sharp.size) - np.float32(0.5)
    colours = sampled(picture.astype(np.float32), grid)

    facing = smoothstep(_GRAZING, _FRONTAL, texels[..., 2])
    shown = _shown_there(parse, crop, photo.shape, texels[..., :2], part)
    weight = np.asarray(facing * shown * _unhidden(mesh, places, texels) * on_chart, np.float32)
    hair = rig.regions["hairline"]
    base = _own_colours(rig, chart, part, picture, _parse_of_crop(parse, crop, photo.shape, len(picture)))
    skin = on_chart & (part <= int(Part.NECK))
    # Soft: the parts' borders follow the edges of triangles.
    neck, ear = (ndimage.gaussian_filter((part == int(p)).astype(np.float32), _FADE * side) for p in _RIM)
    surely = weight * (part == int(Part.FACE)) > 0.9
    if surely.any():  # collars, and what lies behind ears, are often taken for skin: that has about the face's colour
        tone = np.median(colours[surely], axis=0)
        alike = np.abs(np.log(colours + 8.0) - np.log(tone + 8.0)).max(-1)
        as_skin = smoothstep(_ALIKE[1], _ALIKE[0], alike.astype(np.float32))
        weight = weight * (1.0 - (neck + ear).clip(0.0, 1.0) * (1.0 - as_skin))
        base[part == int(Part.NECK)] = tone
        base = np.where((part <= int(Part.NECK))[..., None], base + (tone - base) * neck[..., None], base)
    filled = inpainted(colours, np.asarray(weight * skin, np.float32), _mirror_of(side))
    near = ndimage.gaussian_filter(weight, _FADE * side) * _NEAR  # necks fade from what is seen to the face's colour
    filled += (base - filled) * (neck * (1.0 - near.clip(0.0, 1.0)) * (1.0 - weight))[..., None]
    haired = smoothstep(0.0, _HAIRLINE, chart.of(hair[:, None], rig.faces)[..., 0].astype(np.float32)) * skin
    filled += (base - filled) * (haired * (1.0 - weight))[..., None]
    filled = np.where(skin[..., None], filled, colours * weight[..., None] + base * (1.0 - weight[..., None]))
    filled = _spread(filled.astype(np.float32), on_chart)
    return HeadTexture(np.rint(filled).clip(0, 255).astype(np.uint8), weight)


@lru_cache(maxsize=2)
def chart_of(side: int) -> Seen:
    """Which triangle of the shipped rig each texel of its chart is on."""
    rig = shipped_rig()
    return texels_of(rig.uv, rig.faces, side)


@lru_cache(maxsize=2)
def _mirror_of(side: int) -> Floats:
    """[T, T, 2] column and row of the texel on the other half of the mean head, for `cv2.remap`."""
    rig, small = shipped_rig(), chart_of(_MIRROR_SIDE)
    rest = small.of(rig.mean, rig.faces)
    skin = (small.triangle >= 0) & (rig.face_part[small.triangle.clip(0)] <= int(Part.NECK))
    rows, columns = np.nonzero(skin)
    _, nearest = cKDTree(rest[skin]).query(rest[skin] * [-1.0, 1.0, 1.0])
    factor = side / _MIRROR_SIDE
    other = np.zeros((_MIRROR_SIDE, _MIRROR_SIDE, 2), np.float32)
    other[rows, columns] = (np.stack([columns[nearest], rows[nearest]], axis=1) + 0.5) * factor - 0.5
    other = _spread(other, skin)
    smooth = cv2.GaussianBlur(other, (0, 0), 1.0)
    return np.asarray(cv2.resize(smooth, (side, side), interpolation=cv2.INTER_LINEAR), np.float32)


def _shown_there(
    parse: NDArray[np.uint8], crop: FaceCrop, shape: tuple[int, ...], places: Floats, part: NDArray[np.uint8]
) -> Floats:
    """[T, T] whether the photo shows, where a texel lies, what the texel is of; soft at the edges."""
    column, row, inside = _pixels_of_parse(parse, crop, shape, places.reshape(-1, 2))
    reach = max(1, round(_ERODED * crop.side))
    shown = np.zeros(part.shape, np.float32)
    for parts, classes in _SHOWN.items():
        here = np.isin(parse, classes)
        # Eyes and mouth are small, and what lies beside them is taken for nothing else of the head.
        near = cv2.blur(here.astype(np.float32), (reach, reach)) if parts <= int(Part.NECK) else here
        values = np.where(inside, np.asarray(near)[row, column], 0.0)
        shown = np.where(part == int(parts), values.reshape(part.shape), shown)
    return np.asarray(smoothstep(0.5, 1.0, shown.astype(np.float32)))


def _pixels_of_parse(
    parse: NDArray[np.uint8], crop: FaceCrop, shape: tuple[int, ...], places: NDArray[np.floating]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Column and row of a parse at places [N, 2] of the crop, shares of its side, and whether it has them."""
    x, y, width, height = crop.place(*shape[:2])
    photo = crop.to_photo(places.astype(np.float64) * crop.size)
    column, row = np.floor(photo - [x, y]).astype(np.int64).T
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    return column.clip(0, width - 1), row.clip(0, height - 1), inside


def parse_of_crop(region: FaceRegion, side: int) -> NDArray[np.uint8]:
    """The parse as the crop's pixels show it, [S, S], S being ``side``; other where there is none."""
    return _parse_of_crop(region.parse, region.crop, (region.height, region.width), side)


def _parse_of_crop(parse: NDArray[np.uint8], crop: FaceCrop, shape: tuple[int, ...], side: int) -> NDArray[np.uint8]:
    """[S, S] the parse as the crop's pixels show it, other where there is none."""
    middle = (np.arange(side) + 0.5) / side
    places = np.stack(np.meshgrid(middle, middle), axis=-1).reshape(-1, 2)
    column, row, inside = _pixels_of_parse(parse, crop, shape, places)
    return np.where(inside, parse[row, column], int(MaskClass.OTHER)).reshape(side, side).astype(np.uint8)


def _unhidden(mesh: Mesh, places: NDArray[np.float64], texels: Floats) -> NDArray[np.bool_]:
    """[T, T] whether nothing of the head lies before a texel."""
    side = _DEPTH_SIDE
    points = np.concatenate([places * side, mesh.vertices[:, 2:]], axis=1)
    nearest = rasterize(points, mesh.triangles, side, side, -mesh.vertices[:, 2])
    drawn = nearest.of(mesh.vertices[:, 2:], mesh.triangles)[..., 0]
    depth: Floats = np.where(nearest.triangle >= 0, drawn, -np.inf).astype(np.float32)
    grid: Floats = texels[..., :2] * np.float32(side) - np.float32(0.5)
    before = sampled(depth, grid, cv2.INTER_NEAREST)
    return np.asarray(texels[..., 3] > before - _BEHIND)


def _own_colours(
    rig: Rig, chart: Seen, part: NDArray[np.uint8], picture: NDArray[np.uint8], parse: NDArray[np.uint8]
) -> Floats:
    """[T, T, 3] what parts look like that no photo shows: hair, eyeballs, the mouth's inside and the teeth."""
    hair = picture[parse == int(MaskClass.HAIR)]
    skin = picture[parse == int(MaskClass.SKIN)]
    grown = len(hair) > 0.02 * parse.size
    on_scalp = np.median(hair if grown else skin, axis=0) if grown or len(skin) else np.array([120.0, 96.0, 84.0])
    base = np.broadcast_to(on_scalp, (*part.shape, 3)).astype(np.float32).copy()
    rest = chart.of(rig.mean, rig.faces)
    for eye, number in enumerate((Part.EYE_LEFT, Part.EYE_RIGHT)):
        here = part == int(number)
        away = rest[here] - rig.eye_centre[eye]
        from_axis = np.where(away[:, 2] > 0, np.linalg.norm(away[:, :2], axis=1), np.inf) / rig.iris_radius
        ring = smoothstep(1.04, 0.94, from_axis.astype(np.float32))[:, None]
        pupil = smoothstep(_PUPIL + 0.04, _PUPIL - 0.04, from_axis.astype(np.float32))[:, None]
        base[here] = (np.array(_SCLERA) * (1 - ring) + np.array(_IRIS) * ring) * (1 - pupil) + 12.0 * pupil
    base[part == int(Part.MOUTH)] = _GUMS
    base[part == int(Part.TEETH)] = _TEETH
    return base


def _spread(values: Floats, known: NDArray[np.bool_]) -> Floats:
    """Values [T, T, C] carried on beyond the chart, so that nothing bleeds in where it is sampled."""
    nearest = ndimage.distance_transform_edt(~known, return_distances=False, return_indices=True)
    return np.asarray(values[tuple(nearest)])
