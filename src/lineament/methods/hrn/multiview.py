# SPDX-License-Identifier: Apache-2.0
"""MV-HRN (Lei et al. 2023, section 3.5): one head fitted to several photos of a person.

The canonical space holds what the photos share, the identity's coefficients and the deformation map in the head's own
frame, which begin as the means of what the networks say of each photo. Pose, expression, albedo, light and displacement
are each photo's own. Adam minimises the losses of section 3.2 over all of them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from lineament.annotations.parsing import FACE_CLASSES, MaskClass
from lineament.inference.multiview import FitOptions, MultiviewFit, SeenFace, Told
from lineament.inference.predictor import Prediction
from lineament.methods.hrn import map_losses
from lineament.methods.hrn.chart import slopes
from lineament.methods.hrn.coarse_meshes import CoarseMeshes
from lineament.methods.hrn.coefficients import SIZES
from lineament.methods.hrn.explained import Explained, explained
from lineament.methods.hrn.head import assumed_camera, mesh_at
from lineament.methods.hrn.model import CHART, DetailMaps, widened
from lineament.methods.hrn.predictor import predicted
from lineament.methods.hrn.texture import charted
from lineament.render.morphable import head_rotation
from lineament.rig import shipped_rig
from lineament.rig.face_chart import border_fade
from lineament.training.batch import Batch

_RATES = {
    "identity": 0.05,
    "levels": 0.3,
    "expression": 0.05,
    "albedo": 0.03,
    "light": 0.01,
    "angles": 0.003,
    "translation": 0.3,
    "displacement": 0.004,
}
"""Adam's first step of each, in its unit; after it they fall to a tenth."""
_LEVELS = (4, 8, 16, 32, 64)  # sides of the maps that make up the deformation map
_LAST = 0.1
_SEEN = 0.5  # probability from which a landmark counts as seen
_AT_REST = 1e-3  # weight of an expression below which, and above one minus which, it hardly moves
_EXPRESSION, _ALBEDO = 0.8, 1.7e-3  # of the prior, beside the identity's 1 (Deng et al. 2019)


class Canonical(nn.Module):
    """What is fitted to N photos.

    The deformation map is a sum of maps from coarse to fine: Adam moves every number at one pace, and a head that is
    too flat would take hundreds of steps texel by texel.
    """

    first: Tensor
    fade: Tensor
    fine_fade: Tensor

    def __init__(self, said: Sequence[Prediction]) -> None:
        """Begin with what the networks say of each photo, and with the means of what the photos share."""
        super().__init__()
        found = {name: _stacked([each.coefficients[name][0] for each in said]) for name in SIZES}
        rotation = head_rotation(found["angles"])
        deformation = _stacked([_first(each.deformation_map) for each in said]).permute(0, 3, 1, 2)
        at_rest = torch.einsum("nji,njhw->nihw", rotation, deformation)
        expression = found["expression"].clamp(_AT_REST, 1.0 - _AT_REST)
        self.identity = nn.Parameter(found["identity"].mean(0, keepdim=True))  # [1, K]
        self.register_buffer("first", at_rest.mean(0, keepdim=True))  # [1, 3, 64, 64] mm, head's frame
        self.register_buffer("fade", torch.from_numpy(border_fade(at_rest.shape[-1])), persistent=False)
        self.register_buffer("fine_fade", torch.from_numpy(border_fade(CHART)), persistent=False)
        self.levels = nn.ParameterList([torch.zeros(1, 3, side, side) for side in _LEVELS])
        self.expression = nn.Parameter(torch.logit(expression))
        self.albedo, self.light = nn.Parameter(found["albedo"]), nn.Parameter(found["light"])
        self.angles, self.translation = nn.Parameter(found["angles"]), nn.Parameter(found["translation"])
        self.displacement = nn.Parameter(
            _stacked([_first(each.displacement_map) for each in said])[:, None]
        )  # [N, 1, T, T] mm

    def coefficients(self) -> dict[str, Tensor]:
        """Of every photo, [N, ·] by name."""
        own = {"albedo": self.albedo, "light": self.light, "angles": self.angles, "translation": self.translation}
        identity = self.identity.expand(len(self.angles), -1)
        return {"identity": identity, "expression": self.expression.sigmoid(), **own}

    @property
    def deformation(self) -> Tensor:
        """[1, 3, 64, 64] mm, in the head's frame."""
        size = self.first.shape[-2:]
        finer = [F.interpolate(level, size, mode="bilinear", align_corners=False) for level in self.levels]
        return self.first + torch.stack(finer).sum(0) * self.fade

    @property
    def relief(self) -> Tensor:
        """[N, 1, T, T] mm, the displacement maps."""
        return self.displacement * self.fine_fade

    def seen_deformation(self) -> Tensor:
        """[N, 3, 64, 64] mm, the deformation as each photo's camera sees it."""
        return torch.einsum("nij,mjhw->nihw", head_rotation(self.angles), self.deformation)


