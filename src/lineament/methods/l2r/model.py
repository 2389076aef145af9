# SPDX-License-Identifier: Apache-2.0
"""L2R's networks (Zhang et al. 2022, "Learning to Restore 3D Face from In-the-Wild Degraded Images").

The proxy (section 3) finds depth d_o, albedo a_o, light l_o and view ω_o of a degraded photo I. ARN (section 4.1) lets
a StyleGAN2 restore the albedo: a_r. GRN (section 4.2) refines the depth by what the restored texture shows: D_r^uv.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor, nn
from torch.nn import functional as F

from lineament.errors import UsageError
from lineament.methods.l2r.camera import PROXY_SIZE
from lineament.methods.l2r.method import WEIGHTS
from lineament.methods.l2r.proxy import Factors, Proxy, ProxyConfig
from lineament.methods.l2r.refinement import GeometryRefinement, Refined, RefiningEncoder
from lineament.methods.l2r.restoration import AlbedoRestoration
from lineament.methods.l2r.warp import Warp, coarse, shaded, warp
from lineament.models.stylegan2.model import StyleGAN2Config
from lineament.weights.schema import WeightsFormat


@dataclass(frozen=True)
class L2RConfig:
    """The networks' sizes; the defaults are the paper's."""

    width: int = 64
    """Channels of the first layers of the proxy's networks and of ARN's encoders."""
    latent: int = 256
    """Numbers that they squeeze a face into."""
    crop_size: int = 256
    """Side of the restored pictures, pixels."""
    prior_size: int = 1024
    """Side of StyleGAN2's pictures, pixels; it has a stage for each power of two from 4 on."""
    prior_latent: int = 512
    prior_base: int = 32768
    """A stage's channels are this divided by its side, but at most `prior_most`."""
    prior_most: int = 512
    mapping_layers: int = 8
    """Of StyleGAN2's mapping network, which ARN has, too."""
    codes: Literal["several", "single"] = "several"
    """One style code per stage, or one for all."""
    guided_stages: int = 4
    """k: how many stages the albedo proxy guides."""
    decoder_width: int = 64
    """Channels of the prior decoder; 0 takes the generator's own picture."""
    refining_encoder: RefiningEncoder = "pix2pix"
    """GRN: pix2pix's U-Net, or an encoder's pyramid of the photo with a decoder over it."""
    refining_width: int = 64
    """Channels of GRN's first level, or at full resolution."""
    refining_levels: int = 8
    """How often pix2pix's U-Net halves its maps."""
    restored: Literal["seen", "withheld"] = "seen"
    """Whether GRN sees the restored texture."""
    displacement_channels: int = 3
    """Of m; 0 leaves the displacement map out."""
    concentration: Literal["none", "learned"] = "none"
    """Whether GRN says how sure its normals are, which finetuning with labels teaches; not the paper's."""
    warp_scale: int = 1
    """How much coarser than its maps the mesh is that says what hides what and where each pixel looks."""

    def __post_init__(self) -> None:
        for step in (PROXY_SIZE, 2**self.refining_levels):
            if self.crop_size % step:
                raise UsageError(f"pictures must be multiples of {step} pixels, not {self.crop_size}")
        if self.displacement_channels not in (0, 3):
            raise UsageError(f"a displacement map has 3 channels, or 0 for none, not {self.displacement_channels}")

    @property
    def proxy(self) -> ProxyConfig:
        """The proxy's size."""
        return ProxyConfig(self.width, self.latent)

    @property
    def prior(self) -> StyleGAN2Config:
        """Size of the StyleGAN2."""
        return StyleGAN2Config(
            self.prior_size, self.prior_latent, self.mapping_layers, self.prior_base, self.prior_most
        )


def l2r(crop_size: int = 256) -> L2RConfig:
    """The paper's size."""
    return L2RConfig(crop_size=crop_size)


