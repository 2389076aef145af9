# SPDX-License-Identifier: Apache-2.0
"""Photos of heads whose geometry is known, for `heads.py`: the heads become a rig, and the generator photographs them.

The heads are those of ``gnm_heads.npz``: ``vertices`` [N, 17821, 3] in millimetres and ``triangles``, in the topology
of Google's GNM Head v3. Their shapes come from other statistics than the project's rig. Skin, hair, light, background
and camera are the generator's; wrinkles and pores are left out, so that the mesh's own normals are the whole truth.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from lineament.errors import DataError
from lineament.geometry.mesh import Mesh
from lineament.geometry.mesh import vertex_normals as mesh_normals
from lineament.geometry.spherical_harmonics import Y00, Y1M
from lineament.render.cameras import CameraBatch, project
from lineament.render.raster import interpolate, rasterize, vertex_normals
from lineament.render.vectors import unit
from lineament.rig import Part, Rig
from lineament.rig.build import skin_parts
from lineament.rig.eyes import IRIS_RADIUS, fit_sphere
from lineament.rig.model import CONTOUR
from lineament.rig.regions import compute_regions, find_ears
from lineament.synth.batch import MaskClass
from lineament.synth.config import SynthConfig
from lineament.synth.degrade import DegradeConfig
from lineament.synth.generator import Generator
from lineament.synth.light import LAMPS, Light
from lineament.synth.person import PosedFace, RigTensors
from lineament.synth.random import SampleRandom
from lineament.synth.skin import sample_person

FILE = "gnm_heads.npz"
SIZE = 512  # px, side of the pictures
SPAN = 0.55  # of that side, of the landmarks' bounding box
SEED = 2023
NECK = 60.0  # mm below the chin that heads are kept
EDGE = 2  # px off the outline of what is compared

# The 68 landmarks in the iBUG order as vertices of GNM Head v3.
# fmt: off
LANDMARKS = (
    8776, 11117, 10005, 10016, 8019, 9998, 9981, 9753, 12257, 3625, 3853, 3870, 1891, 3888, 3877, 4989, 2648,
    7691, 7590, 7445, 7086, 7678, 1550, 958, 1317, 1462, 1563,
    12320, 12327, 12309, 12296, 10215, 10224, 12298, 4096, 4087,
    11061, 11036, 7405, 6753, 7312, 6720, 625, 1277, 4908, 4933, 592, 1184,
    10654, 10674, 10734, 12276, 4606, 4546, 4526, 4683, 4691, 12284, 10819, 10811,
    10793, 10762, 12282, 4634, 4665, 4660, 12280, 10788,
)
# fmt: on
VERTICES = 17821
SKIN = slice(0, 12466)  # one closed surface with the mouth's inside
INNER_EYES = slice(12466, 13236)  # under the outer ones, never seen
LOWER_TEETH, TONGUE, UPPER_TEETH = slice(13236, 14676), slice(14676, 15609), slice(15609, 17049)
LEFT_EYE, RIGHT_EYE = slice(17049, 17435), slice(17435, 17821)

POSES = {  # yaw, pitch, roll in degrees (docs/conventions.md)
    "frontal": (0.0, 0.0, 0.0),
    "yaw -20": (-20.0, 0.0, 0.0),
    "yaw +40": (40.0, 0.0, 0.0),
    "pitch -15": (0.0, -15.0, 0.0),
    "roll +20": (0.0, 0.0, 20.0),
    "nearly frontal": (6.0, 4.0, -5.0),
    "yaw +20": (20.0, 0.0, 0.0),
    "yaw -40": (-40.0, 0.0, 0.0),
    "pitch +15": (0.0, 15.0, 0.0),
    "roll -20": (-10.0, 0.0, -20.0),
}
"""Every head is seen in all of them."""

SKINS = {"very light": 0.03, "light": 0.25, "tan": 0.48, "dark": 0.72, "very dark": 0.97}
"""Share of melanin, from the generator's lightest to its darkest."""

Colour = tuple[float, float, float]
_DAY, _WARM, _PLAIN = (0.96, 1.0, 1.05), (1.08, 1.0, 0.88), (1.0, 1.0, 1.0)


@dataclass(frozen=True)
class Lamp:
    """A lamp by its direction from the face, as the camera sees it, degrees; azimuths to the image's right."""

    azimuth: float
    elevation: float
    strength: float
    softness: float  # apparent size, 0 (a point) to 1
    colour: Colour = _PLAIN


@dataclass(frozen=True)
class Scene:
    """Lamps, and surroundings that are brighter on one side."""

    lamps: tuple[Lamp, ...]
    ambient: float
    brightest: tuple[float, float]  # azimuth and elevation, degrees
    uneven: float  # 0 for the same light from everywhere, to 1
    colour: Colour = _PLAIN