def fit_views(faces: Sequence[SeenFace], options: FitOptions, told: Told) -> MultiviewFit:
    """Fit one head; see `lineament.inference.multiview.FitViews`.

    Whatever ends the steps, their number, the time or Ctrl-C, the head is returned as it stands.
    """
    canonical, meshes = Canonical([face.said for face in faces]), CoarseMeshes()
    batch = _batch(faces)
    groups = [{"params": [p], "lr": _RATES[name.split(".")[0]]} for name, p in canonical.named_parameters()]
    adam = torch.optim.Adam(groups)
    schedule = torch.optim.lr_scheduler.LambdaLR(adam, lambda step: _LAST ** (step / max(1, options.steps)))
    until, made = time.monotonic() + options.seconds, 0
    seen = _seen(canonical, meshes, faces) if options.steps else None
    try:
        while made < options.steps and time.monotonic() < until:
            assert seen is not None
            adam.zero_grad()
            loss(canonical, meshes, batch, seen, options).backward()
            adam.step()
            schedule.step()
            made += 1
            told(made)
    except KeyboardInterrupt:
        pass  # what was fitted so far is a result
    return _fitted(canonical, meshes, faces, batch, made)


def loss(canonical: Canonical, meshes: CoarseMeshes, batch: Batch, seen: Tensor, options: FitOptions) -> Tensor:
    """What the fit minimises.

    Args:
        canonical: The head and its photos.
        meshes: The rig.
        batch: The photos: image, face, skin, landmarks, visible.
        seen: [N, 1, T, T] where each photo shows the chart.
        options: Weights.
    """
    found, shown = _shown(canonical, meshes, batch, seen)
    weights = {
        "photometric_mid": options.photometric,
        "photometric_high": options.photometric,
        "landmark": options.landmark,
        "contour": options.contour,
        "smoothness": options.smoothness,
        "size": options.displacement,
    }
    total = torch.stack([weights[name] * part for name, part in shown.parts.items() if name in weights]).sum()
    squares = found["identity"][:1].square().sum() + _EXPRESSION * found["expression"].square().sum(1).mean()
    total = total + options.prior * (squares + _ALBEDO * found["albedo"].square().sum(1).mean())
    if options.normal and "normals" in batch.labels:
        known = map_losses.at_texels(batch["normals"], shown.layers)
        for normals in (shown.layers.deformed, shown.layers.detailed):
            total = total + options.normal * map_losses.normal_loss(normals, known, shown.weight)
    return total


def _shown(
    canonical: Canonical, meshes: CoarseMeshes, batch: Batch, seen: Tensor
) -> tuple[dict[str, Tensor], Explained]:
    found = canonical.coefficients()
    coarse = meshes.posed(found)
    deformation = canonical.seen_deformation()
    deformed = meshes.chart.of_vertices(coarse) + widened(deformation)
    displacement = canonical.relief * seen
    maps = DetailMaps(deformation, displacement, slopes(deformed, displacement), deformed, seen)
    albedo = meshes.chart.of_vertices(meshes.face.skin(found["albedo"])).clamp(0.0, 1.0)
    return found, explained(meshes, coarse, maps, batch, albedo, found["light"])


def _batch(faces: Sequence[SeenFace]) -> Batch:
    """The photos as the losses take them."""

    labels = {
        "landmarks": _stacked([face.landmarks.astype(np.float32) for face in faces]),
        "visible": _stacked([face.visibility > _SEEN for face in faces]),
        "face": _stacked([np.isin(face.parse, FACE_CLASSES) for face in faces])[:, None],
        "skin": _stacked([np.isin(face.parse, (MaskClass.SKIN, MaskClass.BROWS)) for face in faces])[:, None],
    }
    normals = [face.normals for face in faces if face.normals is not None]
    if len(normals) == len(faces):
        labels["normals"] = _stacked(normals).permute(0, 3, 1, 2).float()
    return Batch(_stacked([face.picture for face in faces]).permute(0, 3, 1, 2).float() / 255, labels)


@torch.no_grad()
def _seen(canonical: Canonical, meshes: CoarseMeshes, faces: Sequence[SeenFace]) -> Tensor:
    """[N, 1, T, T] where each photo shows the chart, as the head first stands."""
    vertices = meshes.posed(canonical.coefficients()) + meshes.chart.at_vertices(canonical.seen_deformation())
    maps = [
        charted(face.picture, mesh_at(shipped_rig(), own.double().numpy()), assumed_camera(len(face.picture))).seen
        for face, own in zip(faces, vertices, strict=True)
    ]
    return torch.from_numpy(np.stack(maps))[:, None]


@torch.no_grad()
def _fitted(
    canonical: Canonical, meshes: CoarseMeshes, faces: Sequence[SeenFace], batch: Batch, made: int
) -> MultiviewFit:
    found: Mapping[str, Tensor] = canonical.coefficients()
    deformation = canonical.seen_deformation()
    vertices = meshes.posed(dict(found)) + meshes.chart.at_vertices(deformation)
    places = map_losses.vertex_places(vertices)[:, meshes.face.landmarks]
    away = 100.0 * (places - batch["landmarks"]).norm(dim=-1).numpy()
    visible = batch["visible"].numpy()
    residuals = [float(np.median(own[there] if there.any() else own)) for own, there in zip(away, visible, strict=True)]
    maps = deformation.permute(0, 2, 3, 1).contiguous().numpy(), canonical.relief[:, 0].numpy()
    predictions = [
        predicted(
            face.said.side,
            {name: values[number : number + 1].numpy() for name, values in found.items()},
            *(each[number : number + 1] for each in maps),
        )
        for number, face in enumerate(faces)
    ]
    return MultiviewFit(tuple(predictions), np.array(residuals), made)


def _stacked(values: Sequence[NDArray[np.generic]]) -> Tensor:
    return torch.from_numpy(np.stack(values))


def _first(maps: NDArray[np.float32] | None) -> NDArray[np.float32]:
    assert maps is not None
    first: NDArray[np.float32] = maps[0]
    return first
