# SPDX-License-Identifier: Apache-2.0
"""How HRN's de-retouching network and its detail maps are trained, and the steps of the whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from lineament.methods.hrn import map_losses
from lineament.methods.hrn.analyser_recipe import AnalyserRecipe, load_analyser
from lineament.methods.hrn.chart import detailed_normals, slopes
from lineament.methods.hrn.chart_batches import chart_batches
from lineament.methods.hrn.coarse_meshes import CoarseMeshes, named
from lineament.methods.hrn.config import HRNTrainConfig
from lineament.methods.hrn.explained import explained
from lineament.methods.hrn.flow import reversal_flow, shifted
from lineament.methods.hrn.model import HRN, DetailMaps, placed_pixels
from lineament.methods.hrn.retouching import Retouching, refined_albedo, retouching_size
from lineament.models.features.model import FaceFeatures
from lineament.networks.discriminator import PatchDiscriminator, adversarial_loss, discriminator_loss
from lineament.networks.vgg import VGG19Features
from lineament.networks.weight_files import load_weights, save_weights
from lineament.render.vectors import dot, unit
from lineament.training.batch import Batch
from lineament.training.parallel import constant
from lineament.training.plan import Step, Training
from lineament.training.recipe import Learner, SingleNetworkRecipe, adam, weighted
from lineament.weights import weights_path

FEATURES = "face-features"
"""Weights of the features that ship."""
_REAL = 0.3  # spread in mm of the displacement map, which brings it to the discriminator's range
_MIDDLE = 5.0  # and of the deformation map
_GAMMA = 2.2  # of sRGB, about
_SPOT = 0.3  # change of a reflectance's logarithm from which on it is a spot
_MARKED = 30.0  # how much more a texel counts whose reflectance blemishes change by a factor of e
_DISCRIMINATOR = {"hrn": (64, 128, 256, 512), "hrn-s": (16, 32, 64, 128)}


class RetouchingRecipe(SingleNetworkRecipe):
    """De-retouching: textures of synthetic faces, with their blemishes and without."""

    weights: Mapping[str, float] = {"retouched": 1.0}
    config: HRNTrainConfig

    def __init__(self, config: HRNTrainConfig, analyser: Path) -> None:
        """Build the network, for textures on the meshes of an analyser's weights."""
        super().__init__(Retouching(retouching_size(config.model == "hrn-s")), config)
        self.analyser = analyser

    def batches(self, split: str, first: int, device: torch.device) -> Iterator[Batch]:
        """Charted faces, and blemishes to lay on them."""
        return chart_batches(self.config, self.analyser, split, first, device, "blemishes")

    def losses(self, model: Retouching, batch: Batch, autocast: torch.autocast) -> dict[str, Tensor]:
        """Mean absolute difference from the texture without its blemishes, where it is seen.

        Blemishes are rare: where there are some, a texel counts more, or nothing would be taken off at all.
        """
        wanted = batch["texture"]
        with autocast:
            found = model(blemished(wanted, batch["marks"]))
        weight = batch["seen"] * (1.0 + _MARKED * batch["marks"].abs())
        return {"retouched": ((found - wanted).abs() * weight).sum() / weight.sum().clamp_min(1.0)}

    @torch.no_grad()
    def validate(self, model: Retouching, device: torch.device, sheet: Path) -> dict[str, float]:
        """Difference from the texture without blemishes where there are some; for comparison, left as it is."""
        totals = np.zeros(3)
        for batch in islice(self.batches("validation", 0, device), self.config.validation_batches):
            wanted, texture = batch["texture"], blemished(batch["texture"], batch["marks"])
            found = model(texture)
            marked = (batch["marks"].abs().amax(1, keepdim=True) > _SPOT) * batch["seen"]
            away = [(each - wanted).abs().mean(1, keepdim=True) for each in (found, texture)]
            totals += [float(value) for value in (*((each * marked).sum() for each in away), marked.sum())]
        write_rows(sheet, [texture, found, wanted])
        return {
            "validation_blemishes": totals[0] / max(totals[2], 1.0),
            "validation_untouched": totals[1] / max(totals[2], 1.0),
        }


