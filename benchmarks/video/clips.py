# SPDX-License-Identifier: Apache-2.0
"""Rendered clips of people whose geometry is known in every frame, for `steadiness.py`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from lineament.annotations.parsing import FACE_CLASSES
from lineament.render.cameras import project
from lineament.render.raster import vertex_normals
from lineament.rig import Part, load_rig
from lineament.synth import Generator, SynthConfig
from lineament.synth.degrade import DegradeConfig
from lineament.synth.light import Light, sample_light
from lineament.synth.person import PosedFace, finished, pose_faces, shape_of
from lineament.synth.random import SampleRandom

SIZE = 512  # px
RATE = 30.0  # frames a second
CLIPS = ("turning", "talking", "light")
"""What moves: the head from side to side, the mouth, or the lamp."""

_NOISE = 0.015  # of the sensor, anew in every frame
_GRAZING = 0.3  # n_z of a vertex below which it is not compared
_DEPTH = 4.0  # px by which a vertex may lie behind what is seen
_TURN, _NOD, _STEP = 25.0, 6.0, 12.0  # degrees, degrees, px
_SWING = 0.6  # Hz


@dataclass(frozen=True)
class ClipFrame:
    """A frame, with the truth at the face's vertices."""

    picture: NDArray[np.uint8]  # [S, S, 3] sRGB
    places: NDArray[np.float64]  # [V, 2] px
    normals: NDArray[np.float64]  # [V, 3] unit, camera frame
    seen: NDArray[np.bool_]  # [V]
    rotation: NDArray[np.float64]  # [3, 3] from the head's frame to the camera's


def clip(kind: str, seconds: float, person: int, seed: int = 77) -> Iterator[ClipFrame]:
    """A clip of one person, of whom one thing moves."""
    camera = replace(
        DegradeConfig(), blur_sigma=0.8, defocus=0.0, motion=0.0, low_resolution=0.0, noise_level=0.0,
        coarse_noise=0.0, haze=0.0, grey=0.0, jpeg_lowest=60.0,
    )  # fmt: skip
    config = SynthConfig(
        size=SIZE, seed=seed, degrade=camera, hats=0.0, covered=0.0, glasses=0.0, detail=0.0, frontal=1.0,
        expression=0.3, span_low=0.45, span_high=0.5, nearest=800.0,
    )  # fmt: skip
    rig = load_rig()
    generator = Generator(config, rig)
    draws, own = SampleRandom(seed, [person]), SampleRandom(seed + 1, [person])
    face = pose_faces(generator.rig, config, draws, own)
    light = sample_light(draws, config.panels)
    noise = np.random.default_rng((seed, person, CLIPS.index(kind)))
    skin = (generator.rig.part == int(Part.FACE)).numpy()
    for number in range(round(seconds * RATE)):
        phase = 2.0 * math.pi * _SWING * number / RATE
        posed = _posed(generator, face, phase, kind)
        lit = _turned_light(light, 40.0 * math.sin(phase)) if kind == "light" else light
        sample = generator.photograph(posed, lit, [person], [person], draws, own)
        picture = sample.image[0].permute(1, 2, 0).numpy()
        picture = (picture + _NOISE * noise.standard_normal(picture.shape)).clip(0.0, 1.0)
        points, _ = project(posed.vertices, posed.camera)
        places = points[0, :, :2].numpy().astype(np.float64)
        normals = posed.normals[0].numpy().astype(np.float64)
        column, row = np.floor(places).astype(np.int64).clip(0, SIZE - 1).T
        height = (posed.vertices[0, :, 2] * posed.camera.scale[0]).numpy()
        in_front = np.abs(sample.depth[0, 0].numpy()[row, column] - height) < _DEPTH
        shown = np.isin(sample.mask[0, 0].numpy()[row, column], FACE_CLASSES)
        yield ClipFrame(
            picture=(255.0 * picture).round().astype(np.uint8),
            places=places,
            normals=normals,
            seen=skin & in_front & shown & (normals[:, 2] > _GRAZING),
            rotation=posed.camera.rotation[0].numpy().astype(np.float64),
        )


def _posed(generator: Generator, face: PosedFace, phase: float, kind: str) -> PosedFace:
    """A person at a moment of a clip."""
    rig = generator.rig
    expression = face.expression.clone()
    if kind == "talking":
        swing = 0.5 - 0.5 * math.cos(4.0 * phase)
        for name, strength in (("jawOpen", 0.5 * swing), ("mouthFunnel", 0.3 * math.sin(3.0 * phase) ** 2)):
            expression[:, rig.expression_names.index(name)] = strength
    shape = shape_of(rig, face.identity, face.asymmetry, expression, face.deformation)
    shape = finished(shape, face.stretch, face.profile, face.curvature)
    turning = kind == "turning"
    angles = [0.0, _NOD * math.sin(1.7 * phase), _TURN * math.sin(phase)] if turning else [0.0, 0.0, 0.0]
    turn = torch.tensor(Rotation.from_euler("ZXY", angles, degrees=True).as_matrix(), dtype=torch.float32)[None]
    vertices = (shape - face.camera.origin[:, None]) @ turn.transpose(1, 2)
    step = torch.tensor([[_STEP * math.sin(0.8 * phase), 0.5 * _STEP * math.sin(1.3 * phase)]]) * turning
    camera = replace(face.camera, rotation=turn, principal=face.camera.principal + step)
    landmarks, _ = project(vertices[:, rig.landmarks], camera)
    return replace(
        face,
        vertices=vertices,
        normals=vertex_normals(vertices, rig.faces),
        expression=expression,
        landmarks=landmarks[..., :2],
        camera=camera,
    )


def _turned_light(light: Light, degrees: float) -> Light:
    """A light whose lamps have gone around the head."""
    turn = Rotation.from_euler("y", degrees, degrees=True).as_matrix().astype(np.float32)
    return replace(light, direction=light.direction @ torch.from_numpy(turn).T)
