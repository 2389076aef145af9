# SPDX-License-Identifier: Apache-2.0
"""Skin: its colour from melanin and haemoglobin, and what grows, sags and folds on it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial

import torch
from torch import Tensor

from lineament.synth.beard import Beard, bearded, grown, sample_beard
from lineament.synth.fields import per_sample, smoothstep
from lineament.synth.noise import NoiseBank
from lineament.synth.random import SampleRandom

# Natural logarithm of linear sRGB reflectance per unit of each pigment, fitted by hand to the range from
# Fitzpatrick type I (about sRGB 236, 205, 188) to type VI (about sRGB 62, 40, 30).
_BARE = (-0.17, -0.40, -0.52)
_MELANIN = (-2.45, -2.95, -3.30)
_HAEMOGLOBIN = (-0.10, -0.62, -0.46)

HAIR_COLOURS = (
    (0.012, 0.010, 0.009),  # black
    (0.030, 0.019, 0.012),  # dark brown
    (0.090, 0.052, 0.028),  # brown
    (0.230, 0.140, 0.070),  # dark blond
    (0.420, 0.300, 0.160),  # blond
    (0.560, 0.430, 0.270),  # light blond
    (0.200, 0.070, 0.025),  # red
    (0.230, 0.225, 0.220),  # grey
    (0.560, 0.550, 0.530),  # white
)


REGIONS = ("lip", "brow_left", "brow_right", "eye_line", "nostril", "hairline", "beard", "ear")
"""The rig's regions that skin is painted by."""


@dataclass(frozen=True)
class Surface:
    """What the rasteriser says of each pixel, canonical quantities first."""

    rest: Tensor  # [B, 3, H, W] mm on the rig's mean face
    uv: Tensor  # [B, 2, H, W]
    regions: dict[str, Tensor]  # [B, 1, H, W] each
    skin: Tensor  # [B, 1, H, W] bool

    @cached_property
    def unrolled(self) -> Tensor:
        """Coordinates [B, H, W, 2] in mm around the head, as on a cylinder, so that sides are not streaked."""
        x, y, z = self.rest.unbind(1)
        return torch.stack([torch.atan2(x, z + 20.0) * 85.0, y], dim=-1)

    def tiles(self, size: float) -> Tensor:
        """Coordinates [B, H, W, 2] for the noise bank: a tile spans ``size`` mm."""
        return self.unrolled * (1.0 / size)


@dataclass(frozen=True)
class Person:
    """Colours and age of the people of a batch."""

    age: Tensor  # [B] 0 (young) to 1 (old)
    melanin: Tensor  # [B] 0 to 1
    hair_colour: Tensor  # [B, 3] linear
    beard: Beard


@dataclass(frozen=True)
class Folds:
    """How strongly the expressions of a batch fold the skin; 0 to 1, [B] each."""

    forehead: Tensor  # raised brows
    frown: Tensor  # lowered brows
    smile: Tensor  # smiles and squints: crow's feet, and the furrow from the nose to the mouth
    mouth: Tensor  # stretched or drawn mouths

    @classmethod
    def of(cls, expression: Tensor, names: tuple[str, ...]) -> Folds:
        """From the weights [B, E] of named expressions."""

        def strongest(*starts: str) -> Tensor:
            columns = [i for i, name in enumerate(names) if name.startswith(starts)]
            return expression[:, columns].amax(1) if columns else expression.new_zeros(len(expression))

        return cls(
            forehead=strongest("browInnerUp", "browOuterUp"),
            frown=strongest("browDown", "noseSneer"),
            smile=strongest("mouthSmile", "cheekSquint", "eyeSquint"),
            mouth=strongest("mouthStretch", "mouthFrown", "mouthPucker", "jawOpen"),
        )


def sample_person(person: SampleRandom) -> Person:
    """Draw age, pigment and hair of each person."""
    age = person.uniform("age") ** 1.3
    melanin = person.uniform("melanin", 0.0, 1.0)
    dark = (melanin > 0.5).to(age.dtype)[:, None]
    light_shares = torch.tensor([0.12, 0.22, 0.18, 0.11, 0.10, 0.05, 0.05, 0.09, 0.08], device=age.device)
    dark_shares = torch.tensor([0.64, 0.15, 0.03, 0.01, 0.01, 0.01, 0.0, 0.09, 0.06], device=age.device)
    shares = dark * dark_shares + (1.0 - dark) * light_shares  # [B, 9]
    shares = shares * torch.where(
        torch.arange(9, device=age.device) >= 7, 0.15 + 3.0 * age[:, None], torch.ones_like(shares)
    )
    cumulative = (shares / shares.sum(1, keepdim=True)).cumsum(1)
    pick = (person.uniform("hair colour")[:, None] > cumulative).sum(1).clamp_max(8)
    colour = torch.tensor(HAIR_COLOURS, device=age.device)[pick]
    colour = colour * torch.exp(0.25 * person.normal("hair shade"))[:, None]
    colour = colour.clamp(0.004, 0.7)
    return Person(age, melanin, colour, sample_beard(person, age, colour))


