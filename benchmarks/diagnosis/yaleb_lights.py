# SPDX-License-Identifier: Apache-2.0
"""How far Extended Yale B's ground truth can be trusted:
``python benchmarks/diagnosis/yaleb_lights.py --root YALEB``.

The protocol's photometric stereo takes all strobes as equally strong and far away. Here each strobe's strength is
fitted beside normals and albedo, person by person. If strengths came from noise they would not agree between people.
With ``--method`` its error is measured against the protocol's truth and against one of the strengths that the other
people's photos tell (the median of theirs).
"""

from __future__ import annotations

from pathlib import Path

import diagnose
import numpy as np
from numpy.typing import NDArray

import lineament
from lineament.datasets.yaleb import GREY_RANGE, LIGHTS_SMALLEST_Z, YaleB
from lineament.evaluation.report.benchmark import benchmark_parser, report
from lineament.evaluation.report.table import Cell, Table
from lineament.geometry import angular_error

EVERY = 5  # pixels: the strengths do not need all of them
ROUNDS = 25

Floats = NDArray[np.float64]


def main() -> None:
    """Fit every person, then compare strengths and normals."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--root", type=Path, required=True, help="folder with yaleB01, ...")
    parser.add_argument("--method", help="measure this method against both truths")
    arguments = parser.parse_args()
    dataset = YaleB(arguments.root)
    strengths: list[dict[str, float]] = []
    rows: list[tuple[Cell, ...]] = []
    changes = []
    for name in dataset.subjects:
        strength, fitted, truth = fit(dataset, name)
        strengths.append(strength)
        change = (fitted - truth).mean(0)
        changes.append(change)
        moved = angular_error(fitted, truth).mean()
        spread = float(np.std(list(strength.values())))
        rows.append((name, spread, float(moved), f"{change[0]:+.3f}", f"{change[1]:+.3f}"))
    mean = np.mean(changes, axis=0)
    rows.append(("mean", None, None, f"{mean[0]:+.3f}", f"{mean[1]:+.3f}"))
    common = sorted(set.intersection(*(set(s) for s in strengths)))
    table = np.array([[s[light] for light in common] for s in strengths])
    agreement = np.corrcoef(table)[np.triu_indices(len(table), 1)].mean()
    note = f"{len(common)} strobes that all people have; correlation of strengths between people {agreement:.2f}."
    columns = ("person", "spread of strengths", "truth turned by °", "change of n_x", "change of n_y")
    tables = [Table("Strengths of the strobes", columns, tuple(rows), (note,))]
    methods = [] if arguments.method is None else [arguments.method]
    tables += [compare(arguments.root, method, dataset, strengths) for method in methods]
    report(tables, arguments.output, methods)


def compare(root: Path, method: str, dataset: YaleB, strengths: list[dict[str, float]]) -> Table:
    """A method's error against both truths, at every `EVERY`-th pixel."""
    rows: list[tuple[Cell, ...]] = []
    errors: list[list[float]] = []
    for number, person in enumerate(diagnose.real_people(root, lineament.load(method), -1)):
        others = [s for i, s in enumerate(strengths) if i != number]
        lights = {light for each in others for light in each}
        known = {light: float(np.median([s[light] for s in others if light in s])) for light in lights}
        _, fitted, truth = fit(dataset, person.name, known)
        seen = [e[sampled(person.mask)] for e in person.estimates]
        errors.append([float(np.mean([angular_error(e, t).mean() for e in seen])) for t in (truth, fitted)])
        rows.append((person.name, *errors[-1]))
    rows.append(("mean", *map(float, np.mean(errors, axis=0))))
    return Table(f"Error of {method}, °", ("person", "protocol's truth", "other people's strengths"), tuple(rows))


def sampled(mask: NDArray[np.bool_], every: int = EVERY) -> NDArray[np.bool_]:
    """Every so many-th row and column of a mask."""
    chosen = np.zeros_like(mask)
    chosen[::every, ::every] = mask[::every, ::every]
    return chosen


def fit(
    dataset: YaleB, name: str, known: dict[str, float] | None = None, every: int = EVERY
) -> tuple[dict[str, float], Floats, Floats]:
    """Strength by light (median one), normals with these strengths [P, 3], the protocol's normals [P, 3].

    Strengths that are known are not fitted; a light that is not among them has strength one.
    """
    subject, truth = dataset.subject(name)
    directions = np.array([light.direction for light in subject.lights])
    front = directions[:, 2] > LIGHTS_SMALLEST_Z
    lights = [str(light) for light, kept in zip(subject.lights, front, strict=True) if kept]
    chosen = sampled(truth.mask, every)
    grey = subject.photos[front].astype(np.float64)
    usable = ((grey > GREY_RANGE[0]) & (grey < GREY_RANGE[1]))[:, chosen].T.astype(np.float64)  # [P, N]
    grey = (grey - (0.0 if subject.ambient is None else subject.ambient))[:, chosen].T
    strength, weight = np.array([(known or {}).get(light, 1.0) for light in lights]), usable
    for _ in range(ROUNDS):
        lit = directions[front] * strength[:, None]  # [N, 3]
        matrix = np.einsum("pn,ni,nj->pij", weight, lit, lit) + 1e-6 * np.eye(3)
        scaled = np.linalg.solve(matrix, np.einsum("pn,ni,pn->pi", weight, lit, grey)[..., None])[..., 0]
        shading = scaled @ directions[front].T
        residual = grey - shading * strength
        scale = max(1.5 * float(np.median(np.abs(residual[usable > 0]))), 2.0)
        weight = usable / (1.0 + (residual / (2.0 * scale)) ** 2)
        if known is not None:
            continue
        counted = weight * (shading > 5.0)
        strength = (counted * grey * shading).sum(0) / np.maximum((counted * shading**2).sum(0), 1e-6)
        strength = np.where(counted.sum(0) > 20, strength, 1.0)
        strength /= np.median(strength)
    normals = scaled / np.linalg.norm(scaled, axis=1, keepdims=True)
    return dict(zip(lights, strength, strict=True)), normals, truth.normals[chosen].astype(np.float64)


if __name__ == "__main__":
    main()
