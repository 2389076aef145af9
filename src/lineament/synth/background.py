# SPDX-License-Identifier: Apache-2.0
"""What is behind the person: studios, rooms, streets at night, landscapes, textures, clutter, darkness.

Each sample draws one kind of scene; each kind is painted only for its own samples, in few operations
on whole fields.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from lineament.synth.fields import smoothstep
from lineament.synth.noise import NoiseBank
from lineament.synth.random import SampleRandom

_BOXES = 9
_DISCS = 14


@torch.no_grad()
def background(random: SampleRandom, bank: NoiseBank, size: int) -> Tensor:
    """Paint a background for every sample.

    Args:
        random: The samples' random numbers.
        bank: Noise fields, on the same device.
        size: Side of the pictures, pixels.

    Returns:
        [B, 3, size, size] float32 in [0, 1], sRGB-encoded.
    """
    scenes = torch.empty(len(random), 3, size, size, device=random.device)
    kind = random.choice("background kind", [share for share, _ in _SCENES])
    for number, (_, paint) in enumerate(_SCENES):
        rows = (kind == number).nonzero()[:, 0]
        if len(rows):
            scenes[rows] = paint(random.select(rows), bank, size).clamp_(0.0, 1.0)
    return scenes


def _fields(random: SampleRandom, size: int, tilt: float = 0.15, perspective: float = 0.0) -> tuple[Tensor, Tensor]:
    """Coordinates x (right) and y (up) in [-1, 1], turned and seen askew a little, [B, 1, S, S] each."""
    axis = (torch.arange(size, device=random.device, dtype=torch.float32) + 0.5) * (2.0 / size) - 1.0
    angle = _pixelwise(tilt * random.normal("background tilt"))
    across, up = axis.view(1, 1, 1, size), -axis.view(1, 1, size, 1)
    x = torch.cos(angle) * across - torch.sin(angle) * up
    y = torch.sin(angle) * across + torch.cos(angle) * up
    if perspective:
        lean = _pixelwise(random.uniform("background lean", -perspective, perspective))
        nearness = 1.0 / (1.0 + lean * x)
        x, y = x * nearness, y * nearness
    return x, y


def _pixelwise(value: Tensor) -> Tensor:
    """[B, *C] to [B, *C, 1, 1], and numbers [B] to [B, 1, 1, 1]."""
    return value[..., None, None] if value.dim() > 1 else value[:, None, None, None]


def _colours(random: SampleRandom, name: str, count: int, low: float = 0.02, high: float = 0.97) -> Tensor:
    """Plausible surface colours: any lightness, mostly weak hues, [B, count, 3]."""
    light = random.uniform(f"background {name} light", low, high, shape=(count, 1))
    strength = 0.4 * random.uniform(f"background {name} strength", shape=(count, 1)) ** 3
    hue = random.uniform(f"background {name} hue", 0.0, 2.0 * math.pi, shape=(count, 1))
    phase = torch.tensor([0.0, -2.0 * math.pi / 3.0, 2.0 * math.pi / 3.0], device=random.device)
    return (light + strength * torch.cos(hue + phase)).clamp(0.0, 1.0)


def _gradient(random: SampleRandom, x: Tensor, y: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """A soft passage between two colours [B, 3] along a line or from a spot outwards, [B, 3, S, S]."""
    angle = _pixelwise(random.uniform("background gradient angle", 0.0, 2.0 * math.pi))
    spot = random.uniform("background spot", -0.8, 0.8, shape=(2, 1, 1)).unsqueeze(2)  # [B, 2, 1, 1, 1]
    line = 0.5 + 0.45 * (torch.cos(angle) * x + torch.sin(angle) * y)
    round_ = ((x - spot[:, 0]).square() + (y - spot[:, 1]).square()) * 0.5
    t = torch.where(_pixelwise(random.bernoulli("background round gradient", 0.5)), round_, line).clamp(0.0, 1.0)
    return torch.lerp(_pixelwise(first), _pixelwise(second), t)


def _coordinates(x: Tensor, y: Tensor, scale: Tensor | float = 1.0) -> Tensor:
    """Fields to coordinates for the noise bank, [B, S, S, 2]."""
    return torch.stack([x[:, 0], y[:, 0]], dim=-1) * (
        scale[:, None, None, None] if isinstance(scale, Tensor) else scale
    )


def _studio(random: SampleRandom, bank: NoiseBank, size: int) -> Tensor:
    """Paper or a wall, evenly or unevenly lit; often white, black or grey."""
    x, y = _fields(random, size)
    first = _colours(random, "paper", 1)[:, 0]
    neutral = random.choice("background paper kind", (0.25, 0.15, 0.2, 0.4))  # white, black, grey, coloured
    bright = random.uniform("background paper light")[:, None]
    for option, (low, high) in enumerate(((0.82, 1.0), (0.0, 0.12), (0.2, 0.8))):
        first = torch.where((neutral == option)[:, None], (low + (high - low) * bright).expand(-1, 3), first)
    fall = random.uniform("background fall-off", 0.35, 1.15)[:, None]
    scene = _gradient(random, x, y, first, first * fall)
    wall = bank.sample("fractal", _coordinates(x, y, 0.4), random, "background wall")
    return scene.addcmul_(wall, _pixelwise(0.03 * random.uniform("background wall relief") ** 2))


def _darkness(random: SampleRandom, bank: NoiseBank, size: int) -> Tensor:
    """A laboratory or a night: black with faint light and shapes."""
    x, y = _fields(random, size)
    first = _colours(random, "dark", 1, 0.0, 0.1)[:, 0] * 0.3
    scene = _gradient(random, x, y, first, first * 0.4 + 0.02)
    clouds = bank.sample("smooth", _coordinates(x, y, 0.5), random, "background dark shapes")
    return scene.addcmul_(clouds.clamp_min(0.0), _pixelwise(random.uniform("background dark light", 0.0, 0.08)))


def _bokeh(random: SampleRandom, bank: NoiseBank, size: int) -> Tensor:
    """Lights out of focus: discs of one size over soft shapes."""
    x, y = _fields(random, size)
    base = _colours(random, "bokeh base", 2, 0.02, 0.6)
    clouds = bank.sample("smooth", _coordinates(x, y, 0.7), random, "background bokeh shapes")
    scene = torch.lerp(_pixelwise(base[:, 0]), _pixelwise(base[:, 1]), (0.5 + 0.4 * clouds).clamp_(0.0, 1.0))
    lights = _colours(random, "bokeh lights", _DISCS, 0.3, 1.0)
    place = random.uniform("background bokeh place", -1.1, 1.1, shape=(_DISCS, 2))
    size_ = random.log_uniform("background bokeh size", 0.07, 0.5)
    uneven = random.uniform("background bokeh uneven", 0.7, 1.2, shape=(_DISCS,))
    opacity = random.uniform("background bokeh opacity", -0.1, 0.9, shape=(_DISCS,)).clamp_min(0.0)
    edge = random.log_uniform("background bokeh edge", 0.05, 1.0)
    for disc in range(_DISCS):
        radius = size_ * uneven[:, disc]
        squared = (x - _pixelwise(place[:, disc, 0])).square_()
        squared += (y - _pixelwise(place[:, disc, 1])).square()
        steep = 1.0 / (radius.square() * edge)
        cover = squared.sub_(_pixelwise(radius.square())).mul_(_pixelwise(-steep)).clamp_(0.0, 1.0)
        scene.lerp_(_pixelwise(lights[:, disc]), cover.mul_(_pixelwise(opacity[:, disc])))
    return scene


def _boxes(
    random: SampleRandom, scene: Tensor, x: Tensor, y: Tensor, name: str, largest: float, edge: Tensor
) -> Tensor:
    """Paint rectangles over a scene; ``edge`` [B] is the width of their blurred borders."""
    colours = _colours(random, name, _BOXES)
    place = random.uniform(f"background {name} place", -1.1, 1.1, shape=(_BOXES, 2))
    half = random.log_uniform(f"background {name} size", 0.04, largest, shape=(_BOXES, 2))
    steep = _pixelwise(1.0 / edge)
    for box in range(_BOXES):
        cover = torch.ones((), device=scene.device)
        for axis, field in enumerate((x, y)):
            inside = (field - _pixelwise(place[:, box, axis])).abs_().neg_().add_(_pixelwise(half[:, box, axis]))
            cover = inside.mul_(steep).add_(0.5).clamp_(0.0, 1.0) * cover
        scene.lerp_(_pixelwise(colours[:, box]), cover)
    return scene


def _room(random: SampleRandom, bank: NoiseBank, size: int) -> Tensor:
    """A wall with furniture, pictures and a bright window, mostly out of focus."""
    x, y = _fields(random, size, 0.06, 0.35)
    wall = _colours(random, "room", 1, 0.15, 0.9)[:, 0]
    scene = _gradient(random, x, y, wall, wall * random.uniform("background room fall-off", 0.4, 1.0)[:, None])
    edge = random.log_uniform("background room focus", 0.01, 0.4)
    scene = _boxes(random, scene, x, y, "furniture", 0.8, edge)
    lit = random.bernoulli("background window", 0.4).to(x.dtype)
    place = random.uniform("background window place", -0.9, 0.9, shape=(2,))
    half = random.uniform("background window size", 0.15, 0.6, shape=(2,))
    steep = _pixelwise(1.0 / edge)
    window = ((_pixelwise(half[:, 0]) - (x - _pixelwise(place[:, 0])).abs()) * steep + 0.5).clamp_(0.0, 1.0)
    window = window * ((_pixelwise(half[:, 1]) - (y - _pixelwise(place[:, 1])).abs()) * steep + 0.5).clamp_(0.0, 1.0)
    sky = torch.tensor([0.95, 0.97, 1.0], device=x.device).view(1, 3, 1, 1)
    scene = torch.lerp(scene, sky, window * _pixelwise(lit))
    light = bank.sample("smooth", _coordinates(x, y, 0.3), random, "background room light")
    return scene * (1.0 + 0.12 * light)


def _landscape(random: SampleRandom, bank: NoiseBank, size: int) -> Tensor:
    """Sky with clouds over a ragged skyline of trees, hills or houses."""
    x, y = _fields(random, size, 0.05)
    high = torch.tensor([0.35, 0.55, 0.9], device=x.device)
    low = torch.tensor([0.82, 0.88, 0.95], device=x.device)
    overcast = random.uniform("background overcast", 0.0, 1.0)[:, None]
    light = random.uniform("background daylight", 0.45, 1.05)[:, None]
    top, bottom = torch.lerp(high, low * 0.95, overcast) * light, low * light
    scene = torch.lerp(_pixelwise(bottom), _pixelwise(top), smoothstep(-0.6, 1.1, y))
    clouds = bank.sample("fractal", _coordinates(x * 0.35, y * 0.6), random, "background clouds")
    scene = torch.lerp(scene, _pixelwise(light * 0.98), (0.5 * clouds).clamp_(0.0, 1.0))
    edge = _pixelwise(random.log_uniform("background skyline focus", 0.01, 0.5))
    leaves = bank.sample("fractal", _coordinates(x, y, 0.5), random, "background leaves")
    height = _pixelwise(random.uniform("background skyline", -1.0, 1.6))
    ragged = _pixelwise(random.uniform("background skyline raggedness", 0.02, 0.35))
    cover = ((height + ragged * leaves - y) / edge + 0.5).clamp_(0.0, 1.0)
    green = torch.tensor([0.28, 0.40, 0.16], device=x.device)
    ground = torch.lerp(
        green, _colours(random, "ground", 1, 0.1, 0.7)[:, 0], random.uniform("background bare")[:, None]
    )
    # Leaves out of focus keep little of their contrast.
    contrast = 0.4 * _pixelwise(random.uniform("background leaf contrast")) * (1.0 - edge)
    return torch.lerp(scene, _pixelwise(ground * light) * (1.0 + contrast * leaves), cover)


def _texture(random: SampleRandom, bank: NoiseBank, size: int) -> Tensor:
    """Plaster, stone, fabric, foliage: two noise fields between three colours."""
    x, y = _fields(random, size, 3.0)
    scale = random.log_uniform("background texture scale", 0.15, 1.5)
    coordinates = _coordinates(x, y, scale)
    fine = torch.empty_like(x)
    kind = random.choice("background texture kind", (0.3, 0.2, 0.25, 0.25))
    for number, name in enumerate(("fractal", "pores", "wrinkle", "streaks")):
        rows = (kind == number).nonzero()[:, 0]
        if len(rows):
            fine[rows] = bank.sample(name, coordinates[rows], random.select(rows), "background texture")
    broad = bank.sample("smooth", 0.5 * coordinates, random, "background texture patches")
    colours = _colours(random, "texture", 3)
    contrast = _pixelwise(random.uniform("background texture contrast", 0.05, 0.5))
    scene = torch.lerp(_pixelwise(colours[:, 0]), _pixelwise(colours[:, 1]), (0.5 + contrast * broad).clamp_(0.0, 1.0))
    share = _pixelwise(random.uniform("background texture share", 0.2, 0.9))
    return torch.lerp(scene, _pixelwise(colours[:, 2]), (contrast * fine).clamp_(0.0, 1.0) * share)


def _clutter(random: SampleRandom, bank: NoiseBank, size: int) -> Tensor:
    """Shelves, stripes and lines of something like writing."""
    x, y = _fields(random, size, 0.25, 0.3)
    colours = _colours(random, "clutter base", 3)
    frequency = _pixelwise(random.log_uniform("background stripes", 1.5, 16.0))
    upright = _pixelwise(random.bernoulli("background stripes upright", 0.5))
    phase = torch.where(upright, x, y) * frequency
    wave = (phase - phase.floor() - 0.5).abs_()  # 0 to 0.5
    edge = random.log_uniform("background clutter focus", 0.015, 0.3)
    # A stripe's border is as wide in the picture as a box's.
    stripes = ((wave - 0.25) / (_pixelwise(edge) * frequency) + 0.5).clamp_(0.0, 1.0)
    shown = random.uniform("background stripes shown", -0.5, 1.0).clamp_min(0.0)
    scene = torch.lerp(_pixelwise(colours[:, 0]), _pixelwise(colours[:, 1]), stripes * _pixelwise(shown))
    scene = _boxes(random, scene, x, y, "clutter", 0.5, edge)
    lines = _pixelwise(random.log_uniform("background lines", 4.0, 14.0))
    row = y * lines
    number = row.floor()
    written = ((row - number - 0.5).abs_() < 0.3).to(x.dtype)
    letters = bank.sample("streaks", _coordinates(x * lines * 0.06, number * 0.37), random, "background letters")
    ink = (letters * 1.5 - 0.2).clamp_(0.0, 1.0) * written
    left = _pixelwise(random.uniform("background page left", -1.0, 0.6))
    inside = ((x > left) & (x < left + 0.9)).to(x.dtype)
    shown = _pixelwise(random.bernoulli("background written", 0.4) * random.uniform("background ink", 0.3, 1.0))
    return torch.lerp(scene, _pixelwise(colours[:, 2]), ink * inside * shown)


_SCENES: tuple[tuple[float, Callable[[SampleRandom, NoiseBank, int], Tensor]], ...] = (
    (0.20, _studio),
    (0.13, _darkness),
    (0.14, _bokeh),
    (0.20, _room),
    (0.14, _landscape),
    (0.08, _texture),
    (0.11, _clutter),
)
"""Shares of the kinds of scenes."""
