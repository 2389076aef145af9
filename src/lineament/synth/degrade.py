# SPDX-License-Identifier: Apache-2.0
"""The camera: from a clean picture to what a photo of it looks like.

Light falls off towards the corners, the lens blurs, the sensor is noisy and clips, the camera grades and
sharpens, the file is compressed and perhaps enlarged. No step moves anything: labels stay where they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from lineament.options import check_options
from lineament.render.colour import LUMA
from lineament.synth.jpeg import jpeg
from lineament.synth.random import SampleRandom

_LENS = 5  # half-width of the lens kernel, pixels
_REFERENCE = 256  # pixels; the side for which blurs are given
_SMALLEST = 64  # pixels
_CHUNK = 4  # pictures that are worked on together on a CPU: as many as its cache holds


@dataclass(frozen=True)
class DegradeConfig:
    """How often each step of the camera acts (a share of the photos) and how strongly at most."""

    exposure: float = 0.5
    """Share of photos exposed off their target."""
    exposure_stops: float = 0.4
    """Standard deviation of that error, in stops; one photo in ten errs three times as much."""
    white_balance: float = 0.6
    """Share of photos with a colour cast."""
    cast: float = 0.1
    """Standard deviation of the channels' gains in a cast, as a logarithm."""
    vignette: float = 0.3
    """Share of photos that darken towards the corners, at most to 40 %."""
    blur: float = 0.3
    """Share of photos with Gaussian blur."""
    blur_sigma: float = 1.6
    """Largest sigma of that blur, pixels of a picture of 256."""
    defocus: float = 0.07
    """Share of photos blurred by a disk of up to 3 pixels' radius, of a picture of 256."""
    motion: float = 0.06
    """Share of photos blurred along a line of up to 9 pixels, of a picture of 256."""
    low_resolution: float = 0.25
    """Share of photos that were smaller (by 1.3 to 4 times, not below 64 pixels) and were enlarged."""
    noise: float = 0.55
    """Share of photos with visible sensor noise."""
    noise_level: float = 0.04
    """Largest standard deviation of the noise in a light area; most photos have far less."""
    coarse_noise: float = 0.2
    """Share of the noisy photos whose grain spans several pixels."""
    haze: float = 0.1
    """Share of photos with stray light that lifts the dark."""
    saturation: float = 0.5
    """Share of photos with their colours weakened or strengthened."""
    tone: float = 0.6
    """Share of photos with a tone curve."""
    sharpen: float = 0.3
    """Share of photos with sharpening halos."""
    grey: float = 0.35
    """Share of photos without colour."""
    jpeg: float = 0.65
    """Share of photos compressed as JPEG."""
    jpeg_lowest: float = 25.0
    """Lowest JPEG quality; the highest is 98."""

    def __post_init__(self) -> None:
        check_options(self, {**dict.fromkeys(_SHARES, "[0, 1]"), **_STRENGTHS}, prefix="degrade.")

    @classmethod
    def none(cls) -> DegradeConfig:
        """A camera that changes nothing but rounding to 8 bits."""
        return replace(cls(), **dict.fromkeys(_SHARES, 0.0))


_STRENGTHS = {
    "exposure_stops": "[0, 5]",
    "cast": "[0, 2]",
    "blur_sigma": "[0, 4]",
    "noise_level": "[0, 1]",
    "jpeg_lowest": "[1, 98]",
}
_SHARES = tuple(field.name for field in fields(DegradeConfig) if field.name not in _STRENGTHS)