class MapsRecipe:
    """The deformation and displacement networks on the meshes of the frozen analyser (sections 3.2 and 3.3)."""

    def __init__(self, config: HRNTrainConfig, analyser: Path, retouching: Path | None) -> None:
        """Build the networks.

        Args:
            config: The training.
            analyser: Weights of the first step; read at the start, as the next.
            retouching: Weights of the second one; without them the albedo is the model's.

        Raises:
            WeightsError: Features that do not fit.
        """
        self.config, self.analyser, self.retouching = config, analyser, retouching
        self.name: str = config.model
        self.model = HRN(config.network())
        self.model.analyser.requires_grad_(False)
        self.retoucher = None if retouching is None else Retouching(retouching_size(config.model == "hrn-s"))
        self.features: VGG19Features | None = None
        if config.perceptual:
            self.features = load_weights(weights_path(FEATURES), FaceFeatures).vgg.requires_grad_(False).eval()
        self.discriminators: dict[str, PatchDiscriminator] = {}
        if config.adversarial:
            self.discriminators = {
                "discriminator_mid": PatchDiscriminator(3, _DISCRIMINATOR[config.model]),
                "discriminator_high": PatchDiscriminator(1, _DISCRIMINATOR[config.model]),
            }
        self.meshes = CoarseMeshes()
        self.weights = {
            "photometric_mid": config.map_photometric,
            "photometric_high": config.map_photometric,
            "perceptual_mid": config.perceptual,
            "perceptual_high": config.perceptual,
            "landmark": config.map_landmark,
            "contour": config.contour,
            "smoothness": config.smoothness,
            "size": config.displacement,
            "adversarial_mid": config.adversarial,
            "adversarial_high": config.adversarial,
            "mid": config.mid,
            "high": config.high,
            "normal_mid": config.map_normal,
            "normal_high": config.map_normal,
        }
        if not config.deformation:
            self.model.alpha.data.zero_()
            self.model.alpha.requires_grad_(False)
        if not config.detail:
            self.model.beta.data.zero_()
            self.model.beta.requires_grad_(False)

    def start(self) -> None:
        """Take the analyser, the de-retouching network and, where they are named, the first weights."""
        if self.config.init is not None:
            self.model.load_state_dict(load_weights(self.config.init, HRN).state_dict())
        self.model.analyser.load_state_dict(load_analyser(self.analyser).analyser.state_dict())
        if self.retoucher is not None and self.retouching is not None:
            self.retoucher.load_state_dict(load_weights(self.retouching, Retouching).state_dict())
            self.retoucher.requires_grad_(False).eval()

    def auxiliary(self) -> dict[str, nn.Module]:
        """What the losses need beside the model: discriminators, and frozen networks."""
        frozen = {"features": self.features, "retoucher": self.retoucher}
        return {**self.discriminators, **{name: net for name, net in frozen.items() if net is not None}}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Adam for the maps' networks and for each discriminator."""
        rate, decay = self.config.learning_rate, self.config.weight_decay
        return {name: adam(net, rate, decay) for name, net in {"model": self.model, **self.discriminators}.items()}

    def batches(self, split: str, first: int, device: torch.device) -> Iterator[Batch]:
        """Charted faces; for training, photos beside them, their labels' names after ``photo_``."""
        return chart_batches(
            self.config, self.analyser, split, first, device, "photos" if split == "train" else "faces"
        )

    def step(
        self, batch: Batch, step: int, learners: Mapping[str, Learner], autocast: torch.autocast
    ) -> dict[str, Tensor]:
        """One step of the networks, then of the discriminators."""

        def generated() -> tuple[Tensor, tuple[dict[str, Tensor], dict[str, Tensor]]]:
            parts, maps = self.losses(self.model, batch, autocast)
            total, shown = weighted(map_losses.weighted_parts(parts, self.weights), self.weights)
            return total, (shown, {name: each.detach() for name, each in maps.items()})

        loss, norm, (parts, maps) = learners["model"].descend(generated)
        values = {"loss": loss, "gradient_norm": norm, **parts}
        for name in self.discriminators:
            kind = name.removeprefix("discriminator_")

            def measured(name: str = name, kind: str = kind) -> tuple[Tensor, None]:
                with autocast:
                    real, fake = (self.discriminators[name](maps[f"{which}_{kind}"]) for which in ("real", "fake"))
                return discriminator_loss(real.float(), [fake.float()]), None

            values[name], _, _ = learners[name].descend(measured)
        return values

    def losses(self, model: HRN, batch: Batch, autocast: torch.autocast) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """All parts of the loss, by name, and the maps that discriminators compare."""
        faces = batch.only(*(name for name in batch.labels if not name.startswith("photo_")))
        parts, maps, height = self._explained(model, faces, autocast)
        exact = faces["deformation"] * model.coarse_fade  # what lies beyond the chart is M_0's
        assert height is not None
        weight = maps.seen.detach() * (height != 0)
        parts["mid"] = ((maps.deformation - exact).abs()).mean()
        parts["high"] = map_losses.mean_over((maps.displacement - height).abs(), weight)
        fakes = {"mid": maps.deformation, "high": maps.displacement}
        if "photo_image" in batch.labels:
            own = {n.removeprefix("photo_"): v for n, v in batch.labels.items() if n.startswith("photo_")}
            photos = Batch(own.pop("image"), own)
            more, of_photos, _ = self._explained(model, photos, autocast)
            share = len(photos) / len(batch)
            parts = {name: part + share * more[name] if name in more else part for name, part in parts.items()}
            fakes = {
                "mid": torch.cat([maps.deformation, of_photos.deformation]),
                "high": torch.cat([maps.displacement, of_photos.displacement]),
            }
        compared = {"real_mid": exact / _MIDDLE, "real_high": faces["height"] * model.fade / _REAL}
        compared |= {"fake_mid": fakes["mid"] / _MIDDLE, "fake_high": fakes["high"] / _REAL}
        for name, network in self.discriminators.items():
            kind = name.removeprefix("discriminator_")
            with constant(network), autocast:
                logits = network(compared[f"fake_{kind}"])
            parts[f"adversarial_{kind}"] = adversarial_loss([logits.float()])
        return parts, compared

    def _explained(
        self, model: HRN, batch: Batch, autocast: torch.autocast
    ) -> tuple[dict[str, Tensor], DetailMaps, Tensor | None]:
        """What a picture says of its own maps, with labels or without, the maps, and the relief that it shows."""
        meshes = self.meshes.on(batch.image.device)
        coarse = meshes.vertices(batch["coefficients"])
        position = meshes.chart.of_vertices(coarse)
        with autocast:
            maps = model.details(position, batch["texture"], batch["seen"], model.features(batch.image))
        found = named(batch["coefficients"])
        albedo = self.meshes.chart.of_vertices(meshes.face.skin(found["albedo"])).clamp(0.0, 1.0)
        if self.retoucher is not None:
            with torch.no_grad(), autocast:
                retouched = self.retoucher(maps.texture)
            albedo = refined_albedo(albedo, maps.texture.detach(), retouched.float())
        shown = explained(meshes, coarse, maps, batch, albedo, found["light"])
        parts, layers, weight = shown.parts, shown.layers, shown.weight
        if self.features is not None:
            with autocast:
                for name, drawn in shown.drawn.items():
                    parts[f"perceptual_{name}"] = map_losses.perceptual_loss(self.features, drawn, shown.photo, weight)
        smooth, whole, height = self._shown(batch, layers)
        if self.config.map_normal:
            parts["normal_mid"] = map_losses.normal_loss(layers.deformed, smooth, weight)
            parts["normal_high"] = map_losses.normal_loss(layers.detailed, whole, weight)
        return parts, maps, height

    @torch.no_grad()
    def _shown(self, batch: Batch, layers: map_losses.Layers) -> tuple[Tensor, Tensor, Tensor | None]:
        """What the picture shows at the texels of M_1: normals [B, 3, T, T] of the smooth head and of the whole, and
        the height [B, 1, T, T] of its relief. Photos have one map of normals and no height.

        What is known of a synthetic face lies at the true head's texels, which M_1's are not yet: it is re-aligned by
        the reversal flow, as the texture is.
        """
        if "normal_map" in batch.labels:
            known = map_losses.at_texels(batch["normal_map"], layers)
            return known, known, None
        chart = self.meshes.chart
        smooth, position = chart.of_vertices(batch["normals"]), chart.of_vertices(batch["target"])
        slope = slopes(position, batch["height"])
        places = layers.places.transpose(1, 2).unflatten(2, position.shape[-2:]) * position.shape[-1]
        flow = reversal_flow(placed_pixels(position), places)
        smooth, slope, height = shifted(torch.cat([smooth, slope, batch["height"]], dim=1), flow).split((3, 3, 1), 1)
        return unit(smooth), detailed_normals(unit(smooth), slope), height

    @torch.no_grad()
    def validate(self, model: HRN, device: torch.device, sheet: Path) -> dict[str, float]:
        """Of people kept from training: angles of normals, M_0 to M_2, at what is seen; distances; detail."""
        gathered: list[dict[str, float]] = []
        for batch in islice(self.batches("validation", 0, device), self.config.validation_batches):
            coarse = self.meshes.on(device).vertices(batch["coefficients"])
            position, features = self.meshes.chart.of_vertices(coarse), model.features(batch.image)
            maps = model.details(position, batch["texture"], batch["seen"], features)
            layers = map_losses.layers_of(coarse, maps, self.meshes.chart, self.meshes.triangles)
            weight = map_losses.seen_on(batch["skin"], layers, maps.seen)
            _, truth, height = self._shown(batch, layers)
            assert height is not None
            still = DetailMaps(*(torch.zeros_like(each) for each in vars(maps).values()))
            flat = map_losses.layers_of(coarse, still, self.meshes.chart, self.meshes.triangles)
            exact = batch["deformation"] * model.coarse_fade
            known = weight * (height != 0)
            gathered.append(
                {
                    "m0_degrees": angle_between(flat.deformed, self._shown(batch, flat)[1], weight),
                    "m1_degrees": angle_between(layers.deformed, truth, weight),
                    "m2_degrees": angle_between(layers.detailed, truth, weight),
                    "m0_mm": float(exact.norm(dim=1).mean()),
                    "m1_mm": float((exact - maps.deformation).norm(dim=1).mean()),
                    "detail_correlation": correlation(maps.displacement, height, known),
                }
            )
            if not sheet.exists():
                relief = [(0.5 + 0.5 * each).expand(-1, 3, -1, -1) for each in (maps.displacement, height)]
                write_rows(sheet, [maps.texture, *(0.5 + 0.5 * each for each in (layers.detailed, truth)), *relief])
        return {f"validation_{name}": float(np.mean([g[name] for g in gathered])) for name in gathered[0]}

    def save(self, model: HRN, path: Path, metadata: Mapping[str, str]) -> None:
        """Write the averaged weights, the analyser's with them."""
        save_weights(model, path, metadata)