def l2r_s(crop_size: int = 128) -> L2RConfig:
    """The small size, whose StyleGAN2 is `lineament.models.stylegan2.model.stylegan2_s`."""
    return L2RConfig(
        width=16,
        latent=128,
        crop_size=crop_size,
        prior_size=128,
        prior_latent=128,
        prior_base=2048,
        prior_most=128,
        mapping_layers=4,
        decoder_width=32,
        refining_encoder="efficientnet-lite0",
        refining_width=24,
        refining_levels=5,
        warp_scale=2,
    )


@dataclass(frozen=True)
class Restored:
    """What the first half of L2R says of photos: proxy and restored texture."""

    proxy: Factors
    """d_o, a_o, l_o and ω_o."""
    albedo: Tensor
    """a_r [B, 3, S, S] canonical, in [0, 1]."""
    texture: Tensor
    """t_r [B, 3, S, S]: a_r under l_o on d_o, canonical."""


class L2R(nn.Module):
    """All networks of the method but those that only training asks for."""

    FORMAT: ClassVar[WeightsFormat] = WEIGHTS
    CONFIG: ClassVar[type] = L2RConfig

    def __init__(self, config: L2RConfig) -> None:
        super().__init__()
        self.config = config
        self.proxy = Proxy(config.proxy)
        self.restoration = AlbedoRestoration(
            config.prior.generator(),
            config.crop_size,
            config.width,
            config.latent,
            config.codes == "several",
            config.guided_stages,
            config.decoder_width,
        )
        self.refinement = GeometryRefinement(
            config.refining_encoder,
            config.refining_levels,
            config.refining_width,
            config.restored == "seen",
            config.displacement_channels > 0,
            config.concentration == "learned",
        )

    def restore(self, image: Tensor) -> Restored:
        """The proxy and ARN on photos [B, 3, S, S] in [0, 1]."""
        small = self.small(image)
        proxy = self.proxy(small)
        albedo = self.restoration(small, proxy.albedo)
        return Restored(proxy, albedo, lit(albedo, proxy.normals, proxy.light))

    def refine(self, image: Tensor, restored: Restored, original: Tensor) -> Refined:
        """GRN on photos [B, 3, S, S], ``original`` being the restored texture as they see it."""
        refined: Refined = self.refinement(image, restored.proxy.distance, restored.texture, original)
        return refined

    def forward(self, image: Tensor) -> tuple[Restored, Refined]:
        """Both halves on photos [B, 3, S, S] in [0, 1]."""
        restored = self.restore(image)
        return restored, self.refine(image, restored, self.seen(restored))

    def small(self, image: Tensor) -> Tensor:
        """Photos as the proxy's networks see them, [B, 3, 64, 64]."""
        return F.interpolate(image, (PROXY_SIZE, PROXY_SIZE), mode="area")

    def warp(self, points: Tensor, view: Tensor) -> Warp:
        """What photos see of canonical points [B, 3, s, s]."""
        finer = points.shape[-1] // PROXY_SIZE
        return warp(coarse(points, self.config.warp_scale * finer), view, self.config.crop_size)

    def seen(self, restored: Restored) -> Tensor:
        """I_r [B, 3, S, S]: the restored texture as the photo sees it, on the proxy."""
        return self.warp(restored.proxy.points, restored.proxy.view).of(restored.texture)


def lit(albedo: Tensor, normals: Tensor, light: Tensor) -> Tensor:
    """Λ with normals of another size than the albedo's, [B, 3, S, S], in [0, 1]."""
    size = albedo.shape[-1]
    if normals.shape[-1] != size:
        normals = F.normalize(F.interpolate(normals, (size, size), mode="bilinear", align_corners=False), dim=1)
    return shaded(albedo, normals, light).clamp(0.0, 1.0)


def small_network() -> L2R:
    """The network of `l2r_s` with random weights."""
    return L2R(l2r_s())


def paper_network() -> L2R:
    """The network of `l2r` with random weights."""
    return L2R(l2r())
