# SPDX-License-Identifier: Apache-2.0
"""How L2R is trained on its proxy: ARN, GRN, both together (section 4.3), and finetuning with labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor, nn

from lineament.errors import WeightsError
from lineament.methods.casfne.losses import likelihood_loss, reconstruction_loss
from lineament.methods.l2r import losses
from lineament.methods.l2r.config import SHARES, L2RTrainConfig, Phase
from lineament.methods.l2r.measures import ViewErrors, shown
from lineament.methods.l2r.model import L2R, Restored, lit
from lineament.methods.l2r.proxy import Confidence, Factors, Proxy, ProxyConfig
from lineament.methods.l2r.proxy_recipe import ProxyRecipe, flipped, picture_batches
from lineament.methods.l2r.refinement import PyramidFeatures, Refined
from lineament.methods.l2r.rendering import Rendered, random_light, random_view, rendered
from lineament.models.stylegan2.model import StyleGAN2
from lineament.networks.encoder import start_encoder
from lineament.networks.stylegan2_discriminator import Discriminator, discriminator_loss, generator_loss
from lineament.networks.weight_files import load_weights, save_weights
from lineament.render.vectors import masked_mean
from lineament.synth.low_resolution import low_resolution
from lineament.training.augment import draws_of, moved, recoloured
from lineament.training.batch import Batch, centred
from lineament.training.parallel import constant
from lineament.training.plan import Step, Training
from lineament.training.recipe import Learner, adam, weighted
from lineament.weights.file import read_method

_LEARNING: Mapping[Phase, tuple[str, ...]] = {
    "restoring": ("restoration",),
    "refining": ("refinement",),
    "joint": ("restoration", "refinement", "proxy.view", "proxy.light"),
    "finetuning": ("proxy.depth", "proxy.view", "proxy.light", "refinement"),
}
"""What of the networks each phase moves. The generator stays as it is in all, and the albedo where labels tell shape
alone: moved by pictures in other colours it would lose its own."""


class L2RRecipe:
    """One phase of the training."""

    def __init__(self, config: L2RTrainConfig, phase: Phase, proxy: Path, before: Path | None) -> None:
        """Build the networks.

        Args:
            config: The training, as this phase sees it (`L2RTrainConfig.of`).
            phase: Which one.
            proxy: Weights of the proxy, for the first phase; where it is still to be trained, they are read at the
                start.
            before: Weights of the phase before; None for the first.

        Raises:
            WeightsError: A StyleGAN2 that does not fit; where it is still to be trained, it is read at the start.
        """
        self.config, self.phase, self.proxy, self.before = config, phase, proxy, before
        self.name: str = config.model
        size = config.network()
        self.model = L2R(size)
        self.prior = config.trained_prior if before is None else None
        if self.prior is not None and self.prior.exists():
            self._take_prior(self.prior)  # one that does not fit is said at once
        features = self.model.refinement.features
        if isinstance(features, PyramidFeatures) and size.refining_encoder != "pix2pix":
            start_encoder(features.encoder, size.refining_encoder, config.start)
        self.model.requires_grad_(False)
        for name in _LEARNING[phase]:
            self.model.get_submodule(name).requires_grad_(True)
        self.model.restoration.generator.requires_grad_(phase == "restoring" and config.untrained_prior)
        self.adversarial = config.alpha > 0 and phase != "finetuning"
        self.confidence = None if phase == "finetuning" else Confidence(size.width, config.size)
        prior = replace(size.prior, size=config.size)
        self.discriminator = Discriminator(config.size, prior.channels) if self.adversarial else None

    def _take_prior(self, path: Path) -> None:
        """Put a trained generator into ARN, whose codes start at the mean of its own."""
        trained = load_weights(path, StyleGAN2)
        if trained.config != self.model.config.prior:
            raise WeightsError(f"{path} holds a StyleGAN2 of another size than {self.config.model}'s")
        self.model.restoration.take_generator(trained.generator)

    def start(self) -> None:
        """Take what the steps before have learned."""
        if self.before is None:
            if self.prior is not None:
                self._take_prior(self.prior)
            self.model.proxy.load_state_dict(load_proxy(self.proxy, self.model.config.proxy).state_dict())
            return
        known = load_weights(self.before, L2R)
        if replace(known.config, concentration=self.model.config.concentration) != self.model.config:
            raise WeightsError(f"{self.before} is of another configuration than the one that is asked for")
        self.model.load_state_dict({**self.model.state_dict(), **known.state_dict()})

    def auxiliary(self) -> dict[str, nn.Module]:
        """Φ^σ and the discriminator of equation 6, which only training asks for."""
        found = {"confidence": self.confidence, "discriminator": self.discriminator}
        return {name: network for name, network in found.items() if network is not None}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Adam for what learns."""
        rate, decay = self.config.learning_rate, self.config.weight_decay
        return {name: adam(net, rate, decay) for name, net in {"model": self.model, **self.auxiliary()}.items()}

    def batches(self, split: str, first: int, device: torch.device) -> Iterator[Batch]:
        """Pictures; with labels for finetuning and of faces kept from training."""
        return picture_batches(self.config, split, first, device, labelled=self.phase == "finetuning")

    def degraded(self, image: Tensor, number: int) -> Tensor:
        """I: degraded pictures, by the chance of a number."""
        chance = torch.Generator(image.device).manual_seed(self.config.seed * 1_000_003 + number)
        return low_resolution(image, self.config.degrade, chance)

    def step(
        self, batch: Batch, step: int, learners: Mapping[str, Learner], autocast: torch.autocast
    ) -> dict[str, Tensor]:
        """One step of the networks and of those beside them."""
        if self.phase == "finetuning":
            return self._finetune(batch, step, learners["model"], autocast)
        batch = flipped(batch, self.config, step)
        image, given = batch.image, self.degraded(batch.image, step)
        draw = draws_of(batch, self.config.seed + 1, step)
        weights = {"plain": 1.0, "flipped": 1.0, "adversarial": self.config.alpha, "roughness": self.config.beta}
        scale = self.model.config.warp_scale

        def computed() -> tuple[Tensor, tuple[dict[str, Tensor], list[Rendered], Rendered | None]]:
            with autocast:
                restored, refined = self._shapes(given)
            both = [rendered(restored, refined, scale, mirror=mirror) for mirror in (False, True)]
            with constant(self._confidence):
                parts = self._likelihoods(image, given, both, autocast)
            other: Rendered | None = None
            if self.discriminator is not None:
                view, light = random_view(restored.proxy.view, draw), random_light(restored.proxy.light, draw)
                other = rendered(restored, refined, scale, view, light)
                with autocast, constant(self.discriminator):
                    parts["adversarial"] = generator_loss(self.discriminator(other.signed).float())
                other = other.detached()
            if refined is not None and refined.displacement is not None:
                parts["roughness"] = losses.roughness(refined.displacement)
            total, said = weighted(parts, weights)
            return total, (said, [picture.detached() for picture in both], other)

        loss, norm, (parts, both, other) = learners["model"].descend(computed)
        learners["confidence"].descend(lambda: weighted(self._likelihoods(image, given, both, autocast), weights))
        values = {"loss": loss, "gradient_norm": norm, **parts}
        if other is not None:
            values["discriminator"], _, _ = learners["discriminator"].descend(
                lambda: (self._discriminated(image, other, autocast), None)
            )
        return values

    def _likelihoods(
        self, image: Tensor, given: Tensor, both: Sequence[Rendered], autocast: torch.autocast
    ) -> dict[str, Tensor]:
        """Equation 3 of the plain and of the flipped picture."""
        with autocast:
            sigma, _ = self._confidence(self.model.small(given))
        return {
            name: losses.colour_loss(picture.image, image, sigma[:, number : number + 1], picture.seen)
            for number, (name, picture) in enumerate(zip(("plain", "flipped"), both, strict=True))
        }

    def _shapes(self, given: Tensor) -> tuple[Restored, Refined | None]:
        """ARN's answer and, but for its own phase, GRN's."""
        model = self.model
        restored = model.restore(given)
        if self.phase == "restoring":
            return restored, None
        return restored, model.refine(given, restored, model.seen(restored))

    @property
    def _confidence(self) -> Confidence:
        assert self.confidence is not None
        return self.confidence

    def _discriminated(self, image: Tensor, other: Rendered, autocast: torch.autocast) -> Tensor:
        """The discriminator's loss on photos, of which as much is hidden as of the rendered pictures."""
        assert self.discriminator is not None
        with autocast:
            real, fake = (self.discriminator(picture) for picture in (other.hidden_alike(image), other.signed))
        return discriminator_loss(real.float(), fake.float())

    def _finetune(self, batch: Batch, step: int, learner: Learner, autocast: torch.autocast) -> dict[str, Tensor]:
        """One step with labels: normals and depth in the photo, of the proxy and of the refined shape."""
        config = self.config
        clean = batch.image
        if config.augment:
            draw = draws_of(batch, config.seed, step)
            batch, inside = moved(batch, draw)
            clean = recoloured(batch.image, inside, draw)
        given = self.degraded(clean, step)
        face = batch["face"]
        weights = {
            "normal": config.normal,
            "proxy_normal": config.normal,
            "depth": config.depth,
            "likelihood": config.likelihood,
            "colour": 1.0,
            "roughness": config.beta,
        }

        def computed() -> tuple[Tensor, dict[str, Tensor]]:
            with autocast:
                restored, refined = self._shapes(given)
            assert refined is not None
            model, proxy = self.model, restored.proxy
            where = model.warp(proxy.points, proxy.view)
            first = shown(proxy.points, proxy.normals, proxy.view, where)
            where = model.warp(refined.points, proxy.view)
            last = shown(refined.points, refined.normals, proxy.view, where)
            inside = face & last.seen
            picture = where.of(lit(restored.albedo, refined.normals, proxy.light))
            depth = centred(last.depth, inside) - centred(batch["depth"], inside)
            parts = {
                "normal": reconstruction_loss([last.normals], batch["normals"], inside, "angle"),
                "proxy_normal": reconstruction_loss([first.normals], batch["normals"], face & first.seen, "angle"),
                "depth": masked_mean(depth.abs(), inside),
                "colour": masked_mean((picture - clean).abs(), where.seen),
            }
            if refined.concentration is not None:
                kappa = where.of(refined.concentration)
                parts["likelihood"] = likelihood_loss([last.normals.detach()], [kappa], batch["normals"], inside)
            if refined.displacement is not None:
                parts["roughness"] = losses.roughness(refined.displacement)
            return weighted(parts, weights)

        loss, norm, parts = learner.descend(computed)
        return {"loss": loss, "gradient_norm": norm, **parts}

    @torch.no_grad()
    def validate(self, model: L2R, device: torch.device, sheet: Path) -> dict[str, float]:
        """SIDE, MAD and the picture's error on degraded photos of people kept from training."""
        errors = ViewErrors()
        for number, batch in enumerate(islice(self.batches("validation", 0, device), self.config.validation_batches)):
            restored, refined = model(self.degraded(batch.image, number))
            proxy: Factors = restored.proxy
            shape = proxy if self.phase == "restoring" else refined
            points, normals = shape.points, shape.normals
            where = model.warp(points, proxy.view)
            picture = where.of(lit(restored.albedo, normals, proxy.light))
            errors.add(batch, shown(points, normals, proxy.view, where), picture, sheet if number == 0 else None)
        return errors.means()

    def save(self, model: L2R, path: Path, metadata: Mapping[str, str]) -> None:
        """Write the averaged weights, the frozen ones with them."""
        save_weights(model, path, metadata)