def skin_albedo(
    surface: Surface, person: Person, draws: SampleRandom, marks: Tensor, bank: NoiseBank, blemishes: float = 1.0
) -> Tensor:
    """Linear reflectance of skin with lips, brows, lashes, stubble, beard, freckles and moles.

    Args:
        surface: The pixels' canonical coordinates.
        person: Whose skin.
        draws: The person's own random draws.
        marks: [68, 3] landmarks of the mean face, mm, as anchors.
        bank: Noise fields.
        blemishes: Strength of freckles, moles and mottling; 0 retouches them away.

    Returns:
        [B, 3, H, W] in [0, 1].
    """

    def noise(kind: str, size: float, name: str) -> Tensor:
        return bank.sample(kind, surface.tiles(size), draws, name)

    amount = partial(_amount, draws)
    regions = surface.regions
    x, y = surface.rest[:, :1], surface.rest[:, 1:2]
    blotches = noise("fractal", 140.0, "blotches")
    mottling = noise("pores", 22.0, "mottling")

    melanin = per_sample(person.melanin) + amount("blotch strength", 0.005, 0.04) * blotches
    melanin = melanin + blemishes * amount("mottle strength", 0.0, 0.02) * mottling
    nose_cheeks = torch.exp(-(((y - marks[30, 1]) / 28.0) ** 2)) * torch.exp(-((x / 60.0) ** 2))
    freckled = per_sample(draws.bernoulli("freckled", 0.15).to(x.dtype))
    spots = smoothstep(0.9, 1.8, noise("pores", 34.0, "freckles") + 0.4 * blotches)
    melanin = melanin + blemishes * freckled * amount("freckle strength", 0.1, 0.35) * spots * nose_cheeks
    melanin = melanin + blemishes * _moles(surface, draws)
    eye = regions["eye_line"]
    ring = torch.exp(-(((eye - 7.0) / 5.0) ** 2))
    melanin = melanin + amount("eye rings", 0.0, 0.09) * ring

    blood = amount("blood", 0.0, 0.6) + amount("blood blotches", 0.02, 0.15) * noise("smooth", 120.0, "blood map")
    blood = blood + amount("blush", 0.0, 0.5) * nose_cheeks + 0.3 * regions["ear"]
    lip = smoothstep(1.0, -1.0, regions["lip"])
    blood = blood + lip * amount("lip blood", 0.5, 1.7)
    melanin = melanin + lip * amount("lip melanin", -0.02, 0.1)

    def pigment(values: tuple[float, float, float]) -> Tensor:
        return torch.tensor(values, device=x.device).view(1, 3, 1, 1)

    albedo = torch.exp(pigment(_BARE) + melanin.clamp(0.0, 1.15) * pigment(_MELANIN) + blood * pigment(_HAEMOGLOBIN))
    painted = per_sample(draws.bernoulli("lipstick", 0.12).to(x.dtype)) * amount("lipstick cover", 0.4, 0.95)
    lipstick = torch.stack(
        [
            draws.uniform("lipstick r", 0.15, 0.6),
            draws.uniform("lipstick g", 0.0, 0.12),
            draws.uniform("lipstick b", 0.01, 0.2),
        ],
        dim=1,
    )[:, :, None, None]
    albedo = torch.lerp(albedo, lipstick, lip * painted)

    hair = person.hair_colour[:, :, None, None]
    strands = noise("streaks", 20.0, "brow strands")
    brow = torch.minimum(regions["brow_left"], regions["brow_right"])
    # From plucked to bushy: the edge is sharp or fades out over some millimetres, single hairs show where it is thin.
    edge = amount("brow softness", 0.8, 3.5)
    inside = (0.5 - (brow + amount("brow thickness", -1.5, 2.0)) / (2.0 * edge)).clamp(0.0, 1.0)
    brow = smoothstep(0.25, 0.85, inside + (1.0 - inside) * inside * 1.4 * strands) * amount("brow density", 0.1, 0.95)
    albedo = torch.lerp(albedo, 0.7 * hair.clamp_max(0.15), brow)
    lash = smoothstep(1.5, 0.3, eye) * amount("lashes", 0.0, 0.9)
    albedo = torch.lerp(albedo, 0.3 * hair.clamp_max(0.05), lash)

    growth = regions["beard"] * (1.0 - lip)
    covered = grown(x, y, growth, person.beard, marks, noise("streaks", 30.0, "beard edge"))
    strands, dots = noise("streaks", 18.0, "beard strands"), noise("pores", 9.0, "stubble dots")
    albedo = bearded(albedo, covered, growth, person.beard, strands, dots)
    albedo = albedo * (1.0 - 0.75 * smoothstep(3.5, 0.5, regions["nostril"]))
    return albedo.clamp(0.003, 0.95)


