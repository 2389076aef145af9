# SPDX-License-Identifier: Apache-2.0
"""Cheap variation of batches: mirrored, turned, zoomed, cut and padded as real crops are, recoloured.

Everything is drawn from (seed, step) alone, so that a resumed run sees the same pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from lineament.annotations.landmarks import MIRROR
from lineament.images.tone import CAMERA, COLUMNS, ROWS, TENTHS, USUAL
from lineament.render.colour import grey
from lineament.synth.fields import per_sample
from lineament.training.batch import Batch, centred
from lineament.training.config import LoopConfig
from lineament.training.parallel import draw_number

_CURVE = 0.2  # spread of the logarithm of the tone curve's exponent: beyond that of cameras, shading tells too little
_LINEAR = 0.4  # share of pictures whose camera's curve is taken away, wholly or in part, as in measured pictures


def prepared(batch: Batch, config: LoopConfig, step: int) -> Batch:
    """A batch as a step learns from it: varied, if the configuration says so, and in its memory layout."""
    if config.augment:
        batch = augment(batch, config.seed, draw_number(step))
    return batch.in_layout(config.channels_last)


def varied(batch: Batch, config: LoopConfig, step: int) -> tuple[Batch, Tensor]:
    """A batch moved as real crops are, and its pictures in other colours, which is what the network sees.

    The moved batch keeps its colours: a shading that is to be explained must be the one that was lit.
    """
    if not config.augment:
        return batch, batch.in_layout(config.channels_last).image
    draw = draws_of(batch, config.seed, step)
    placed, inside = moved(batch, draw)
    seen = replace(placed, image=recoloured(placed.image, inside, draw))
    return placed, seen.in_layout(config.channels_last).image


def augment(batch: Batch, seed: int, number: int) -> Batch:
    """Vary every sample of a batch, moved and recoloured; the chance is that of (seed, number)."""
    draw = Draws(seed, number, len(batch), batch.image.device)
    placed, inside = moved(batch, draw)
    return replace(placed, image=recoloured(placed.image, inside, draw))


def moved(batch: Batch, draw: Draws) -> tuple[Batch, Tensor]:
    """A batch moved as real crops are, in its own colours; and [B, 1, S, S] bool, what is not padding."""
    placement = draw_placement(draw, batch.image.shape[-1])
    return placement.batch(batch), placement.inside


def draws_of(batch: Batch, seed: int, step: int) -> Draws:
    """The chance of a step of this process, on the batch's device: the same again when a training goes on.

    What is drawn for another purpose in the same step takes another seed.
    """
    return Draws(seed, draw_number(step), len(batch), batch.image.device)


class Draws:
    """Random numbers of a batch, drawn one after the other from (seed, step)."""

    def __init__(self, seed: int, step: int, count: int, device: torch.device) -> None:
        """Start the sequence."""
        self.generator = torch.Generator(device).manual_seed((seed * 1_000_003 + step) % (1 << 62))
        self.count, self.device = count, device

    def uniform(self, low: float, high: float) -> Tensor:
        """[B] from [low, high)."""
        return torch.rand(self.count, generator=self.generator, device=self.device).mul_(high - low).add_(low)

    def normal(self, sigma: float) -> Tensor:
        """[B] around zero."""
        return torch.randn(self.count, generator=self.generator, device=self.device).mul_(sigma)

    def noise(self, like: Tensor) -> Tensor:
        """Standard normal numbers of another tensor's shape."""
        return torch.randn(like.shape, generator=self.generator, device=self.device)


