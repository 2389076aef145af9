# SPDX-License-Identifier: Apache-2.0
"""What a refinement by shading could find:
``python benchmarks/diagnosis/residual.py --root YALEB [--method casfne-s]``.

Refinement by shading changes normals until, lit, they explain the photo. So the light that explains a photo best with
the estimated normals and one albedo is fitted (`lineament.render.light_fit.fit_light`), and what that leaves of the
photo (*left*) is compared with what the true normals under the same light would change (*to find*), both blurred by so
many pixels of the photo: standard deviations as shares of the face's mean brightness, and their correlation. Where it
is small, what is left is skin, gloss, hair and shadows, and whoever explains it by normals makes these worse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import diagnose
import numpy as np
import torch
from numpy.typing import NDArray

import lineament
from lineament.evaluation.report.benchmark import benchmark_parser, report
from lineament.evaluation.report.table import Cell, Table
from lineament.render.colour import decode_srgb
from lineament.render.light_fit import fit_light
from lineament.render.shading import spherical_harmonics_shading

BLURS = (0.0, 2.0, 4.0, 8.0)  # px
DARKEST, BRIGHTEST = 12, 250  # 8-bit values of linear light that count
Light = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def main() -> None:
    """Print the table."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--root", type=Path, required=True, help="folder with yaleB01, ...")
    parser.add_argument("--method", default="casfne-s")
    parser.add_argument("--synthetic", type=int, default=64, help="synthetic people")
    arguments = parser.parse_args()
    estimator = lineament.load(arguments.method)
    kinds: dict[str, tuple[Callable[[], Iterator[diagnose.Person]], Light]] = {
        "real": (partial(diagnose.real_people, arguments.root, estimator, -1), as_stored),
        "synthetic": (partial(diagnose.synthetic_people, arguments.synthetic, estimator, -1), decoded),
    }
    rows: list[tuple[Cell, ...]] = []
    for name, (people, light) in kinds.items():
        metrics = [metric for person in people() for metric in compared(person, light)]
        for blur, (left, sought, correlation) in zip(BLURS, np.mean(metrics, axis=0), strict=True):
            rows.append((name, f"{blur:g}", 100 * float(left), 100 * float(sought), float(correlation)))
    columns = ("people", "blur, px", "left, %", "to find, %", "correlation")
    report([Table(f"Shading, {arguments.method}", columns, tuple(rows))], arguments.output, [arguments.method])


def as_stored(photo: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The database's photos are linear."""
    return np.asarray(photo[..., 0] / 255.0, np.float32)


def decoded(photo: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Synthetic photos have a camera's curve."""
    return np.asarray(decode_srgb(torch.from_numpy(photo[..., 0] / 255.0)).numpy(), np.float32)


def compared(person: diagnose.Person, light: Light) -> Iterator[list[tuple[float, float, float]]]:
    """Of each photo, for each blur: what is left, what is to be found, and their correlation."""
    for photo, estimate in zip(person.photos, person.estimates, strict=True):
        seen = light(photo)
        mask = person.mask & (seen > DARKEST / 255.0) & (seen < BRIGHTEST / 255.0)
        shaded = shadings(seen, mask, estimate, person.truth)
        changes, mean = np.stack([seen - shaded[0], shaded[1] - shaded[0]], axis=-1), float(seen[mask].mean())
        rows: list[tuple[float, float, float]] = []
        for blur in BLURS:
            left, sought = (diagnose.mean_inside(changes, mask, blur) if blur else changes)[mask].T
            rows.append((left.std() / mean, sought.std() / mean, float(np.corrcoef(left, sought)[0, 1])))
        yield rows


def shadings(
    seen: NDArray[np.float32], mask: NDArray[np.bool_], *normals: NDArray[np.float32]
) -> list[NDArray[np.float32]]:
    """Normals under the light that explains a picture best with the first of them."""
    fields = [torch.from_numpy(np.ascontiguousarray(n)).permute(2, 0, 1)[None].float() for n in normals]
    picture = torch.from_numpy(seen)[None, None]
    fitted = fit_light(picture, torch.ones_like(picture), fields[0], torch.from_numpy(mask)[None, None])
    return [spherical_harmonics_shading(field, fitted)[0, 0].numpy() for field in fields]


if __name__ == "__main__":
    main()
