# SPDX-License-Identifier: Apache-2.0
"""Cas-FNE's losses (section III-C, equations 5 to 8), and the loss of our mask."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from lineament.render.vectors import dot, masked_mean

Reconstruction = Literal["cosine", "angle"]

WEIGHTS = {"rec": 1.0, "likelihood": 0.1, "tv": 0.002, "adv": 0.0001, "mask": 0.1}
"""λ_rec, λ_tv and λ_adv of section IV-C; the weights of likelihood and mask are ours."""


def reconstruction_loss(
    normals: Sequence[Tensor], truth: Tensor, labelled: Tensor, kind: Reconstruction = "cosine"
) -> Tensor:
    """Distance to the ground truth, averaged over labelled pixels and summed over all stages (equation 5).

    Args:
        normals: [B, 3, H, W] unit, one per stage.
        truth: [B, 3, H, W] unit where labelled.
        labelled: [B, 1, H, W] bool.
        kind: "cosine" is the paper's 1 - cos. Its squared nature rewards hedging: where the picture is ambiguous the
            best guess under it is the mean of the candidates, which is flatter than each. "angle" grows linearly with
            the angle (the chord 2 sin(θ/2), smoothed at zero), whose best guess is a median.

    Returns:
        A scalar.
    """
    total = truth.new_zeros(())
    for stage in normals:
        distance = 1.0 - dot(stage, truth) if kind == "cosine" else (_squared(stage - truth) + 1e-4).sqrt() - 1e-2
        total = total + masked_mean(distance, labelled)
    return total


def likelihood_loss(
    normals: Sequence[Tensor], concentrations: Sequence[Tensor], truth: Tensor, labelled: Tensor
) -> Tensor:
    """Negative log-likelihood of the truth under the angular von Mises-Fisher distribution, summed over all stages.

    Its density falls off with the angle θ itself: p = (κ² + 1) exp(-κ θ) / (2π (1 + exp(-κ π))) (Bae, Budvytis and
    Cipolla 2021, equation 7).

    Args:
        normals: [B, 3, H, W] unit, one per stage.
        concentrations: [B, 1, H, W] κ > 0, one per stage.
        truth: [B, 3, H, W] unit where labelled.
        labelled: [B, 1, H, W] bool.

    Returns:
        A scalar; gradients reach normals and concentrations.
    """
    total = truth.new_zeros(())
    for stage, kappa in zip(normals, concentrations, strict=True):
        # Of two unit vectors' difference and sum, the half angle's sine and cosine: exact also for small angles.
        difference = (_squared(stage - truth) + 1e-6).sqrt()
        along = (_squared(stage + truth) + 1e-6).sqrt()
        angle = 2.0 * torch.atan2(difference, along)
        nll = kappa * angle - torch.log(kappa.square() + 1.0) + F.softplus(-math.pi * kappa)
        total = total + masked_mean(nll, labelled)
    return total


def total_variation_loss(normals: Sequence[Tensor]) -> Tensor:
    """Mean gradient magnitude of N/2 + 0.5, summed over all stages (equation 6)."""
    total = normals[0].new_zeros(())
    for stage in normals:
        right = stage[..., :-1, 1:] - stage[..., :-1, :-1]
        down = stage[..., 1:, :-1] - stage[..., :-1, :-1]
        magnitude = (0.25 * (_squared(right) + _squared(down)) + 1e-12).sqrt()  # of the halved normals
        total = total + magnitude.mean()
    return total


def _squared(vectors: Tensor) -> Tensor:
    """Squared lengths, [B, 3, H, W] to [B, 1, H, W]."""
    return dot(vectors, vectors)


def mask_loss(logits: Tensor, face: Tensor) -> Tensor:
    """Binary cross-entropy of the face's mask, [B, 1, H, W] logits and bool (ours, not the paper's)."""
    return F.binary_cross_entropy_with_logits(logits.float(), face.to(torch.float32))