LIGHTS = {
    "flash": Scene((Lamp(3.0, 7.0, 1.0, 0.05),), 0.06, (0.0, 40.0), 0.3, _WARM),
    "window": Scene((Lamp(62.0, 12.0, 0.9, 0.6, _DAY),), 0.22, (70.0, 15.0), 0.7, _DAY),
    "above": Scene((Lamp(12.0, 62.0, 1.0, 0.12),), 0.3, (0.0, 70.0), 0.4),
    "overcast": Scene((), 0.9, (15.0, 65.0), 0.75, _DAY),
    "studio": Scene((Lamp(42.0, 30.0, 0.8, 0.35), Lamp(-55.0, 8.0, 0.35, 0.5, _WARM)), 0.12, (0.0, 30.0), 0.3),
}
"""The lights; every other picture has its mirror image."""


@dataclass(frozen=True)
class HeadPhoto:
    """A photo of a head, with the truth."""

    head: int
    light: str
    pose: str
    skin: str
    picture: NDArray[np.uint8]  # [S, S, 3] sRGB
    normals: NDArray[np.float32]  # [S, S, 3] unit, camera frame; zero off the head
    mask: NDArray[np.bool_]  # [S, S] the face: skin, lips, brows and eyes up to the hairline, not hidden by hair
    landmarks: NDArray[np.float64]  # [68, 2] px
    mean_head: NDArray[np.float32]  # [S, S, 3] normals of the heads' mean, turned alike, at the same places of the skin

    @property
    def box(self) -> tuple[float, float, float, float]:
        """The landmarks' bounding box: x, y, width, height in pixels."""
        low, high = self.landmarks.min(0), self.landmarks.max(0)
        return float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1])