def _amount(draws: SampleRandom, name: str, low: float, high: float) -> Tensor:
    """A number of each person's own, [B, 1, 1, 1]."""
    return per_sample(draws.uniform(name, low, high))


def _moles(surface: Surface, draws: SampleRandom, count: int = 3) -> Tensor:
    """Extra melanin of a few round spots, [B, 1, H, W]."""
    x, y = surface.rest[:, 0], surface.rest[:, 1]
    total = torch.zeros_like(x)
    place = draws.uniform("mole place", -1.0, 1.0, shape=(count, 2))
    radius = draws.uniform("mole radius", 0.7, 2.2, shape=(count,))
    present = draws.uniform("mole present", shape=(count,)) < 0.35
    for i in range(count):
        away = (x - 65.0 * place[:, i, 0, None, None]) ** 2 + (y - 80.0 * place[:, i, 1, None, None]) ** 2
        spot = torch.exp(-away / (radius[:, i, None, None] ** 2))
        total = total + 0.45 * spot * present[:, i, None, None]
    return (total * surface.skin[:, 0])[:, None]


def skin_height(
    surface: Surface, person: Person, draws: SampleRandom, marks: Tensor, bank: NoiseBank, folds: Folds
) -> Tensor:
    """Height of wrinkles, folds, sagging and pores above the smooth mesh.

    Args:
        surface: The pixels' canonical coordinates.
        person: Whose skin.
        draws: The person's own random draws.
        marks: [68, 3] landmarks of the mean face, mm.
        bank: Noise fields.
        folds: What the expression does to the skin.

    Returns:
        [B, 1, H, W] mm, positive outwards.
    """

    def noise(kind: str, size: float, name: str) -> Tensor:
        return bank.sample(kind, surface.tiles(size), draws, name)

    amount = partial(_amount, draws)
    age = per_sample(person.age)

    def folded(by: Tensor) -> Tensor:
        # Skin that age has made loose folds at rest, and more when it is squeezed.
        return 0.55 * age + (0.35 + 0.65 * age) * per_sample(by)

    fold = folded(folds.mouth)
    regions = surface.regions
    x, y = surface.rest[:, :1], surface.rest[:, 1:2]
    warp = noise("smooth", 110.0, "fold warp")

    brow_height = marks[19, 1]
    forehead = smoothstep(4.0, 16.0, y - brow_height) * smoothstep(-4.0, 12.0, -regions["hairline"])
    forehead = forehead * torch.exp(-((x / 48.0) ** 2))
    spacing = amount("forehead spacing", 7.0, 14.0)
    wave = torch.cos(6.2832 * (y + 3.0 * warp + 0.0025 * x**2) / spacing)
    lines = -amount("forehead lines", 0.0, 0.55) * folded(folds.forehead) * forehead * smoothstep(0.3, 1.0, wave)

    between = torch.exp(-(((x.abs() - 6.5 - warp) / 1.6) ** 2)) * torch.exp(-(((y - brow_height) / 9.0) ** 2))
    lines = lines - amount("frown lines", 0.0, 0.6) * folded(folds.frown) * between

    for corner in (36, 45):  # crow's feet fan out of both eyes' outer corners
        dx = (x - marks[corner, 0]) * torch.sign(marks[corner, 0])
        dy = y - marks[corner, 1]
        radius = torch.sqrt(dx**2 + dy**2 + 1.0)
        fan = torch.cos(amount("crow count", 8.0, 14.0) * torch.atan2(dy, dx.clamp_min(0.5)) + warp)
        reach = smoothstep(4.0, 9.0, radius) * smoothstep(30.0, 12.0, radius) * smoothstep(1.0, 6.0, dx)
        lines = lines - amount("crow's feet", 0.0, 0.4) * folded(folds.smile) * reach * smoothstep(0.2, 1.0, fan)

    for wing, mouth in ((31, 48), (35, 54)):  # from the nose's wing past the mouth's corner, then marionette lines
        side = torch.sign(marks[mouth, 0])
        start = marks[wing] + torch.stack([3.0 * side, side * 0.0 + 3.0, side * 0.0])
        end = marks[mouth] + torch.stack([9.0 * side, side * 0.0 - 3.0, side * 0.0])
        along, across = _beside_line(x + 1.5 * warp, y, start, end, side)
        crease = torch.exp(-((across / amount("nasolabial width", 1.4, 3.2)) ** 2))
        bulge = torch.exp(-(((across - 6.0) / 5.0) ** 2))
        ends = smoothstep(-0.1, 0.15, along) * smoothstep(1.25, 0.8, along)
        depth = amount("nasolabial", 0.1, 1.3) * (0.25 + folded(folds.smile))
        lines = lines - depth * ends * (crease - 0.5 * bulge)
        chin = marks[mouth] + torch.stack([5.0 * side, side * 0.0 - 26.0, side * 0.0])
        along, across = _beside_line(x, y + warp, marks[mouth], chin, side)
        ends = smoothstep(0.0, 0.2, along) * smoothstep(1.0, 0.6, along)
        lines = lines - amount("marionette", 0.0, 0.6) * fold * ends * torch.exp(-((across / 2.0) ** 2))

    below_eye = smoothstep(2.0, -4.0, y - marks[41, 1]) * smoothstep(60.0, 30.0, x.abs())
    pouch = torch.exp(-(((regions["eye_line"] - 11.0 - warp) / 2.2) ** 2)) * below_eye
    lines = lines - amount("eye bags", 0.0, 0.8) * (0.2 + age) * pouch

    sag = amount("sagging", 0.0, 0.7) * (0.15 + age) * noise("smooth", 70.0, "sagging")
    lumps = amount("lumps", 0.0, 0.10) * (0.2 + age) * noise("fractal", 45.0, "lumps")
    fine = amount("fine wrinkles", 0.0, 0.06) * age * noise("wrinkle", 32.0, "fine wrinkles")
    pores = amount("pores", 0.0, 0.02) * noise("pores", 14.0, "pores")
    lip = smoothstep(1.0, -1.0, regions["lip"])
    lip_lines = amount("lip lines", 0.0, 0.12) * lip * torch.cos(6.2832 * (x + warp) / 2.6)
    brow = torch.minimum(regions["brow_left"], regions["brow_right"])
    tufts = smoothstep(1.0, -1.0, brow) * (0.3 + 0.15 * noise("streaks", 20.0, "brow strands"))
    tufts = tufts * amount("brow relief", 0.2, 1.4)
    beard = grown(x, y, regions["beard"] * (1.0 - lip), person.beard, marks, noise("streaks", 30.0, "beard edge"))
    curls = beard * (0.4 + 0.5 * noise("streaks", 18.0, "beard strands"))
    return sag + (1.0 - beard) * (lines + lumps + fine + pores + lip_lines) + tufts + curls


