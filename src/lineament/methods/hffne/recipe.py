# SPDX-License-Identifier: Apache-2.0
"""How HFFNE is trained: a recipe per stage, as the training loop wants them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor, nn

from lineament.errors import WeightsError
from lineament.methods.hffne import losses
from lineament.methods.hffne.config import HFFNETrainConfig
from lineament.methods.hffne.exemplars import corrupted
from lineament.methods.hffne.model import HFFNE, CoarseNormals
from lineament.models.features.model import FaceFeatures
from lineament.networks.discriminator import PatchDiscriminator, adversarial_loss, discriminator_loss
from lineament.networks.encoder import start_encoder
from lineament.networks.torchvision import load_torchvision_weights
from lineament.networks.unet import PyramidUNet
from lineament.networks.vgg import VGG19Features
from lineament.networks.weight_files import load_weights, save_weights
from lineament.render.colour import grey
from lineament.render.vectors import unit
from lineament.training.augment import draws_of, prepared
from lineament.training.batch import Batch
from lineament.training.data import batches, unlabelled_batches
from lineament.training.parallel import constant, draw_number
from lineament.training.plan import Step, Training
from lineament.training.recipe import Learner, adam, weighted
from lineament.training.relight import relit
from lineament.training.validation import angular_errors
from lineament.weights import weights_path

FEATURES = "face-features"
"""Weights of the features that ship."""
_MIRROR = (-1.0, 1.0, 1.0)


class CoarseRecipe:
    """Stage one: pix2pix on labelled faces, L1 norm and adversarial."""

    def __init__(self, config: HFFNETrainConfig) -> None:
        """Build the network and its discriminator, which sees the grey photo beside the normals."""
        self.config = config
        self.name: str = CoarseNormals.FORMAT.name
        coarse = config.network().coarse()
        self.model = CoarseNormals(coarse)
        if isinstance(self.model.unet, PyramidUNet) and coarse.network != "pix2pix":
            start_encoder(self.model.unet.encoder, coarse.network, config.start)
        self.discriminator = PatchDiscriminator(in_channels=4) if config.adversarial else None

    def start(self) -> None:
        """Take the first weights from a file, if one is named."""
        if self.config.coarse_init is not None:
            self.model.load_state_dict(load_weights(self.config.coarse_init, CoarseNormals).state_dict())

    def auxiliary(self) -> dict[str, nn.Module]:
        """The discriminator, where there is one."""
        return {} if self.discriminator is None else {"discriminator": self.discriminator}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Adam for the network and for the discriminator."""
        rate, decay = self.config.learning_rate, self.config.weight_decay
        return {name: adam(net, rate, decay) for name, net in {"model": self.model, **self.auxiliary()}.items()}

    def batches(self, split: str, first: int, device: torch.device) -> Iterator[Batch]:
        """Photos, normals and faces."""
        return batches(self.config, split, first, device)

    def step(
        self, batch: Batch, step: int, learners: Mapping[str, Learner], autocast: torch.autocast
    ) -> dict[str, Tensor]:
        """One step of the network and, where there is one, of the discriminator."""
        config = self.config
        batch = prepared(relit(batch, config.relight, config.seed, draw_number(step)), config, step)

        def generated() -> tuple[Tensor, tuple[dict[str, Tensor], Tensor]]:
            with autocast:
                normals = self.model(batch.image)
            parts = {"rec": losses.absolute_loss(normals, batch["normals"], batch["face"])}
            if self.discriminator is not None:
                with constant(self.discriminator):
                    parts["adv"] = adversarial_loss([self._discriminated(batch, normals, autocast)])
            total, shown = weighted(parts, {"rec": 1.0, "adv": self.config.adversarial})
            return total, (shown, normals.detach())

        def measured() -> tuple[Tensor, None]:
            real, fake = (self._discriminated(batch, n, autocast) for n in (batch["normals"], normals))
            return discriminator_loss(real, [fake]), None

        loss, norm, (parts, normals) = learners["model"].descend(generated)
        values = {"loss": loss, "gradient_norm": norm, **parts}
        if "discriminator" in learners:
            values["discriminator"], _, _ = learners["discriminator"].descend(measured)
        return values

    def _discriminated(self, batch: Batch, normals: Tensor, autocast: torch.autocast) -> Tensor:
        """The discriminator's logits on normals beside their photo."""
        assert self.discriminator is not None
        with autocast:
            pair = torch.cat([2.0 * grey(batch.image) - 1.0, normals * batch["face"]], dim=1)
            logits: Tensor = self.discriminator(pair)
        return logits.float()

    def validate(self, model: CoarseNormals, device: torch.device, sheet: Path) -> dict[str, float]:
        """Angular error on people kept from training."""
        source = islice(self.batches("validation", 0, device), self.config.validation_batches)
        (error,) = angular_errors(source, lambda batch: ([model(batch.image)], batch), sheet)
        return {"validation_error": error}

    def save(self, model: CoarseNormals, path: Path, metadata: Mapping[str, str]) -> None:
        """Write the averaged weights."""
        save_weights(model, path, metadata)