@dataclass(frozen=True)
class Placement:
    """Where each pixel of the moved pictures comes from."""

    source: Tensor  # [B, S, S, 2] places in [-1, 1], as `grid_sample` takes them
    inside: Tensor  # [B, 1, S, S] bool: what is not padding
    mirror: Tensor  # [B] -1 where left and right are mirrored, else 1
    turn: Tensor  # [B] radians, counter-clockwise as seen
    zoom: Tensor  # [B] above 1 enlarges
    matrix: Tensor  # [B, 2, 2] from a place in the moved picture to one in the picture, both in [-1, 1]
    shift: Tensor  # [B, 2] added to it

    @classmethod
    def of(cls, size: int, mirror: Tensor, turn: Tensor, zoom: Tensor, shift: Tensor, window: Tensor) -> Placement:
        """Mirror, turn, zoom and shift pictures, and cut them to a padded window.

        Args:
            size: Side of the pictures, pixels.
            mirror: [B] -1 to mirror left and right, 1 to leave.
            turn: [B] radians, counter-clockwise as seen.
            zoom: [B] above 1 enlarges.
            shift: [B, 2] of the sampling position, in half sides.
            window: [B, 2] half width and half height, in half sides, of what is kept; its border is repeated outwards.
        """
        line = (torch.arange(size, device=turn.device) + 0.5) / size * 2 - 1
        plain = torch.stack(torch.meshgrid(line, line, indexing="xy"), dim=-1)  # [S, S, 2]
        limit = window[:, None, None, :]
        inside = (plain.abs() <= limit + 1e-6).all(-1)  # [B, S, S]
        place = torch.maximum(torch.minimum(plain.expand(len(turn), -1, -1, -1), limit), -limit)
        cosine, sine = turn.cos(), turn.sin()
        # From a place in the result to the place in the source: mirror, turn, zoom out, shift (y runs down).
        matrix = torch.stack([mirror * cosine, -sine, mirror * sine, cosine], dim=1).view(-1, 2, 2)
        source = place.reshape(len(turn), -1, 2) @ (matrix / zoom[:, None, None]).transpose(1, 2)
        source = source.view(len(turn), size, size, 2) + shift[:, None, None]
        inside = (inside & (source.abs() <= 1).all(-1))[:, None]
        return cls(source, inside, mirror, turn, zoom, matrix / zoom[:, None, None], shift)

    def batch(self, batch: Batch) -> Batch:
        """A batch moved with all of its labels.

        Raises:
            KeyError: A label that does not say how it moves.
        """
        face = self.face(batch["face"])
        labels = {name: _MOVES[name](self, value, face) for name, value in batch.labels.items()}
        return Batch(self.picture(batch.image), labels)

    def picture(self, picture: Tensor) -> Tensor:
        """A picture [B, C, S, S], its border repeated outwards."""
        return F.grid_sample(picture, self.source, padding_mode="border", align_corners=False)

    def face(self, face: Tensor) -> Tensor:
        """A mask [B, 1, S, S] bool; there is no face in the padding."""
        moved = F.grid_sample(face.float(), self.source, mode="nearest", padding_mode="zeros", align_corners=False)
        return (moved > 0.5) & self.inside

    def normals(self, normals: Tensor) -> Tensor:
        """Normals [B, 3, S, S], turned and mirrored with their picture."""
        moved = F.grid_sample(normals, self.source, mode="nearest", padding_mode="zeros", align_corners=False)
        x, y, z = moved.unbind(1)
        cosine, sine, mirror = (v[:, None, None] for v in (self.turn.cos(), self.turn.sin(), self.mirror))
        # Directions take the inverse way; with y up the signs of the sines change.
        return torch.stack([mirror * (cosine * x - sine * y), sine * x + cosine * y, z], dim=1)

    def depth(self, depth: Tensor) -> Tensor:
        """Depth [B, 1, S, S] in units of the picture's side: what is enlarged is also deeper."""
        return self.picture(depth) * self.zoom[:, None, None, None]

    def classes(self, classes: Tensor) -> Tensor:
        """Numbers of classes [B, 1, S, S]; the picture's border repeats outwards, and so do they."""
        found = F.grid_sample(classes.float(), self.source, mode="nearest", padding_mode="border", align_corners=False)
        return found.round().to(classes.dtype)

    def points(self, points: Tensor) -> Tensor:
        """The 68 landmarks [B, 68, 2] in shares of the side, where they are in the moved pictures.

        The inverse of where each pixel comes from; mirrored landmarks have their counterparts' numbers. The padding
        hides some, which keep their places.
        """
        places = (2.0 * points - 1.0 - self.shift[:, None]) @ self.matrix.inverse().transpose(1, 2)
        return self.renumbered(0.5 * places + 0.5)

    def renumbered(self, values: Tensor) -> Tensor:
        """What is known of the 68 landmarks, [B, 68, ...], by their numbers in mirrored pictures."""
        other = values[:, torch.from_numpy(MIRROR).to(values.device)]
        return torch.where(self.mirror.view(-1, *[1] * (values.dim() - 1)) < 0, other, values)

    def rotation(self, rotation: Tensor) -> Tensor:
        """Rotations of heads [B, 3, 3], turned with their pictures; a mirrored head's is that of its mirror image."""
        flip = torch.diag_embed(torch.stack([self.mirror, *[torch.ones_like(self.mirror)] * 2], dim=1))
        cosine, sine, zero = self.turn.cos(), self.turn.sin(), torch.zeros_like(self.turn)
        rows = [cosine, -sine, zero, sine, cosine, zero, zero, zero, zero + 1.0]
        turn = torch.stack(rows, dim=1).view(-1, 3, 3)
        return flip @ turn @ rotation @ flip