def feature_height(surface: Surface, draws: SampleRandom, marks: Tensor) -> Tensor:
    """Height of what a face model of few components smooths away: lids, lips, philtrum, chin furrow.

    Args:
        surface: The pixels' canonical coordinates.
        draws: The person's own random draws.
        marks: [68, 3] landmarks of the mean face, mm.

    Returns:
        [B, 1, H, W] mm, positive outwards.
    """

    amount = partial(_amount, draws)

    def hump(distance: Tensor, width: float | Tensor) -> Tensor:
        return torch.exp(-((distance / width) ** 2))

    x, y = surface.rest[:, :1], surface.rest[:, 1:2]
    eye, lip = surface.regions["eye_line"], surface.regions["lip"]
    above = smoothstep(-1.0, 4.0, y - 0.5 * (marks[36, 1] + marks[45, 1]))
    # From deep-set eyes to hooded ones: the upper lid fills up or sinks in.
    lids = amount("lid fullness", -1.0, 1.8) * above * hump(eye - amount("lid height", 4.0, 9.0), 4.0)
    below = amount("lower lid", -0.6, 0.9) * (1.0 - above) * hump(eye - amount("lower lid height", 3.0, 7.0), 3.0)
    lips = amount("lip fullness", -0.5, 1.3) * smoothstep(1.0, -3.5, lip)
    ridges, groove = hump(x.abs() - amount("philtrum width", 3.0, 5.5), 2.0), hump(x, 2.2)
    height = hump(y - 0.5 * (marks[51, 1] + marks[33, 1]), 6.0)  # between lip and nose
    philtrum = amount("philtrum", 0.0, 0.9) * (ridges - 0.7 * groove) * height
    furrow = hump(y - marks[57, 1] + amount("chin furrow height", 4.0, 9.0), 4.0) * hump(x, 20.0)
    chin = -amount("chin furrow", -0.3, 2.0) * furrow
    return lids + below + lips + philtrum + chin


def _beside_line(x: Tensor, y: Tensor, start: Tensor, end: Tensor, side: Tensor) -> tuple[Tensor, Tensor]:
    """Position along a segment (0 to 1) and distance from it in mm, positive towards the cheek."""
    step = (end - start)[:2]
    length = step.norm()
    dx, dy = x - start[0], y - start[1]
    along = (dx * step[0] + dy * step[1]) / length**2
    across = side * (dy * step[0] - dx * step[1]) / length
    return along, across