def blemished(texture: Tensor, marks: Tensor) -> Tensor:
    """Textures [B, 3, T, T] with blemishes [B, 3, T, T] on them: reflectance scales what is seen."""
    return (texture * torch.exp(marks / _GAMMA)).clamp(0.0, 1.0)


def angle_between(normals: Tensor, truth: Tensor, weight: Tensor) -> float:
    """Mean angle in degrees between normals [B, 3, T, T]."""
    cosine = dot(normals, truth).clamp(-1.0, 1.0)
    return float(map_losses.mean_over(torch.rad2deg(torch.acos(cosine)), weight))


def correlation(found: Tensor, truth: Tensor, weight: Tensor) -> float:
    """Pearson's correlation of maps [B, 1, T, T] where they have weight."""
    total = weight.sum().clamp_min(1.0)
    own, other = (each - (each * weight).sum() / total for each in (found, truth))
    both, one, two = ((a * b * weight).sum() for a, b in ((own, other), (own, own), (other, other)))
    return float(both / (one * two).sqrt().clamp_min(1e-9))


def write_rows(path: Path, rows: list[Tensor], columns: int = 6) -> None:
    """Write a PNG: a row of pictures [B, 3, T, T] in [0, 1] for each."""
    from lineament.images.write import write_png

    lines = [
        np.concatenate(list((255 * r[:columns].clamp(0, 1)).byte().permute(0, 2, 3, 1).cpu().numpy()), 1) for r in rows
    ]
    write_png(path, np.concatenate(lines, axis=0))


def steps_of(config: HRNTrainConfig) -> list[Step]:
    """Analyser, de-retouching, maps; those whose weights are given are left out."""
    steps: list[Step] = []
    config = replace(config, charts=config.charts or config.output / "charts")  # both steps that read it share it
    analyser, retouching = config.analyser, config.retouching
    if analyser is None:
        first = config.analyser_step()
        steps.append(Step("hrn-analyser", first, lambda: AnalyserRecipe(first)))
        analyser = steps[-1].weights
    if retouching is None and config.retouching_steps:
        second, of_analyser = config.retouching_step(), analyser
        steps.append(Step("hrn-retouching", second, lambda: RetouchingRecipe(second, of_analyser)))
        retouching = steps[-1].weights
    return [*steps, Step(config.model, config, lambda: MapsRecipe(config, analyser, retouching))]


TRAINING = Training(HRNTrainConfig, steps_of)