def load_proxy(path: Path, config: ProxyConfig) -> Proxy:
    """The proxy of a weights file, its own or the whole method's.

    Raises:
        WeightsError: The file cannot be read, or holds one of another size.
    """
    proxy = load_weights(path, Proxy) if read_method(path) == Proxy.FORMAT.name else load_weights(path, L2R).proxy
    if proxy.config != config:
        raise WeightsError(f"{path} holds a proxy of another size than the one that is asked for")
    return proxy


def steps_of(config: L2RTrainConfig) -> list[Step]:
    """The proxy, ARN, GRN, both, and finetuning; those that are given or not asked for left out."""
    steps: list[Step] = []
    before = config.init
    if config.init is None:
        proxy = config.proxy
        if proxy is None:
            seen = config.proxy_step()
            steps.append(Step(Proxy.FORMAT.name, seen, lambda: ProxyRecipe(seen)))
            proxy = steps[0].weights
        for phase in SHARES:
            steps.append(_step(config.of(phase), phase, proxy, before))
            before = steps[-1].weights
    if config.finetune_steps:
        steps.append(_step(config.of("finetuning"), "finetuning", Path(), before))
    return steps


def _step(config: L2RTrainConfig, phase: Phase, proxy: Path, before: Path | None) -> Step:
    return Step(config.model, config, lambda: L2RRecipe(config, phase, proxy, before))


TRAINING = Training(L2RTrainConfig, steps_of)