@dataclass(frozen=True)
class _Settings:
    """What was drawn for each photo; a value that does nothing where a step does not act."""

    gain: Tensor  # [B, 3] on encoded values
    corner: Tensor  # [B] loss of light in the corners
    sigma: Tensor  # [B] px, Gaussian blur
    disk: Tensor  # [B] px, radius of the lens disk, 0.5 is a pixel
    path: Tensor  # [B] px, half-length of the camera's motion
    heading: Tensor  # [B] rad, direction of that motion
    scale: Tensor  # [B] index into _SCALES
    read: Tensor  # [B] noise in the dark
    shot: Tensor  # [B] noise that light adds
    grain: Tensor  # [B, 3, 3] how the channels share their noise
    coarse: Tensor  # [B] 1 where the grain is coarse
    grade: Tensor  # [B, 3, 3] colour matrix
    haze: Tensor  # [B] stray light
    gamma: Tensor  # [B] bend of the tone curve
    contrast: Tensor  # [B] S-curve
    halo: Tensor  # [B] amount of sharpening
    halo_sigma: Tensor  # [B] px
    mono: Tensor  # [B, 3] weights of the channels in a grey photo, 0 for a photo in colour
    quality: Tensor  # [B] JPEG quality, 0 for none
    subsampled: Tensor  # [B] 1 where JPEG halves the chroma's resolution

    def select(self, rows: Tensor) -> _Settings:
        """The settings of some photos."""
        return _Settings(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


_SCALES = (1.0, 0.75, 0.5, 0.375, 0.25)


def _draw(config: DegradeConfig, random: SampleRandom) -> _Settings:
    """Draw every photo's settings."""

    def acts(name: str, share: float) -> Tensor:
        return random.bernoulli(f"camera {name}", share).to(torch.float32)

    def uniform(name: str, low: float, high: float) -> Tensor:
        return random.uniform(f"camera {name}", low, high)

    stops = config.exposure_stops * random.normal("camera stops").clamp(-2.5, 2.5)
    stops = stops * (1.0 + 2.0 * acts("exposed badly", 0.1)) * acts("exposure", config.exposure)
    cast = config.cast * random.normal("camera cast", shape=(3,)).clamp(-2.5, 2.5)
    cast = (cast - cast.mean(1, keepdim=True)) * acts("white balance", config.white_balance)[:, None]
    # Gains act on light; a pure power curve turns them into gains on encoded values.
    gain = torch.exp((math.log(2.0) * stops[:, None] + cast) / 2.2)

    moved = acts("motion", config.motion)
    opened = acts("defocus", config.defocus)
    shrunk = random.bernoulli("camera low resolution", config.low_resolution)
    level = config.noise_level * uniform("noise level", 0.15, 1.0) ** 2.5 * acts("noise", config.noise)
    in_light = uniform("shot share", 0.2, 1.0)
    shared = uniform("shared grain", 0.0, 1.0)[:, None, None]
    eye = torch.eye(3, device=random.device)
    grain = (1.0 - shared).sqrt() * eye + (shared / 3.0).sqrt()
    grain = grain / grain.square().sum(2, keepdim=True).sqrt()

    vivid = torch.exp(0.45 * random.normal("camera saturation").clamp(-2.5, 1.5) * acts("graded", config.saturation))
    luma = torch.tensor(LUMA, device=random.device).expand(3, 3)
    grade = luma + vivid[:, None, None] * (eye - luma)
    toned = acts("tone", config.tone)
    weights = random.uniform("camera grey weights", 0.05, 1.0, shape=(3,)) * torch.tensor(LUMA, device=random.device)
    mono = weights / weights.sum(1, keepdim=True) * acts("grey", config.grey)[:, None]
    spread = uniform("quality", 0.0, 1.0) ** 0.7
    quality = (config.jpeg_lowest + (98.0 - config.jpeg_lowest) * spread).round() * acts("jpeg", config.jpeg)
    return _Settings(
        gain=gain,
        corner=uniform("corner", 0.05, 0.6) * acts("vignette", config.vignette),
        sigma=config.blur_sigma * uniform("sigma", 0.2, 1.0) ** 1.5 * acts("blur", config.blur),
        disk=0.5 + uniform("disk", 0.5, 2.5) * opened,
        path=uniform("path", 0.7, 4.5) * moved,
        heading=uniform("heading", 0.0, math.pi),
        scale=torch.where(shrunk, 1 + random.choice("camera scale", (0.3, 0.35, 0.2, 0.15)), 0),
        read=level * (1.0 - in_light).sqrt(),
        shot=level * in_light.sqrt(),
        grain=grain,
        coarse=acts("coarse noise", config.coarse_noise),
        grade=grade,
        haze=uniform("haze", 0.02, 0.22) * acts("hazy", config.haze),
        gamma=uniform("gamma", -0.45, 0.45) * toned,
        contrast=uniform("contrast", -0.3, 0.8) * toned,
        halo=uniform("halo", 0.2, 1.3) * acts("sharpen", config.sharpen),
        halo_sigma=uniform("halo sigma", 0.6, 1.2),
        mono=mono,
        quality=quality,
        subsampled=acts("subsampled chroma", 0.75) * (quality < 93.0),
    )


class Degrade:
    """Photographs clean pictures."""

    def __init__(self, config: DegradeConfig | None = None) -> None:
        """Keep the camera's ranges (by default the standard ones)."""
        self.config = config or DegradeConfig()

    @torch.no_grad()
    def __call__(self, image: Tensor, random: SampleRandom) -> Tensor:
        """Photograph a batch.

        Args:
            image: [B, 3, S, S] float32, sRGB-encoded; values above 1 are brighter than the sensor can hold.
            random: The samples' random numbers, B of them.

        Returns:
            [B, 3, S, S] float32 in [0, 1], in steps of 1/255. Nothing has moved.
        """
        settings = _draw(self.config, random)
        result = torch.empty_like(image)
        size = image.shape[-1]
        for step, scale in enumerate(_SCALES):
            small = size if step == 0 else max(min(size, _SMALLEST), round(size * scale / 16) * 16)
            group = (settings.scale == step).nonzero()[:, 0]
            per_chunk = max(1, len(group)) if image.is_cuda else _CHUNK * (size // small) ** 2
            for rows in torch.split(group, per_chunk):
                if len(rows):
                    result[rows] = _photograph(image[rows], settings.select(rows), random.select(rows), small)
        return result


def _photograph(image: Tensor, settings: _Settings, random: SampleRandom, size: int) -> Tensor:
    """Take photos [B, 3, S, S] of ``size`` pixels and enlarge them to S."""
    full = image.shape[-1]
    if size != full:
        image = F.interpolate(image, (size, size), mode="bilinear", antialias=True)
    image = image * (settings.gain[:, :, None, None] * _falloff(settings.corner, size))
    share = min(1.0, full / _REFERENCE) * size / full  # of the reference; larger pictures are no more blurred
    sigma = settings.sigma * share
    image = _where(sigma > 0.15, image, lambda x, rows: gaussian_blur(x, sigma[rows]))
    smeared = (settings.disk > 0.5) | (settings.path > 0)
    image = _where(smeared, image, lambda x, rows: _lens(x, settings.select(rows), share))
    haze = settings.haze[:, None, None, None]
    image = torch.lerp(image, torch.ones_like(haze), haze)
    image = _where(
        settings.read + settings.shot > 0,
        image,
        lambda x, rows: _noisy(x, settings.select(rows), random.select(rows)),
    )
    image = _matrix(settings.grade, image.clamp_(0.0, 1.0)).clamp_(0.0, 1.0)
    image = _tone(image, settings.gamma, settings.contrast)
    image = _where(settings.halo > 0, image, lambda x, rows: _sharpened(x, settings.select(rows)))
    image = _where(
        settings.mono.sum(1) > 0,
        image,
        lambda x, rows: _matrix(settings.mono[rows, None].expand(-1, 3, -1).contiguous(), x),
    )
    lossy, halved = settings.quality > 0, settings.subsampled > 0
    image = _where(lossy & ~halved, image, lambda x, rows: jpeg(x, settings.quality[rows], False))
    image = _where(lossy & halved, image, lambda x, rows: jpeg(x, settings.quality[rows], True))
    if size != full:
        image = F.interpolate(image, (full, full), mode="bilinear")
    return image.clamp_(0.0, 1.0).mul_(255.0).round_().div_(255.0)


def _where(mask: Tensor, image: Tensor, change: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Change only the photos of a mask [B]: most steps act on few photos."""
    rows = mask.nonzero()[:, 0]
    if len(rows) == 0:
        return image
    if len(rows) == len(image):
        return change(image, rows)
    return image.index_copy(0, rows, change(image[rows], rows))


def _matrix(matrix: Tensor, image: Tensor) -> Tensor:
    """Apply a colour matrix [B, 3, 3] to each pixel."""
    return torch.bmm(matrix, image.flatten(2)).view_as(image)


def _falloff(corner: Tensor, size: int) -> Tensor:
    """Share of light that reaches a pixel: falls with the squared distance from the centre, [B, 1, S, S]."""
    axis = (torch.arange(size, device=corner.device, dtype=torch.float32) + 0.5) * (2.0 / size) - 1.0
    squared = 0.5 * (axis.square()[:, None] + axis.square()[None, :])  # 1 in the corners
    return 1.0 - corner[:, None, None, None] * squared


def gaussian_blur(image: Tensor, sigma: Tensor) -> Tensor:
    """Blur each picture by a Gaussian of its own, cut at three sigma; the border is continued.

    Args:
        image: [B, C, H, W].
        sigma: [B] px; 0 leaves the picture as it is.

    Returns:
        [B, C, H, W].
    """
    radius = torch.ceil(3.0 * sigma).clamp_min(1.0)
    reach = int(radius.max())
    offset = torch.arange(-reach, reach + 1, device=image.device, dtype=torch.float32)
    weight = torch.exp(-0.5 * (offset / sigma.clamp_min(1e-3)[:, None]).square())
    # Weights beyond a picture's own radius are zero: its result does not depend on its neighbours' radii.
    weight = weight * (offset.abs() <= radius[:, None])
    weight = (weight / weight.sum(1, keepdim=True))[:, :, None, None, None]  # [B, taps, 1, 1, 1]
    # Sums of shifted copies: on a CPU much faster than a grouped convolution, and exactly batch-independent.
    for dim, pad in ((2, (0, 0, reach, reach)), (3, (reach, reach, 0, 0))):
        padded = F.pad(image, pad, mode="replicate")
        length = image.shape[dim]
        total = padded.narrow(dim, 0, length) * weight[:, 0]
        for tap in range(1, 2 * reach + 1):
            total.addcmul_(padded.narrow(dim, tap, length), weight[:, tap])
        image = total
    return image


def _lens(image: Tensor, settings: _Settings, scale: float) -> Tensor:
    """Blur by a disk dragged along a line: defocus, motion or both, symmetric about the pixel."""
    axis = torch.arange(-_LENS, _LENS + 1, device=image.device, dtype=torch.float32)
    y, x = axis[:, None], axis[None, :]
    heading = settings.heading[:, None, None]
    cosine, sine = torch.cos(heading), torch.sin(heading)
    along, across = cosine * x + sine * y, cosine * y - sine * x
    beyond = (along.abs() - scale * settings.path[:, None, None]).clamp_min(0.0)
    distance = (beyond.square() + across.square()).sqrt()
    radius = 0.5 + scale * (settings.disk[:, None, None] - 0.5)  # a disk of half a pixel is none
    kernel = (0.5 + radius - distance).clamp(0.0, 1.0)  # [B, K, K], edges antialiased
    kernel = kernel / kernel.sum((1, 2), keepdim=True)
    batch, channels, height, width = image.shape
    padded = F.pad(image, (_LENS,) * 4, mode="replicate")
    stacked = padded.view(1, batch * channels, *padded.shape[2:])
    weight = kernel.repeat_interleave(channels, 0)[:, None]
    return F.conv2d(stacked, weight, groups=batch * channels).view(batch, channels, height, width)


def _noisy(image: Tensor, settings: _Settings, random: SampleRandom) -> Tensor:
    """Add read and shot noise (Foi et al. 2008: variance affine in the signal) in fine or coarse grain."""
    height, width = image.shape[2:]

    def coarse(_: Tensor, rows: Tensor) -> Tensor:
        half = random.select(rows).pixels("camera coarse grain", (3, height // 2, width // 2))
        # Bilinear enlargement by two leaves 5/8 of the standard deviation.
        return F.interpolate(half, (height, width), mode="bilinear") * 1.6

    def fine(_: Tensor, rows: Tensor) -> Tensor:
        return random.select(rows).pixels("camera grain", (3, height, width))

    noise = _where(settings.coarse == 0, torch.empty_like(image), fine)
    noise = _matrix(settings.grain, _where(settings.coarse > 0, noise, coarse))
    variance = settings.shot.square()[:, None, None, None] * image.clamp_min(0.0)
    return torch.addcmul(image, noise, variance.add_(settings.read.square()[:, None, None, None]).sqrt_())


def _tone(image: Tensor, gamma: Tensor, contrast: Tensor) -> Tensor:
    """Bend tones with black and white fixed: a parabola for gamma, a cubic for the S-curve; both monotone."""
    contrast = contrast[:, None, None, None]
    slope = torch.addcmul(gamma[:, None, None, None] - 0.5 * contrast, image, contrast)
    return torch.addcmul(image, slope, image - image.square())


def _sharpened(image: Tensor, settings: _Settings) -> Tensor:
    """Unsharp masking."""
    detail = image - gaussian_blur(image, settings.halo_sigma)
    return torch.addcmul(image, detail, settings.halo[:, None, None, None]).clamp_(0.0, 1.0)
