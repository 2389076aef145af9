# SPDX-License-Identifier: Apache-2.0
"""Who stands where: identity, expression, gaze, pose and camera of a batch of faces."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lineament.alignment.crop import LIFT
from lineament.render.cameras import CameraBatch, axis_rotation, project
from lineament.render.raster import vertex_normals
from lineament.rig import Part, Rig
from lineament.synth.config import SynthConfig
from lineament.synth.deform import Deformation
from lineament.synth.random import SampleRandom

_STRETCH = (0.05, 0.05, 0.14)  # width, height, depth: standard deviation of the logarithm

# Near-frontal heads, degrees (positive looks down): the rig's neutral pose bows the head a little more than people do.
_FRONTAL_MEAN = (0.0, -4.0, 0.0)  # yaw, pitch, roll
_FRONTAL = (10.0, 12.0, 6.0)  # their standard deviations

_CHEEK = 65.0  # mm from the midline, where cheeks end

_MIDLINE = 25.0  # mm, over which an asymmetry passes from one half of the face to the other


@dataclass(frozen=True)
class RigTensors:
    """A rig as tensors on one device, with what the generator derives from it once."""

    mean: Tensor  # [V, 3]
    faces: Tensor  # [F, 3]
    face_part: Tensor  # [F]
    part: Tensor  # [V]
    uv: Tensor  # [V, 2]
    identity: Tensor  # [K, V * 3]
    expression: Tensor  # [E, V * 3]
    landmarks: Tensor  # [68]
    regions: dict[str, Tensor]  # [V] each
    mirror: Tensor  # [E] index of the expression on the other side of the face, itself when it has no side
    expression_names: tuple[str, ...]
    eye_centre: Tensor  # [2, 3]
    deformation: Deformation

    @classmethod
    def of(cls, rig: Rig, device: torch.device) -> RigTensors:
        """Move a rig to a device."""

        def tensor(array: np.ndarray, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.as_tensor(np.ascontiguousarray(array)).to(device=device, dtype=dtype)

        mean, eye_centre = tensor(rig.mean), tensor(rig.eye_centre)
        part = tensor(rig.part.astype(np.int64), torch.int64)
        return cls(
            mean=mean,
            faces=tensor(rig.faces.astype(np.int64), torch.int64),
            face_part=tensor(rig.face_part.astype(np.int64), torch.int64),
            part=part,
            uv=tensor(rig.uv),
            identity=tensor(rig.identity.reshape(len(rig.identity), rig.mean.size)),
            expression=tensor(rig.expression.reshape(len(rig.expression), rig.mean.size)),
            landmarks=tensor(rig.landmarks.astype(np.int64), torch.int64),
            regions={name: tensor(field) for name, field in rig.regions.items()},
            mirror=torch.tensor(_mirrored(rig.expression_names), device=device),
            expression_names=tuple(rig.expression_names),
            eye_centre=eye_centre,
            deformation=Deformation.of(mean, part, eye_centre, tensor(rig.regions["eye_line"])),
        )


@dataclass(frozen=True)
class PosedFace:
    """Faces in front of their cameras."""

    vertices: Tensor  # [B, V, 3] mm, camera frame, origin at the face's centre
    normals: Tensor  # [B, V, 3] unit, camera frame
    identity: Tensor  # [B, K]
    asymmetry: Tensor  # [B, K]
    stretch: Tensor  # [B, 3] factors of the rig's x, y, z
    profile: Tensor  # [B] shear: depth lost per height
    curvature: Tensor  # [B] depth lost per square of the distance from the midline, 1/mm
    deformation: Tensor  # [B, 2, 3, M] weights of `Deformation`
    expression: Tensor  # [B, E]
    landmarks: Tensor  # [B, 68, 2] px
    camera: CameraBatch


def pose_faces(rig: RigTensors, config: SynthConfig, random: SampleRandom, person: SampleRandom) -> PosedFace:
    """Draw people and stand them before cameras.

    Args:
        rig: The face model.
        config: Ranges.
        random: Draws that belong to the photo.
        person: Draws that belong to the person: the same for every photo of one identity.

    Returns:
        The batch's posed faces.
    """
    identity = _identities(rig, config, person)
    asymmetry = config.asymmetry * person.normal("asymmetry", shape=(rig.identity.shape[0],))
    expression = config.expression * _expressions(rig, random)
    # Heads are deeper and flatter, narrower and wider than the basis makes them: a photo must be read for it.
    spread = config.stretch * torch.tensor(_STRETCH, device=identity.device)
    stretch = person.normal("stretch", shape=(3,)).clamp(-2.5, 2.5) * spread
    stretch = stretch.exp() * torch.tensor([1.0, 1.0, config.mean_depth], device=identity.device)
    profile = torch.deg2rad(config.mean_profile + config.profile * person.normal("profile").clamp(-2.5, 2.5)).tan()
    curvature = 1e-3 * (config.mean_curvature + config.curvature * person.normal("curvature").clamp(-2.5, 2.5))
    deformation = rig.deformation.draw(person, config.deformation)
    shape = shape_of(rig, identity, asymmetry, expression, deformation)
    shape = finished(_gaze(rig, shape, random), stretch, profile, curvature)

    marks = shape[:, rig.landmarks]  # [B, 68, 3]
    origin = 0.5 * (marks.amin(1) + marks.amax(1))  # [B, 3]
    rotation = _rotations(config, random)
    vertices = (shape - origin[:, None]) @ rotation.transpose(1, 2)
    camera = _cameras(config, random, vertices[:, rig.landmarks], rotation, origin)
    landmarks, _ = project(vertices[:, rig.landmarks], camera)
    return PosedFace(
        vertices=vertices,
        normals=vertex_normals(vertices, rig.faces),
        identity=identity,
        asymmetry=asymmetry,
        stretch=stretch,
        profile=profile,
        curvature=curvature,
        deformation=deformation,
        expression=expression,
        landmarks=landmarks[..., :2],
        camera=camera,
    )


def _identities(rig: RigTensors, config: SynthConfig, person: SampleRandom) -> Tensor:
    """Coefficients [B, K]: Gaussian, more spread in some people, and far out in a few directions of each."""
    identity = person.normal("identity", shape=(rig.identity.shape[0],))
    # Real faces have heavier tails than the scans that the basis was learned from.
    spread = 1.0 + config.heavy_tails * person.uniform("identity spread", -0.2, 0.45)
    far = (person.uniform("identity far out", shape=(identity.shape[1],)) < 0.06).to(identity.dtype)
    return identity * spread[:, None] * (1.0 + 0.6 * config.heavy_tails * far)


def shape_of(rig: RigTensors, identity: Tensor, asymmetry: Tensor, expression: Tensor, deformation: Tensor) -> Tensor:
    """Vertices [B, V, 3] in mm, not yet stretched and sheared.

    Args:
        rig: The face model.
        identity: [B, K] coefficients.
        asymmetry: [B, K] coefficients that are added on the side of positive x and taken away on the other, fading
            over the midline.
        expression: [B, E] weights.
        deformation: [B, 2, 3, M] weights.
    """
    halves = torch.tanh(rig.mean[:, :1] / _MIDLINE)  # [V, 1]
    # Row by row: a product over another number of rows may round otherwise, and a sample must not know its batch.
    rows = [
        rig.mean + (i @ rig.identity + e @ rig.expression).view(-1, 3) + halves * (a @ rig.identity).view(-1, 3)
        for i, a, e in zip(identity, asymmetry, expression, strict=True)
    ]
    return torch.stack(rows) + rig.deformation.displacement(deformation)


def finished(shape: Tensor, stretch: Tensor, profile: Tensor, curvature: Tensor) -> Tensor:
    """Stretch faces [B, V, 3] by factors [B, 3], then shear and round them along the line of sight.

    A shear by slopes [B] lets chins come forward or recede; curvature [B] lets cheeks fall back to the sides. From the
    front the features stay where they are; only shading and contours tell.
    """
    shape = shape * stretch[:, None]
    # Beyond the cheeks the head goes on as it is: no ear is bent backwards.
    across = shape[..., 0].clamp(-_CHEEK, _CHEEK).square()
    depth = shape[..., 2] - profile[:, None] * shape[..., 1] - curvature[:, None] * across
    return torch.cat([shape[..., :2], depth[..., None]], dim=-1)


def _mirrored(names: Sequence[str]) -> list[int]:
    index = {name: i for i, name in enumerate(names)}
    other = {"_L": "_R", "_R": "_L"}
    return [index.get(n[:-2] + other[n[-2:]], i) if n[-2:] in other else i for i, n in enumerate(names)]


def _expressions(rig: RigTensors, random: SampleRandom) -> Tensor:
    """Coefficients [B, E]: from neutral to strong, mostly symmetric, often a smile or an open mouth."""
    count = len(rig.expression_names)
    style = random.choice("expression style", (0.52, 0.37, 0.11))  # neutral, mild, strong
    strength = torch.tensor([0.12, 0.4, 0.85], device=style.device)[style]
    share = torch.tensor([0.1, 0.13, 0.18], device=style.device)[style]
    active = random.uniform("expression active", shape=(count,)) < share[:, None]
    value = random.uniform("expression value", shape=(count,)) * active * strength[:, None]
    lead = torch.minimum(torch.arange(count, device=style.device), rig.mirror)  # one draw for both sides
    lopsided = random.bernoulli("expression lopsided", 0.2)[:, None]
    value = torch.where(lopsided, value, value[:, lead])

    def add(names: Sequence[str], amount: Tensor) -> None:
        for name in names:
            if name in rig.expression_names:
                column = rig.expression_names.index(name)
                value[:, column] = torch.maximum(value[:, column], amount)

    smile = random.bernoulli("smile", 0.35) * random.uniform("smile amount", 0.05, 0.85)
    add(("mouthSmile_L", "mouthSmile_R"), smile)
    add(("cheekSquint_L", "cheekSquint_R"), 0.6 * smile)
    shown = random.bernoulli("smile shows teeth", 0.5) * smile
    add(("mouthUpperUp_L", "mouthUpperUp_R", "mouthLowerDown_L", "mouthLowerDown_R"), 0.5 * shown)
    opened = random.bernoulli("mouth open", 0.12) * random.uniform("mouth open amount", 0.05, 0.5)
    add(("jawOpen",), opened)
    for name in ("mouthClose", "cheekPuff_L", "cheekPuff_R"):
        # mouthClose only makes sense against an open jaw; puffed cheeks are rare.
        if name in rig.expression_names:
            value[:, rig.expression_names.index(name)] *= 0.0 if name == "mouthClose" else 0.5
    blink = random.bernoulli("eyes closed", 0.04).to(value.dtype)
    add(("eyeBlink_L", "eyeBlink_R"), blink)
    return value.clamp(0.0, 1.0)


def _rotations(config: SynthConfig, random: SampleRandom) -> Tensor:
    frontal = random.bernoulli("frontal", config.frontal)
    spread = random.normal("pose", shape=(3,)) * torch.tensor(_FRONTAL, device=frontal.device)
    spread = spread + torch.tensor(_FRONTAL_MEAN, device=frontal.device)

    def angle(column: int, name: str, limit: float) -> Tensor:
        drawn = torch.where(frontal, spread[:, column], random.uniform(name, -limit, limit))
        return drawn.clamp(-limit, limit)

    yaw = angle(0, "yaw", config.yaw)
    pitch = angle(1, "pitch", config.pitch)
    roll = angle(2, "roll", config.roll)
    return axis_rotation(2, roll) @ axis_rotation(0, pitch) @ axis_rotation(1, yaw)


def _gaze(rig: RigTensors, shape: Tensor, random: SampleRandom) -> Tensor:
    """Turn both eyeballs, with a little vergence, about their own centres."""
    turn = random.normal("gaze", shape=(2,)).clamp(-2.0, 2.0)
    vergence = random.uniform("vergence", 0.0, 2.5)
    shape = shape.clone()
    for eye, (part, sign) in enumerate(((Part.EYE_LEFT, -1.0), (Part.EYE_RIGHT, 1.0))):
        own = (rig.part == int(part)).nonzero()[:, 0]
        moved = (shape[:, own] - rig.mean[own]).mean(1)
        centre = (rig.eye_centre[eye] + moved)[:, None]  # [B, 1, 3]
        rotation = axis_rotation(1, 9.0 * turn[:, 0] + sign * vergence) @ axis_rotation(0, 5.0 * turn[:, 1])
        shape[:, own] = (shape[:, own] - centre) @ rotation.transpose(1, 2) + centre
    return shape


def _cameras(config: SynthConfig, random: SampleRandom, marks: Tensor, rotation: Tensor, origin: Tensor) -> CameraBatch:
    """Cameras that frame the landmarks [B, 68, 3] about as the canonical crop does: shifted, and of varied span."""
    distance = random.log_uniform("distance", config.nearest, config.farthest)
    flat = marks[..., :2] / (distance[:, None, None] - marks[..., 2:]).clamp_min(20.0)  # [B, 68, 2]
    low, high = flat.amin(1), flat.amax(1)
    extent = (high - low).amax(-1)
    middle = math.sqrt(config.span_low * config.span_high)
    width = 0.5 * math.log(config.span_high / config.span_low)
    # Half of a Gaussian, half uniform: most crops are near the canonical span, none is out of range.
    drawn = torch.where(
        random.bernoulli("span kind", 0.5),
        0.45 * random.normal("span"),
        random.uniform("span wide", -1.0, 1.0),
    ).clamp(-1.0, 1.0)
    span = middle * torch.exp(width * drawn)
    focal = span * config.size / extent
    centre = 0.5 * (low + high)
    shift = 0.04 * random.normal("shift", shape=(2,)).clamp(-2.5, 2.5) * config.size
    shift[:, 1] += LIFT * config.size
    principal = 0.5 * config.size + shift - focal[:, None] * centre * torch.tensor([1.0, -1.0], device=focal.device)
    return CameraBatch(rotation=rotation, origin=origin, distance=distance, focal=focal, principal=principal)
