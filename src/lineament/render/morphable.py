# SPDX-License-Identifier: Apache-2.0
"""A rig as a 3D morphable model in torch: shape and albedo of coefficients, and the pose that a picture shows."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch import Tensor

from lineament.render.cameras import CameraBatch, axis_rotation
from lineament.rig import Rig
from lineament.rig.posing import DISTANCE, FOCAL


@dataclass(frozen=True)
class MorphableFace:
    """The bases of a rig on a device, for all of its V vertices or for some."""

    mean: Tensor  # [V, 3] mm, rig frame
    identity: Tensor  # [K, V, 3] mm for one standard deviation
    expression: Tensor  # [E, V, 3] mm at weight 1
    albedo_mean: Tensor  # [V, 3] linear reflectance
    albedo: Tensor  # [A, V, 3] for one standard deviation
    landmarks: Tensor  # [68] int64

    @classmethod
    def of(cls, rig: Rig, device: torch.device | str = "cpu") -> MorphableFace:
        """Move a rig's bases to a device."""

        def tensor(array: np.ndarray) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(array)).to(device)

        return cls(
            mean=tensor(rig.mean),
            identity=tensor(rig.identity),
            expression=tensor(rig.expression),
            albedo_mean=tensor(rig.albedo_mean),
            albedo=tensor(rig.albedo),
            landmarks=tensor(rig.landmarks.astype(np.int64)),
        )

    def at(self, vertices: Tensor) -> MorphableFace:
        """The model of some vertices [M] alone; the landmarks are those that are among them, by their new numbers."""
        places = {int(vertex): number for number, vertex in enumerate(vertices.tolist())}
        known = [places[vertex] for vertex in self.landmarks.tolist() if vertex in places]
        return replace(
            self,
            mean=self.mean[vertices],
            identity=self.identity[:, vertices],
            expression=self.expression[:, vertices],
            albedo_mean=self.albedo_mean[vertices],
            albedo=self.albedo[:, vertices],
            landmarks=torch.tensor(known, device=self.mean.device, dtype=torch.int64),
        )

    def to(self, device: torch.device) -> MorphableFace:
        """The same on another device."""
        return MorphableFace(**{f.name: getattr(self, f.name).to(device) for f in fields(self)})

    def shape(self, identity: Tensor, expression: Tensor) -> Tensor:
        """Vertices [B, V, 3] in mm, rig frame, of coefficients [B, K] and weights [B, E]."""
        offsets = identity @ self.identity.flatten(1) + expression @ self.expression.flatten(1)
        return self.mean + offsets.view(len(identity), -1, 3)

    def skin(self, albedo: Tensor) -> Tensor:
        """Linear reflectance [B, V, 3] of coefficients [B, A]; not bounded."""
        return self.albedo_mean + (albedo @ self.albedo.flatten(1)).view(len(albedo), -1, 3)


def head_rotation(angles: Tensor) -> Tensor:
    """Rotations [B, 3, 3] of angles [B, 3]; see `lineament.rig.posing.head_rotation`."""
    pitch, yaw, roll = torch.rad2deg(angles).unbind(1)
    return axis_rotation(2, roll) @ axis_rotation(0, pitch) @ axis_rotation(1, yaw)


def assumed_camera(rotation: Tensor, translation: Tensor, side: int) -> CameraBatch:
    """The camera that is assumed of a square picture (`lineament.rig.posing`), its axis through the picture's middle.

    Args:
        rotation: [B, 3, 3].
        translation: [B, 3] mm, of the rig's origin in the camera frame.
        side: Pixels.
    """
    one = translation.new_ones(len(translation))
    origin = -(translation[:, None] @ rotation)[:, 0]  # R (v - o) = R v + t
    middle = translation.new_full((len(translation), 2), 0.5 * side)
    return CameraBatch(rotation, origin, DISTANCE * one, FOCAL * side * one, middle)


def posed(vertices: Tensor, camera: CameraBatch) -> Tensor:
    """Vertices [B, V, 3] of the rig frame in the camera frame, mm."""
    return (vertices - camera.origin[:, None]) @ camera.rotation.transpose(1, 2)