class HFFNERecipe:
    """Stage two: fine normals from pictures without labels, guided by the frozen coarse network."""

    def __init__(self, config: HFFNETrainConfig, coarse: Path) -> None:
        """Build the networks.

        Args:
            config: The training.
            coarse: Weights of stage one; where they are still to be trained, they are read at the start.

        Raises:
            WeightsError: Weights that are missing or do not fit.
        """
        self.config, self.coarse = config, coarse
        self.name: str = config.model
        self.model = HFFNE(config.network())
        if coarse.exists():
            self._take_coarse()
        self._first = self._first_weights()
        self.features = _features(config)
        if self.model.exemplar_encoder is not None:
            self.model.exemplar_encoder.vgg.load_state_dict(self.features.state_dict())

    def start(self) -> None:
        """Take the coarse network, and the first weights of what is learned from a file, if one is named."""
        self._take_coarse()
        self.model.load_state_dict(self._first, strict=False)

    def _take_coarse(self) -> None:
        frozen = load_weights(self.coarse, CoarseNormals)
        wanted = replace(self.model.coarse.config, crop_size=frozen.config.crop_size)
        if frozen.config != wanted:
            raise WeightsError(f"{self.coarse} is for a coarse network of another size than {self.config.model} has")
        self.model.coarse.load_state_dict(frozen.state_dict())

    def _first_weights(self) -> dict[str, Tensor]:
        """What is learned, from the file that is named; nothing where none is."""
        if self.config.init is None:
            return {}
        known = load_weights(self.config.init, HFFNE).state_dict()
        own = {name: value for name, value in known.items() if not name.startswith("coarse.")}
        wrong = sorted(set(own) ^ {name for name in self.model.state_dict() if not name.startswith("coarse.")})
        if wrong:
            raise WeightsError(f"{self.config.init} is of another configuration (first difference: {wrong[0]})")
        return own

    def auxiliary(self) -> dict[str, nn.Module]:
        """The frozen features that the perceptual loss compares."""
        return {"features": self.features}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Adam for what is not frozen."""
        return {"model": adam(self.model, self.config.learning_rate, self.config.weight_decay)}

    def batches(self, split: str, first: int, device: torch.device) -> Iterator[Batch]:
        """Synthetic photos, whose labels only the validation uses, and real ones besides: pictures and faces."""
        config = self.config
        if split == "validation":
            yield from batches(config, split, first, device)
            return
        yield from unlabelled_batches(config, config.photos, config.photo_share, first, device)

    def step(
        self, batch: Batch, step: int, learners: Mapping[str, Learner], autocast: torch.autocast
    ) -> dict[str, Tensor]:
        """One step (equation 10)."""
        # The coarse network sees the picture as it is, the second stage sees it varied: labels never enter.
        guide = self.coarse_normals(batch.image, autocast)
        batch = prepared(batch.only("face").with_labels(normals=guide), self.config, step)
        face, shift = batch["face"], 0 if self.config.paired else 1
        exemplar, valid = batch["normals"].roll(shift, 0), face.roll(shift, 0)
        exemplar = corrupted(exemplar, valid, draws_of(batch, self.config.seed + 2, step))

        def refined() -> tuple[Tensor, dict[str, Tensor]]:
            with autocast:
                normals = self.model.refine(batch.image, exemplar)
            parts = {"rec": losses.reconstruction_loss(normals, batch["normals"], face)}
            if self.config.perceptual:
                with autocast:
                    parts["perc"] = losses.perceptual_loss(self.features, batch.image, normals, face)
            return weighted(parts, {"rec": 1.0, "perc": self.config.perceptual})

        loss, norm, parts = learners["model"].descend(refined)
        return {"loss": loss, "gradient_norm": norm, **parts}

    @torch.no_grad()
    def coarse_normals(self, image: Tensor, autocast: torch.autocast) -> Tensor:
        """The frozen network's normals [B, 3, S, S], averaged with those of the mirrored pictures."""
        with autocast:
            plain, mirrored = self.model.coarse(image), self.model.coarse(image.flip(-1))
        signs = torch.tensor(_MIRROR, device=image.device).view(1, 3, 1, 1)
        return unit(plain + mirrored.flip(-1) * signs)

    def validate(self, model: HFFNE, device: torch.device, sheet: Path) -> dict[str, float]:
        """Angular error of the coarse and the fine normals on people kept from training."""

        def estimate(batch: Batch) -> tuple[list[Tensor], Batch]:
            output = model(batch.image)
            return [output.coarse, output.refined], batch

        source = islice(self.batches("validation", 0, device), self.config.validation_batches)
        coarse, refined = angular_errors(source, estimate, sheet)
        return {"validation_error_coarse": coarse, "validation_error_refined": refined}

    def save(self, model: HFFNE, path: Path, metadata: Mapping[str, str]) -> None:
        """Write the averaged weights, the frozen ones with them."""
        save_weights(model, path, metadata)


def _features(config: HFFNETrainConfig) -> VGG19Features:
    """The features that the configuration names, frozen."""
    width = config.network().vgg_width
    path = config.features or weights_path(FEATURES)
    if path.suffix == ".pth":
        network = VGG19Features(width)
        load_torchvision_weights(network, path)
    else:
        network = load_weights(path, FaceFeatures).vgg
        if network.channels != VGG19Features(width).channels:
            raise WeightsError(
                f"{path} holds features of another width than {config.model}'s ({width:g}); name torchvision's VGG-19 "
                "checkpoint or other weights with --features, or train them with `lineament train features`"
            )
    return network.requires_grad_(False).eval()


def coarse_step(config: HFFNETrainConfig) -> Step:
    """Stage one."""
    return Step(CoarseNormals.FORMAT.name, config, lambda: CoarseRecipe(config))


def refining_step(config: HFFNETrainConfig, coarse: Path) -> Step:
    """Stage two, on a coarse network's weights."""
    return Step(config.model, config, lambda: HFFNERecipe(config, coarse))


def steps_of(config: HFFNETrainConfig) -> list[Step]:
    """Both stages; stage two alone where a coarse network is given."""
    if config.coarse is not None:
        return [refining_step(config, config.coarse)]
    coarse = coarse_step(config.stage_one())
    return [coarse, refining_step(config, coarse.weights)]


TRAINING = Training(HFFNETrainConfig, steps_of)
