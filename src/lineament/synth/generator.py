# SPDX-License-Identifier: Apache-2.0
"""The generator: from (seed, index) to a photo of a face with every label.

The order of the work is that of a photo: a person with an expression stands before a camera (``face``), has skin
(``skin``) and hair (``hair``), is lit (``light``), stands before a background and is photographed (``degrade``).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from lineament.render.cameras import project
from lineament.render.colour import decode_srgb, encode_srgb
from lineament.render.raster import Fragments, interpolate, rasterize, vertex_normals
from lineament.render.vectors import dot, unit
from lineament.rig import Part, Rig
from lineament.synth.accessories import cover, glaze, wear_glasses
from lineament.synth.background import background
from lineament.synth.batch import MaskClass, SampleBatch
from lineament.synth.config import SynthConfig
from lineament.synth.degrade import Degrade
from lineament.synth.hair import HairMesh, grow_hair, hair_texture
from lineament.synth.labels import label_parts, visible_landmarks
from lineament.synth.light import Light, sample_light
from lineament.synth.noise import NoiseBank
from lineament.synth.organs import cloth, collar, cornea_height, eye_albedo, mouth_albedo, shoulders
from lineament.synth.person import PosedFace, RigTensors, pose_faces
from lineament.synth.random import SampleRandom
from lineament.synth.shade import shade
from lineament.synth.skin import REGIONS, Folds, Surface, feature_height, sample_person, skin_albedo, skin_height


class Generator:
    """Makes labelled faces; every sample is a pure function of (config.seed, index) on a given device."""

    def __init__(self, config: SynthConfig, rig: Rig, device: torch.device | str = "cpu") -> None:
        """Prepare the rig and the noise fields on a device."""
        self.config = config
        self.device = torch.device(device)
        self.rig = RigTensors.of(rig, self.device)
        self.hair = HairMesh.of(self.rig)
        self.bank = NoiseBank(seed=0, device=self.device)
        self.degrade = Degrade(config.degrade)
        self.marks = self.rig.mean[self.rig.landmarks]  # [68, 3]
        fixed = [self.rig.mean, self.rig.uv, *(self.rig.regions[name][:, None] for name in REGIONS)]
        self._fixed = torch.cat(fixed, dim=1)  # [V, 5 + regions]

    @torch.no_grad()
    def batch(self, indices: Sequence[int]) -> SampleBatch:
        """Make the samples of these indices.

        Args:
            indices: Any non-negative integers; the same index gives the same sample whatever stands beside it.

        Returns:
            The labelled batch, on the generator's device.
        """
        config = self.config
        people = [i % config.identities for i in indices] if config.identities else list(indices)
        draws = SampleRandom(config.seed, indices, self.device)
        own = SampleRandom(config.seed + 0x5EED, people, self.device)
        face = pose_faces(self.rig, config, draws, own)
        return self.photograph(face, sample_light(draws, config.panels), indices, people, draws, own)

    @torch.no_grad()
    def photograph(
        self,
        face: PosedFace,
        light: Light,
        indices: Sequence[int],
        people: Sequence[int],
        draws: SampleRandom,
        own: SampleRandom,
    ) -> SampleBatch:
        """Give posed faces skin, hair and a background, and photograph them under a light.

        Args:
            face: Who stands where, on the generator's rig.
            light: The light of every sample.
            indices: The samples' numbers.
            people: The people's numbers.
            draws: Draws that belong to the photo.
            own: Draws that belong to the person.

        Returns:
            The labelled batch, on the generator's device.
        """
        config, size = self.config, self.config.size
        points, inverse = project(face.vertices, face.camera)
        head = rasterize(points, self.rig.faces, size, size, inverse)
        surface, position, smooth = self._surface(face, head)
        covered = head.triangle[:, None] >= 0  # [B, 1, S, S]
        part = torch.where(covered[:, 0], self.rig.face_part[head.triangle.clamp_min(0)], -1)[:, None]

        person = sample_person(own)
        folds = Folds.of(face.expression, self.rig.expression_names)
        height = skin_height(surface, person, own, self.marks, self.bank, folds)
        height = height + config.features * feature_height(surface, own, self.marks)
        height = config.detail * height * surface.skin
        eyes = (part == int(Part.EYE_LEFT)) | (part == int(Part.EYE_RIGHT))
        height = torch.where(eyes, cornea_height(surface, part, self.rig), height)
        normals = bump(smooth, height, face.camera.scale, part, position[:, 2:])
        albedo = skin_albedo(surface, person, own, self.marks, self.bank)
        mouth = (part == int(Part.MOUTH)) | (part == int(Part.TEETH))
        albedo = torch.where(eyes, eye_albedo(surface, part, self.rig, own, draws, self.bank), albedo)
        albedo = torch.where(mouth, mouth_albedo(surface, part, own, self.bank), albedo)
        clothes = cloth(draws, self.bank, size)
        dressed = collar(surface, self.rig, draws)
        albedo = torch.where(dressed, decode_srgb(clothes), albedo)
        mask = torch.zeros_like(part, dtype=torch.uint8)
        mask[surface.skin & ~dressed] = int(MaskClass.SKIN)
        mask[eyes] = int(MaskClass.EYES)
        mask[mouth] = int(MaskClass.MOUTH)

        depth = position[:, 2:] * face.camera.scale[:, None, None, None]  # [B, 1, S, S] px
        depth = torch.where(covered, depth, 0.0)
        layers = self._hair(face, own, person.hair_colour, position)
        visible, hatted, hair_normals, hair_albedo, hair_z = layers
        mask[visible] = int(MaskClass.HAIR)
        mask[hatted] = int(MaskClass.OTHER)
        normals = torch.where(visible, hair_normals, normals)
        smooth = torch.where(visible, hair_normals, smooth)
        albedo = torch.where(visible, hair_albedo, albedo)
        millimetres = face.camera.scale[:, None, None, None]
        depth = torch.where(visible, hair_z * millimetres, depth)
        solid = covered | visible
        glasses = wear_glasses(self.rig, face, config.glasses, own, size)
        # What is photographed wears the glasses; what is labelled is the face under them.
        shown = (normals, albedo, depth, solid)
        if glasses is not None:
            rows = glasses.rows
            nearer = (glasses.z * millimetres[rows] > depth[rows]) | ~solid[rows]
            frame, lens = glasses.frame & nearer, glasses.lens & nearer & solid[rows]
            mask[rows] = torch.where(frame, int(MaskClass.GLASSES), mask[rows]).to(torch.uint8)
            shown = (normals.clone(), albedo.clone(), depth.clone(), solid.clone())
            beside = frame & ~solid[rows]
            worn = (glasses.normals, glasses.albedo, glasses.z * millimetres[rows], torch.ones_like(frame))
            for seen, label, own_layer in zip(shown, (normals, albedo, depth, solid), worn, strict=True):
                seen[rows] = torch.where(frame, own_layer, seen[rows])
                label[rows] = torch.where(beside, own_layer, label[rows])
            smooth[rows] = torch.where(beside, glasses.normals, smooth[rows])

        lit = shade(*shown, mask, surface, light, face.camera, draws, self.bank, config)
        if glasses is not None:
            lit[rows] = glaze(lit[rows], glasses, lens, draws.select(rows), self.bank)
        scene = shoulders(background(draws, self.bank, size), clothes, face, self.rig, draws)
        image = expose(lit, scene, shown[3], mask, draws)
        mask = label_parts(mask, part, surface)
        if glasses is not None:
            mask[rows] = torch.where(lens & glasses.dark, int(MaskClass.GLASSES), mask[rows]).to(torch.uint8)
        image, hidden = cover(image, _mean_colour(image, mask), config.covered, draws, self.bank)
        mask[hidden] = int(MaskClass.OTHER)
        solid &= ~hidden
        depth = torch.where(hidden, 0.0, depth)
        return SampleBatch(
            index=torch.as_tensor(list(indices), device=self.device),
            person=torch.as_tensor(people, device=self.device),
            image=self.degrade(image, draws),
            normals=normals * solid,
            smooth_normals=smooth * solid,
            depth=depth,
            mask=mask,
            albedo=albedo * solid,
            landmarks=face.landmarks,
            visible=visible_landmarks(face.vertices[:, self.rig.landmarks, 2], face.landmarks, position, solid, mask),
            light=light.shading_coefficients(),
            identity=face.identity,
            asymmetry=face.asymmetry,
            stretch=face.stretch,
            profile=face.profile,
            curvature=face.curvature,
            deformation=face.deformation,
            expression=face.expression,
            camera=face.camera,
        )

    def _surface(self, face: PosedFace, head: Fragments) -> tuple[Surface, Tensor, Tensor]:
        """Canonical coordinates, camera-frame position and unit normal of each pixel."""
        batch = len(face.vertices)
        fixed = self._fixed.expand(batch, -1, -1)
        pixels = interpolate(torch.cat([fixed, face.vertices, face.normals], dim=-1), self.rig.faces, head)
        regions = {name: pixels[:, 5 + i : 6 + i] for i, name in enumerate(REGIONS)}
        part = self.rig.face_part[head.triangle.clamp_min(0)][:, None]
        skin = (head.triangle[:, None] >= 0) & (part <= int(Part.NECK))
        position, normal = pixels[:, -6:-3], unit(pixels[:, -3:])
        return Surface(pixels[:, :3], pixels[:, 3:5], regions, skin), position, normal

    def _hair(
        self, face: PosedFace, own: SampleRandom, colour: Tensor, position: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """The layer of hair and hats: where it is seen, where it is a hat, its normals, albedo and depth (mm)."""
        shell = grow_hair(self.hair, self.rig, face, self.config.hair, self.config.hats, own)
        points, inverse = project(shell.vertices, face.camera)
        size = self.config.size
        layer = rasterize(points, self.hair.faces, size, size, inverse)
        fixed = self.hair.rest.expand(len(points), -1, -1)
        normals = vertex_normals(shell.vertices, self.hair.faces)
        pixels = interpolate(
            torch.cat([fixed, shell.level[..., None], shell.hat[..., None], shell.vertices[..., 2:], normals], dim=-1),
            self.hair.faces,
            layer,
        )
        rest, level, hat, z, normal = pixels.split((3, 1, 1, 1, 3), dim=1)
        inside = layer.triangle[:, None] >= 0
        strand = Surface(rest, rest[:, :2], {}, inside)
        streaks, tone, salt = hair_texture(strand, own, self.bank)
        ragged = own.uniform("hair raggedness", 1.0, 12.0)[:, None, None, None]
        nearer = (position[:, 2:] == 0) | (z > position[:, 2:])
        cloth_here = hat > 0
        visible = inside & nearer & (cloth_here | (level + ragged * streaks > 0))
        normal = unit(normal)
        tilt = own.uniform("strand relief", 0.1, 0.5)[:, None, None, None] * ~cloth_here
        normal = unit(torch.cat([normal[:, :1] + tilt * streaks, normal[:, 1:]], dim=1))
        albedo = (torch.lerp(colour[:, :, None, None], torch.full_like(normal, 0.5), salt) * tone).clamp(0.003, 0.9)
        dyed = own.uniform("hat colour", 0.02, 0.8, shape=(3,))
        dyed = torch.where(own.bernoulli("plain hat", 0.6)[:, None], dyed[:, :1], dyed)[:, :, None, None]
        weave = self.bank.sample("fractal", strand.tiles(60.0), own, "hat folds")
        albedo = torch.where(cloth_here, (dyed**1.5 * (0.85 + 0.15 * weave)).clamp(0.003, 0.9), albedo)
        return visible, visible & cloth_here, normal, albedo, z


def _mean_colour(image: Tensor, mask: Tensor) -> Tensor:
    """Mean colour [B, 3] of what is skin."""
    skin = (mask == int(MaskClass.SKIN)).to(image.dtype)
    return (image * skin).sum((2, 3)) / skin.sum((2, 3)).clamp_min(1.0)


def bump(normals: Tensor, height: Tensor, scale: Tensor, part: Tensor, z: Tensor) -> Tensor:
    """Tilt normals by the gradient of a height field (Mikkelsen 2010, under scaled orthography).

    With G = scale · (dh/dx, dh/dy, 0) the gradient along the surface is G - n (n · G), and the bumped normal is
    n minus that. Gradients across the borders of parts and across occluding edges are dropped.

    Args:
        normals: [B, 3, H, W] unit, camera frame.
        height: [B, 1, H, W] mm.
        scale: [B] px per mm.
        part: [B, 1, H, W] part numbers.
        z: [B, 1, H, W] mm towards the camera.

    Returns:
        [B, 3, H, W] unit normals.
    """

    def slope(dim: int) -> Tensor:
        def centred(field: Tensor) -> Tensor:
            return 0.5 * (field.roll(-1, dim) - field.roll(1, dim))

        same = (part.roll(-1, dim) == part) & (part.roll(1, dim) == part)
        # 8 mm of depth per pixel is an occluding edge, not a slope.
        same = same & (centred(z).abs() < 8.0)
        edge = torch.ones_like(same)
        edge.select(dim, 0).fill_(False)
        edge.select(dim, -1).fill_(False)
        return centred(height) * (same & edge)

    factor = scale[:, None, None, None]
    gradient = torch.cat([factor * slope(3), -factor * slope(2), torch.zeros_like(height)], dim=1)
    along = dot(gradient, normals)
    bumped = unit(normals - gradient + along * normals)
    # A surface that is seen cannot face away from the camera.
    return torch.where(bumped[:, 2:] > 0.02, bumped, normals)


def expose(lit: Tensor, scene: Tensor, solid: Tensor, mask: Tensor, random: SampleRandom) -> Tensor:
    """Lay the head over the scene and expose for the face: linear light in, sRGB in [0, 1] out."""
    face = (mask == int(MaskClass.SKIN)).to(lit.dtype)
    mean = (lit.mean(1, keepdim=True) * face).sum((1, 2, 3)) / face.sum((1, 2, 3)).clamp_min(1.0)
    # Cameras expose towards mid grey without reaching it: dark skin stays darker than light skin.
    target = random.log_uniform("exposure", 0.13, 0.50) * (mean.clamp_min(1e-3) / 0.25) ** 0.35
    gain = (target / mean.clamp_min(1e-3)).clamp(0.05, 60.0)[:, None, None, None]
    soft = F.avg_pool2d(solid.to(lit.dtype), 3, 1, 1)  # the edge of the head covers pixels in part
    known = lit * solid
    spread = torch.maximum(
        torch.maximum(known.roll(1, 2), known.roll(-1, 2)), torch.maximum(known.roll(1, 3), known.roll(-1, 3))
    )
    grown = torch.where(solid, lit, spread)
    cover = torch.where(solid, soft.clamp_min(0.5), soft * (soft > 0.3))
    return encode_srgb(torch.lerp(decode_srgb(scene), (gain * grown).clamp(0.0, 1.0), cover))