_MOVES: Mapping[str, Callable[[Placement, Tensor, Tensor], Tensor]] = {
    "face": lambda placement, value, face: face,
    "normals": lambda placement, value, face: placement.normals(value),
    "depth": lambda placement, value, face: centred(placement.depth(value), face),
    "albedo": lambda placement, value, face: placement.picture(value),
    "parse": lambda placement, value, face: placement.classes(value),
    "landmarks": lambda placement, value, face: placement.points(value),
    "visible": lambda placement, value, face: placement.renumbered(value),
    "rotation": lambda placement, value, face: placement.rotation(value),
}
"""How each label moves with its picture, the face having been moved."""


def draw_placement(draw: Draws, size: int) -> Placement:
    """Placements as varied as real crops are."""
    mirror = torch.where(draw.uniform(0, 1) < 0.5, -1.0, 1.0)
    # Most pictures are cut tightly and padded back to a square, as cropped datasets are.
    cut = draw.uniform(0, 1) < 0.6
    sides = [torch.where(cut, draw.uniform(0.45, 1.0), 1.0), torch.where(cut, draw.uniform(0.5, 1.0), 1.0)]
    shift = torch.stack([draw.normal(0.04), draw.normal(0.04)], dim=1)
    turn, zoom = draw.normal(0.12), torch.exp(draw.normal(0.13)).clamp(0.7, 1.4)
    return Placement.of(size, mirror, turn, zoom, shift, torch.stack(sides, dim=1))


def recoloured(image: Tensor, inside: Tensor, draw: Draws) -> Tensor:
    """Pictures [B, 3, S, S] in [0, 1] in other colours, brightness, sharpness and grain, some with black padding, and
    all with the contrast that the estimator lets a network see."""

    black = per_sample(draw.uniform(0, 1) < 0.45)  # padding is black or repeats the border
    image = torch.where(black & ~inside, torch.zeros_like(image), image)
    image = torch.where(per_sample(draw.uniform(0, 1) < 0.45), grey(image), image)
    exponent = torch.exp(draw.normal(_CURVE)) * torch.where(draw.uniform(0, 1) < _LINEAR, draw.uniform(1.4, 2.3), 1.0)
    image = image.clamp_min(1e-4) ** per_sample(exponent)
    image = image * per_sample(torch.exp(draw.normal(0.25)))
    grain = per_sample(draw.uniform(0.0, 0.03) * (draw.uniform(0, 1) < 0.5))
    image = image + grain * draw.noise(image)
    soft = F.avg_pool2d(F.pad(image, (1, 1, 1, 1), mode="replicate"), 3, 1)
    image = torch.lerp(image, soft, per_sample(draw.uniform(0, 1) * (draw.uniform(0, 1) < 0.4)))
    image = image.clamp(0.0, 1.0)
    gamma = (face_contrast(image) / USUAL).clamp(1.0, CAMERA)
    return image.clamp_min(1e-4) ** per_sample(gamma.reciprocal())


def face_contrast(image: Tensor) -> Tensor:
    """`lineament.images.tone.face_contrast` of every picture of a batch [B, 3, S, S] in [0, 1]: [B]."""
    side = image.shape[-1]
    rows, columns = (slice(int(low * side), max(1, int(high * side))) for low, high in (ROWS, COLUMNS))
    tones = grey(image[:, :, rows, columns])[:, 0].flatten(1).float()
    dark, light = (tones.quantile(tenth, dim=1).clamp_min(1.0 / 255.0) for tenth in TENTHS)
    return torch.log(light / dark)