def head_photos(root: Path, heads: int | None = None) -> Iterator[HeadPhoto]:
    """Photograph the heads, each in every pose; lights and skins go round so that each head meets all of them.

    Args:
        root: Folder with ``gnm_heads.npz``.
        heads: How many of them, the first ones; all by default.

    Raises:
        DataError: The file is missing or holds something else.
    """
    rig = read_heads(root, heads)
    camera = replace(
        DegradeConfig(), blur_sigma=0.8, defocus=0.0, motion=0.0, low_resolution=0.0, noise_level=0.015,
        coarse_noise=0.0, haze=0.0, grey=0.1, jpeg_lowest=60.0,
    )  # fmt: skip
    config = SynthConfig(size=SIZE, seed=SEED, degrade=camera, glasses=0.0, hats=0.0, covered=0.0, detail=0.0)
    generator = Generator(config, rig)
    people = {name: people_with(melanin, rig.identity_count) for name, melanin in SKINS.items()}
    for head in range(rig.identity_count):
        for number, pose in enumerate(POSES):
            light = list(LIGHTS)[(number + head) % len(LIGHTS)]
            # Poses five apart share a light, so that they must not share a skin as well.
            skin = list(SKINS)[(2 * number + 3 * head + number // len(LIGHTS)) % len(SKINS)]
            index = head * len(POSES) + number
            yield photograph(generator, rig, head, pose, light, skin, index, people[skin][head])


def read_heads(root: Path, heads: int | None = None) -> Rig:
    """The heads as a rig: their mean, and each head's difference from it as one shape.

    Args:
        root: Folder with ``gnm_heads.npz``.
        heads: How many of them to keep as shapes, the first ones; all by default. The mean is that of all.

    Raises:
        DataError: The file is missing or holds something else.
    """
    path = root / FILE
    try:
        with np.load(path, allow_pickle=False) as file:
            vertices, triangles = file["vertices"].astype(np.float64), file["triangles"].astype(np.int64)
    except FileNotFoundError:
        raise DataError(f"there is no {FILE} in {root}") from None
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{path} is no file of heads: {' '.join(str(error).split())}") from None
    if vertices.ndim != 3 or vertices.shape[1:] != (VERTICES, 3) or triangles.ndim != 2 or triangles.shape[1] != 3:
        raise DataError(f"{path} holds no heads of {VERTICES} vertices: {vertices.shape} and {triangles.shape}")
    triangles = triangles[~_within(INNER_EYES)[triangles].any(1)]
    mean = vertices.mean(0)
    landmarks = np.array(LANDMARKS, np.int32)
    ears = [mean[ear] for ear in find_ears(mean, mean[landmarks])]
    mean -= np.mean([0.5 * (ear.min(0) + ear.max(0)) for ear in ears], axis=0)
    offsets = vertices - vertices.mean(0)

    part = np.full(VERTICES, Part.FACE, np.uint8)
    part[_mouth_inside(mean, triangles)] = Part.MOUTH
    part[TONGUE], part[LOWER_TEETH], part[UPPER_TEETH] = Part.MOUTH, Part.TEETH, Part.TEETH
    part[LEFT_EYE], part[RIGHT_EYE] = Part.EYE_LEFT, Part.EYE_RIGHT
    normals = mesh_normals(Mesh(mean, triangles))
    regions = compute_regions(mean, normals, triangles, part, mean[landmarks])
    part = skin_parts(part, mean, normals, regions, mean[landmarks])
    spheres = [fit_sphere(mean[eye]) for eye in (LEFT_EYE, RIGHT_EYE)]
    # A bust's cut edges would show beside the clothes that the generator paints: the neck ends in a level edge.
    end = mean[landmarks[8], 1] - NECK
    triangles = triangles[mean[triangles, 1].max(1) > end]
    mean[:, 1] = mean[:, 1].clip(end)
    kept = np.unique(triangles)
    identity = offsets[:heads, kept]
    return Rig(
        mean=mean[kept].astype(np.float32),
        faces=np.searchsorted(kept, triangles).astype(np.int32),
        uv=np.zeros((len(kept), 2), np.float32),  # the generator paints without a chart
        part=part[kept],
        face_part=np.sort(part[triangles], axis=1)[:, 1],
        identity=identity.astype(np.float32),
        identity_std=np.sqrt((identity**2).sum(-1).mean(-1)).astype(np.float32),
        expression=np.zeros((0, len(kept), 3), np.float32),
        expression_names=(),
        expression_std=np.zeros(0, np.float32),
        landmarks=np.searchsorted(kept, landmarks).astype(np.int32),
        eye_centre=np.array([centre for centre, _ in spheres], np.float32),
        eye_radius=np.array([radius for _, radius in spheres], np.float32),
        iris_radius=IRIS_RADIUS,
        face_uv=np.zeros((len(kept), 2), np.float32),  # it takes neither maps nor albedo of them, only their shapes
        on_chart=np.zeros(len(triangles), np.bool_),
        contour=np.zeros((CONTOUR, 0), np.int32),
        albedo_mean=np.zeros((len(kept), 3), np.float32),
        albedo=np.zeros((0, len(kept), 3), np.float32),
        regions={name: field[kept] for name, field in regions.items()},
    )


def _within(part: slice) -> NDArray[np.bool_]:
    """[V] True at the vertices of a piece."""
    inside = np.zeros(VERTICES, bool)
    inside[part] = True
    return inside


def _mouth_inside(mean: NDArray[np.float64], triangles: NDArray[np.int64]) -> NDArray[np.bool_]:
    """[V] True at the skin's vertices behind the lips: those around the mouth that lie well below the surface seen."""
    marks = mean[list(LANDMARKS)]
    scale = 4.0  # px per mm
    low, high = marks.min(0), marks.max(0)
    points = np.column_stack([scale * (mean[:, 0] - low[0]), scale * (high[1] - mean[:, 1]), scale * mean[:, 2]])
    height, width = math.ceil(scale * (high[1] - low[1])), math.ceil(scale * (high[0] - low[0]))
    skin = triangles[_within(SKIN)[triangles].all(1)]
    seen = rasterize(torch.tensor(points, dtype=torch.float32)[None], torch.tensor(skin), height, width)
    column, row = np.floor(points[:, :2]).astype(np.int64).T
    nearest = seen.depth[0].numpy()[row.clip(0, height - 1), column.clip(0, width - 1)] / scale
    around = (np.abs(mean[:, 0]) < 45.0) & (mean[:, 1] < marks[33, 1]) & (mean[:, 1] > marks[57, 1] - 12.0)
    below = (nearest - mean[:, 2] > 5.0) & (mean[:, 2] > marks[0, 2] - 25.0)
    return np.asarray(around & below & _within(SKIN))


def people_with(melanin: float, count: int) -> list[int]:
    """Numbers of people of the generator whose skin is nearest to a share of melanin, without beards.

    A beard stands off the skin, which a truth without relief does not know.
    """
    numbers = range(400)
    person = sample_person(SampleRandom(SEED + 1, numbers))
    away = (person.melanin - melanin).abs() + (person.beard.density > 0).float()
    return [int(number) for number in away.argsort()[:count]]


def photograph(
    generator: Generator, rig: Rig, head: int, pose: str, light: str, skin: str, index: int, person: int
) -> HeadPhoto:
    """One photo of one head."""
    draws, own = SampleRandom(SEED, [index]), SampleRandom(SEED + 1, [person])
    face = posed(generator.rig, rig.mean + rig.identity[head], POSES[pose], draws)
    sample = generator.photograph(face, light_of(LIGHTS[light], mirrored=index % 2 == 1), [index], [person], draws, own)
    points, inverse = project(face.vertices, face.camera)
    seen = rasterize(points, generator.rig.faces, SIZE, SIZE, inverse)
    mean = vertex_normals(generator.rig.mean[None], generator.rig.faces) @ face.camera.rotation.transpose(1, 2)
    mean_head = unit(interpolate(mean, generator.rig.faces, seen))
    triangle = seen.triangle[0]
    part = torch.where(triangle >= 0, generator.rig.face_part[triangle.clamp_min(0)], -1).numpy()
    shown = sample.mask[0, 0].numpy()
    classes = [int(c) for c in (MaskClass.SKIN, MaskClass.BROWS, MaskClass.EYES, MaskClass.MOUTH)]
    parts = [int(p) for p in (Part.FACE, Part.EYE_LEFT, Part.EYE_RIGHT)]
    mask = _shrunk(np.isin(part, parts) & np.isin(shown, classes))
    return HeadPhoto(
        head,
        light,
        pose,
        skin,
        picture=(255.0 * sample.image[0].permute(1, 2, 0).numpy()).round().astype(np.uint8),
        normals=sample.smooth_normals[0].permute(1, 2, 0).numpy(),
        mask=mask,
        landmarks=face.landmarks[0].numpy().astype(np.float64),
        mean_head=mean_head[0].permute(1, 2, 0).numpy(),
    )


def _shrunk(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A mask without the rim of its outline, where pixels show the background in part; holes do not grow."""
    from scipy import ndimage

    outline = ndimage.binary_erosion(ndimage.binary_fill_holes(mask), iterations=EDGE)
    return np.asarray(mask & outline)


def posed(rig: RigTensors, shape: NDArray[np.float32], pose: Sequence[float], draws: SampleRandom) -> PosedFace:
    """A head [V, 3] before a camera whose distance is drawn, its landmarks spanning `SPAN` of the picture."""
    yaw, pitch, roll = pose
    turn = Rotation.from_euler("ZXY", [-roll, pitch, yaw], degrees=True).as_matrix()  # Rz(-roll) Rx(pitch) Ry(yaw)
    rotation = torch.tensor(turn, dtype=torch.float32)[None]
    vertices = torch.tensor(shape)[None]
    marks = vertices[:, rig.landmarks]
    origin = 0.5 * (marks.amin(1) + marks.amax(1))
    vertices = (vertices - origin[:, None]) @ rotation.transpose(1, 2)
    distance = draws.log_uniform("distance", 500.0, 2500.0)
    flat = vertices[:, rig.landmarks, :2] / (distance[:, None, None] - vertices[:, rig.landmarks, 2:])
    low, high = flat.amin(1), flat.amax(1)
    focal = SPAN * SIZE / (high - low).amax(-1)
    middle = 0.5 * focal[:, None] * (low + high) * torch.tensor([1.0, -1.0])
    shift = 0.03 * SIZE * draws.normal("shift", shape=(2,)).clamp(-2.0, 2.0)
    camera = CameraBatch(rotation, origin, distance, focal, 0.5 * SIZE + shift - middle)
    landmarks, _ = project(vertices[:, rig.landmarks], camera)
    return PosedFace(
        vertices=vertices,
        normals=vertex_normals(vertices, rig.faces),
        identity=torch.zeros(1, len(rig.identity)),
        asymmetry=torch.zeros(1, len(rig.identity)),
        stretch=torch.ones(1, 3),
        profile=torch.zeros(1),
        curvature=torch.zeros(1),
        deformation=torch.zeros(1, 2, 3, len(rig.deformation.waves)),
        expression=torch.zeros(1, 0),
        landmarks=landmarks[..., :2],
        camera=camera,
    )


def light_of(scene: Scene, mirrored: bool) -> Light:
    """A scene's light, or its mirror image, for one photo."""
    side = -1.0 if mirrored else 1.0

    def towards(azimuth: float, elevation: float) -> torch.Tensor:
        a, e = math.radians(side * azimuth), math.radians(elevation)
        return torch.tensor([math.sin(a) * math.cos(e), math.sin(e), math.cos(a) * math.cos(e)])

    off = Lamp(0.0, 0.0, 0.0, 0.1)
    lamps = [*scene.lamps, *[off] * (LAMPS - len(scene.lamps))]
    gradient = scene.uneven * towards(*scene.brightest)
    # Shading of ambient (1 + gradient · n); the first band's order is y, z, x.
    shape = torch.cat([torch.tensor([1.0 / Y00]), gradient[[1, 2, 0]] / Y1M, torch.zeros(5)])
    return Light(
        direction=torch.stack([towards(lamp.azimuth, lamp.elevation) for lamp in lamps])[None],
        colour=torch.tensor([[lamp.strength * c for c in lamp.colour] for lamp in lamps])[None],
        softness=torch.tensor([lamp.softness for lamp in lamps])[None],
        environment=scene.ambient * shape[None, :, None] * torch.tensor(scene.colour),
    )
