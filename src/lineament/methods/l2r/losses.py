# SPDX-License-Identifier: Apache-2.0
"""L2R's losses: equations 3 and 7."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from lineament.networks.vgg import VGG19Features
from lineament.render.vectors import masked_mean

FLIPPED = 0.5
"""Weight of the flipped reconstruction in the proxy's training (Unsup3D's λ_f)."""
_LEAST = 1e-3  # σ, below which a pixel that happens to fit would outweigh all others
_BLOCK = 3  # blocks of the features up to relu3, at a quarter of the resolution


def likelihood_loss(difference: Tensor, sigma: Tensor, seen: Tensor) -> Tensor:
    """Equation 3: the negative logarithm of a Laplacian likelihood, whose minimum lies at σ = √2 |Î - I|.

    Args:
        difference: |Î - I| [B, 1, S, S], mean over the channels.
        sigma: [B, 1, S, S] > 0.
        seen: [B, 1, S, S] bool, Ω.
    """
    sigma = sigma.clamp_min(_LEAST)
    return masked_mean(math.sqrt(2.0) * difference / sigma + torch.log(math.sqrt(2.0) * sigma), seen)


def colour_loss(rendered: Tensor, image: Tensor, sigma: Tensor, seen: Tensor) -> Tensor:
    """Equation 3 on colours [B, 3, S, S]."""
    return likelihood_loss((rendered - image).abs().mean(1, keepdim=True), sigma, seen)


def feature_loss(features: VGG19Features, rendered: Tensor, image: Tensor, sigma: Tensor, seen: Tensor) -> Tensor:
    """Unsup3D's perceptual term: the negative logarithm of a Gaussian likelihood of features at a quarter of the
    resolution.

    Args:
        features: Frozen.
        rendered: [B, 3, S, S] in [0, 1].
        image: [B, 3, S, S].
        sigma: [B, 1, S / 4, S / 4] > 0.
        seen: [B, 1, S, S] bool.
    """
    filled = torch.where(seen, rendered, image)
    said, wanted = (features(picture, _BLOCK)[-1].float() for picture in (filled, image))
    scale = wanted.detach().square().mean(1, keepdim=True).mean((2, 3), keepdim=True) + 1e-6
    squared = (said - wanted).square().mean(1, keepdim=True) / scale
    sigma = sigma.clamp_min(math.sqrt(_LEAST))
    inside = F.avg_pool2d(seen.float(), 4) > 0.5
    return masked_mean(squared / (2.0 * sigma.square()) + sigma.log(), inside)


def roughness(displacement: Tensor) -> Tensor:
    """∇|m| of equation 7: the mean absolute Laplacian of a map [B, C, S, S]."""
    inner = displacement[:, :, 1:-1, 1:-1]
    around = displacement[:, :, :-2, 1:-1] + displacement[:, :, 2:, 1:-1]
    around = around + displacement[:, :, 1:-1, :-2] + displacement[:, :, 1:-1, 2:]
    return (around - 4.0 * inner).abs().mean()
