# SPDX-License-Identifier: Apache-2.0
"""How L2R's proxy is trained, without labels (section 3; Unsup3D)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor, nn

from lineament.methods.l2r import losses
from lineament.methods.l2r.config import L2RTrainConfig
from lineament.methods.l2r.measures import ViewErrors, shown
from lineament.methods.l2r.proxy import Confidence, Factors, Proxy
from lineament.methods.l2r.warp import canonical_points, coarse, mirrored, shaded, surface_normals, warp
from lineament.models.features.model import FaceFeatures
from lineament.networks.vgg import VGG19Features
from lineament.networks.weight_files import load_weights, save_weights
from lineament.training.augment import draws_of
from lineament.training.batch import Batch
from lineament.training.data import batches, unlabelled_batches
from lineament.training.parallel import constant
from lineament.training.recipe import Learner, adam, weighted
from lineament.weights import weights_path

Rendering = tuple[Tensor, Tensor]
"""A picture [B, 3, S, S], and [B, 1, S, S] bool, where it shows anything."""
FEATURES = "face-features"
"""Weights of the features that the perceptual term compares."""


class ProxyRecipe:
    """Binds the proxy and its confidence network to equation 3."""

    def __init__(self, config: L2RTrainConfig) -> None:
        """Build the networks."""
        self.config = config
        self.name: str = Proxy.FORMAT.name
        size = config.network()
        self.model = Proxy(size.proxy)
        self.scale = size.warp_scale
        self.confidence = Confidence(size.width, config.size)
        self.features: VGG19Features | None = None
        if config.perceptual:
            self.features = load_weights(weights_path(FEATURES), FaceFeatures).vgg.requires_grad_(False)

    def start(self) -> None:
        """It starts from random weights."""

    def auxiliary(self) -> dict[str, nn.Module]:
        """Φ^σ, which only training asks for, and the frozen features."""
        frozen = {} if self.features is None else {"features": self.features}
        return {"confidence": self.confidence, **frozen}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Adam for the proxy and for Φ^σ."""
        rate, decay = self.config.learning_rate, self.config.weight_decay
        return {"model": adam(self.model, rate, decay), "confidence": adam(self.confidence, rate, decay)}

    def batches(self, split: str, first: int, device: torch.device) -> Iterator[Batch]:
        """Pictures; of faces kept from training, normals and depth, too."""
        return picture_batches(self.config, split, first, device)

    def step(
        self, batch: Batch, step: int, learners: Mapping[str, Learner], autocast: torch.autocast
    ) -> dict[str, Tensor]:
        """One step of the proxy and of Φ^σ, on pictures half of which are mirrored."""
        image = flipped(batch, self.config, step).in_layout(self.config.channels_last).image
        weights = {"photometric": 1.0, "perceptual": self.config.perceptual}

        def explained() -> tuple[Tensor, tuple[dict[str, Tensor], list[Rendering]]]:
            with autocast:
                factors = self.model(image)
            shown = list(reconstructions(factors, image.shape[-1], self.scale))
            with constant(self.confidence):
                total, parts = weighted(self.losses(image, shown, autocast), weights)
            return total, (parts, [(picture.detach(), seen) for picture, seen in shown])

        loss, norm, (parts, shown) = learners["model"].descend(explained)
        learners["confidence"].descend(lambda: weighted(self.losses(image, shown, autocast), weights))
        return {"loss": loss, "gradient_norm": norm, **parts}

    def losses(self, image: Tensor, shown: Sequence[Rendering], autocast: torch.autocast) -> dict[str, Tensor]:
        """Equation 3 of the plain and of the flipped reconstruction, and the perceptual term of both."""
        with autocast:
            sigma, feature_sigma = self.confidence(image)
        total = {name: image.new_zeros(()) for name in ("photometric", "perceptual")}
        for number, (rendered, seen) in enumerate(shown):
            weight, only = (1.0, losses.FLIPPED)[number], slice(number, number + 1)
            term = losses.colour_loss(rendered, image, sigma[:, only], seen)
            total["photometric"] = total["photometric"] + weight * term
            if self.features is not None:
                with autocast:
                    term = losses.feature_loss(self.features, rendered, image, feature_sigma[:, only], seen)
                total["perceptual"] = total["perceptual"] + weight * term
        return total

    @torch.no_grad()
    def validate(self, model: Proxy, device: torch.device, sheet: Path) -> dict[str, float]:
        """SIDE, MAD and the reconstruction's error on people kept from training."""
        errors = ViewErrors()
        for number, batch in enumerate(islice(self.batches("validation", 0, device), self.config.validation_batches)):
            factors = model(batch.image)
            seen = warp(coarse(factors.points, self.scale), factors.view, self.config.size)
            picture = seen.of(shaded(factors.albedo, factors.normals, factors.light))
            shape = shown(factors.points, factors.normals, factors.view, seen)
            errors.add(batch, shape, picture, sheet if number == 0 else None)
        return errors.means()

    def save(self, model: Proxy, path: Path, metadata: Mapping[str, str]) -> None:
        """Write the averaged weights."""
        save_weights(model, path, metadata)


def reconstructions(factors: Factors, size: int, scale: int) -> Iterator[Rendering]:
    """Î and Î' (equations 1 and 2), [B, 3, S, S] each, and where they show anything."""
    for albedo, distance in (
        (factors.albedo, factors.distance),
        (mirrored(factors.albedo), mirrored(factors.distance)),
    ):
        points = canonical_points(distance)
        seen = warp(coarse(points, scale), factors.view, size)
        yield seen.of(shaded(albedo, surface_normals(points), factors.light)), seen.seen


def picture_batches(
    config: L2RTrainConfig, split: str, first: int, device: torch.device, labelled: bool = False
) -> Iterator[Batch]:
    """Synthetic faces, whose labels only the validation and finetuning use, and photos besides."""
    if split == "validation" or labelled:
        yield from batches(config, split, first, device, ("normals", "depth"))
    else:
        yield from unlabelled_batches(config, config.photos, config.photo_share, first, device)


def flipped(batch: Batch, config: L2RTrainConfig, step: int) -> Batch:
    """A batch without labels, half of whose pictures are mirrored if the configuration varies pictures."""
    if not config.augment:
        return Batch(batch.image, {})
    mirror = draws_of(batch, config.seed, step).uniform(0, 1)[:, None, None, None] < 0.5
    return Batch(torch.where(mirror, batch.image.flip(-1), batch.image), {})
