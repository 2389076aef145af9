# SPDX-License-Identifier: Apache-2.0
"""Does a refining network listen to the normals that it refines? ``python benchmarks/accuracy/prior_swap.py [--methods
casfne-s hffne-s] [--faces 96] [--output tables.json]``.

On synthetic people that no training saw, Cas-FNE's cascade and HFFNE's refining network get in place of their own
coarse normals the truth, those of another person, and nothing (zeros): a network that uses them is much better with the
truth and worse with another's; one that is deaf gives the same error with all four. *Moved* is how far its normals turn
when its own coarse normals give way to another's. *Detail r* is the correlation of fine normals with the truth's
(`lineament.evaluation.metrics.detail`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lineament.annotations.parsing import FACE_CLASSES
from lineament.evaluation.metrics.detail import BLUR, compare_shape_and_detail
from lineament.evaluation.report.benchmark import benchmark_parser, report
from lineament.evaluation.report.table import Table
from lineament.geometry import angular_error
from lineament.methods.casfne.model import CasFNE
from lineament.methods.hffne.model import HFFNE
from lineament.networks.weight_files import load_weights
from lineament.rig import load_rig
from lineament.synth import Generator, SynthConfig
from lineament.weights import weights_path
from lineament.weights.file import read_method

BATCH = 8
Refine = Callable[[Tensor], Tensor]
PRIORS = ("own", "truth", "another's", "zeros")


def main() -> None:
    """Measure and print."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--methods", nargs="+", default=["casfne-s", "hffne-s"])
    parser.add_argument("--faces", type=int, default=96)
    arguments = parser.parse_args()
    rows = [row for name in arguments.methods for row in swapped(name, arguments.faces)]
    columns = ("method", "coarse normals", "coarse °", "refined °", "moved °", "detail r")
    title = f"Coarse normals exchanged, {arguments.faces} synthetic people"
    report([Table(title, columns, tuple(rows))], arguments.output, arguments.methods)


@torch.no_grad()
def swapped(name: str, count: int) -> list[tuple[str | float | None, ...]]:
    """A row for each kind of coarse normals."""
    path = weights_path(name)
    refines = read_method(path) == HFFNE.FORMAT.name
    model = load_weights(path, HFFNE) if refines else load_weights(path, CasFNE)
    generator = Generator(SynthConfig(size=model.config.crop_size, seed=99), load_rig())
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for first in range(0, count, BATCH):
        batch = generator.batch(range(first, min(count, first + BATCH)))
        face = torch.isin(batch.mask, torch.tensor(list(map(int, FACE_CLASSES)), dtype=batch.mask.dtype))
        truth = batch.normals
        own, refine = coarse_of(model, batch.image)
        priors = dict(zip(PRIORS, (own, truth, own.roll(1, 0), torch.zeros_like(own)), strict=True))
        refined = {kind: refine(prior) for kind, prior in priors.items()}
        for row in range(len(truth)):
            mask = face[row, 0].numpy()
            if not mask.any():
                continue
            wanted = shown(truth[row])
            moved = angular_error(shown(refined["own"][row]), shown(refined["another's"][row]))[mask].mean()
            found["own", "moved"].append(float(moved))
            for kind in PRIORS:
                fine = shown(refined[kind][row])
                found[kind, "refined"].append(float(angular_error(fine, wanted)[mask].mean()))
                compared = compare_shape_and_detail(fine, wanted, mask, BLUR * len(mask))
                found[kind, "detail"].append(float(compared.correlation))
                if kind in ("own", "another's"):
                    found[kind, "coarse"].append(float(angular_error(shown(priors[kind][row]), wanted)[mask].mean()))
    means = {key: float(np.nanmean(values)) for key, values in found.items()}
    kinds = ("coarse", "refined", "moved", "detail")
    return [(name, prior, *(means.get((prior, kind)) for kind in kinds)) for prior in PRIORS]


def coarse_of(model: CasFNE | HFFNE, image: Tensor) -> tuple[Tensor, Refine]:
    """A method's own coarse normals [B, 3, H, W] of photos, and what makes finer ones of any."""
    if isinstance(model, HFFNE):
        return model.coarse(image), partial(model.refine, image)
    features, normals, _, _ = model.initial(image)
    return normals, lambda prior: model.cascade(features, prior)[0]


def shown(normals: Tensor) -> NDArray[np.float32]:
    """Normals [3, H, W] as [H, W, 3]."""
    return normals.permute(1, 2, 0).numpy()


if __name__ == "__main__":
    main()
