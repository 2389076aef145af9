# SPDX-License-Identifier: Apache-2.0
"""What kind of error a method makes on real faces, and on synthetic ones cut alike:
``python benchmarks/diagnosis/diagnose.py --root YALEB [--maps maps.png]``.

Of every person's photos under lights within 35°: the mean angular error; how much of it is *bias*, the error of the
mean of the person's estimates, and how much *spread* around that mean; which rotation of the estimates would fit the
truth best and what it would leave; what the best bas-relief transform would leave (*relief*: slant and depth, which
shading of unknown light and albedo may not tell; Belhumeur, Kriegman and Yuille 1999); the error of shape alone, both
blurred by 16 pixels of the photo; errors by region, by scale (both blurred) and by the light's direction; what would
be left without the bias that people share, taken from all others (leave one out); how much photos with other tone
curves change. The synthetic people are looked at in one photo each, cut and padded as the real ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation

import lineament
from lineament.annotations.parsing import FACE_CLASSES
from lineament.datasets.yaleb import YaleB
from lineament.evaluation.protocols.yaleb import SUBSETS
from lineament.evaluation.report.benchmark import benchmark_parser, report
from lineament.evaluation.report.table import Cell, Table
from lineament.evaluation.systems.framing import Framing
from lineament.geometry import angular_error
from lineament.pipeline.estimator import Estimator
from lineament.result.geometry import unit_normals

HEIGHT, WIDTH = 192, 168  # px, of the database's photos
BLUR = 16.0  # px
GRAZING = 0.05  # n_z below which slopes are cut off
SCALES = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0)  # px
TONES = (0.6, 0.8, 1.3, 1.7, 2.2)  # photos to the power of one over these
REGIONS = {  # rows and columns, shares of the photo: brows to chin, ear to ear, eyes at a quarter of the height
    "forehead and brows": ((0.00, 0.18), (0.00, 1.00)),
    "around the eyes": ((0.18, 0.40), (0.00, 0.38)),
    "root of the nose": ((0.18, 0.40), (0.38, 0.62)),
    "nose": ((0.40, 0.64), (0.35, 0.65)),
    "cheeks": ((0.40, 0.75), (0.00, 0.30)),
    "mouth": ((0.66, 0.84), (0.28, 0.72)),
    "chin": ((0.84, 1.00), (0.20, 0.80)),
}
"""The regions of the image's left half; those at the side are mirrored."""

Normals = NDArray[np.float32]


@dataclass(frozen=True)
class Person:
    """One person's truth and estimates."""

    name: str
    truth: Normals  # [H, W, 3]
    mask: NDArray[np.bool_]  # [H, W]
    photos: list[NDArray[np.uint8]]
    estimates: list[Normals]
    lights: list[tuple[float, float]]  # azimuth and elevation, degrees


def real_people(
    root: Path, estimator: Estimator, stage: int, tone: float = 1.0, second_view: bool = True
) -> Iterator[Person]:
    """The database's people, their photos with another tone curve if one is asked for."""
    curve = toned(tone)
    framing, dataset = Framing(), YaleB(root)
    for name in dataset.subjects:
        samples = list(dataset.samples(name, SUBSETS["frontal35"]))
        yield Person(
            name,
            *samples[0].normals_and_mask(),
            [s.image for s in samples],
            [estimate(estimator, framing, curve[s.image], stage, second_view) for s in samples],
            [(float(s.meta["azimuth"]), float(s.meta["elevation"])) for s in samples],
        )


def synthetic_people(
    count: int, estimator: Estimator, stage: int, tone: float = 1.0, second_view: bool = True
) -> Iterator[Person]:
    """Frontal people of a seed of their own under a clean camera, grey, cut as the database's are; tones as there."""
    from lineament.rig import load_rig
    from lineament.synth.config import SynthConfig
    from lineament.synth.degrade import DegradeConfig
    from lineament.synth.generator import Generator

    size = 320
    config = SynthConfig(
        size=size,
        seed=1234,
        frontal=1.0,
        yaw=6.0,
        pitch=25.0,
        roll=4.0,
        nearest=900.0,
        span_low=0.7,
        span_high=0.7,
        glasses=0.0,
        hats=0.0,
        covered=0.0,
        degrade=DegradeConfig.none(),
    )
    generator = Generator(config, load_rig())
    framing = Framing()
    for index in range(count):
        sample = generator.batch([index])
        marks = sample.landmarks[0].numpy()
        eyes = marks[36:42].mean(0), marks[42:48].mean(0)
        width = 2.15 * float(np.linalg.norm(eyes[1] - eyes[0]))
        height = width * HEIGHT / WIDTH
        left, top = np.round(0.5 * (eyes[0] + eyes[1]) - [width / 2, height / 4]).astype(int)
        right, bottom = int(left + width), int(top + height)
        if min(left, top) < 0 or max(right, bottom) > size:
            continue

        def cut(picture: NDArray[np.float32], box: tuple[int, ...] = (top, bottom, left, right)) -> NDArray[np.float32]:
            part = np.ascontiguousarray(picture[box[0] : box[1], box[2] : box[3]])
            return np.asarray(cv2.resize(part, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA))

        grey = sample.image[0].permute(1, 2, 0).numpy() @ np.array([0.299, 0.587, 0.114], np.float32)
        photo = toned(tone)[np.repeat((255 * cut(grey)).round().astype(np.uint8)[..., None], 3, axis=2)]
        face = np.isin(sample.mask[0, 0].numpy(), [int(c) for c in FACE_CLASSES]).astype(np.float32)
        truth = unit_normals(cut(sample.normals[0].permute(1, 2, 0).numpy()))
        estimates = [estimate(estimator, framing, photo, stage, second_view)]
        yield Person(f"synthetic {index}", truth, cut(face) > 0.99, [photo], estimates, [])


def toned(tone: float) -> NDArray[np.uint8]:
    """A table of 256 tones to the power of one over a number."""
    return np.rint(255.0 * (np.arange(256) / 255.0) ** (1.0 / tone)).astype(np.uint8)


def estimate(
    estimator: Estimator, framing: Framing, photo: NDArray[np.uint8], stage: int, second_view: bool = True
) -> Normals:
    """One photo's normals."""
    found = estimator.estimate_crop(
        framing.apply(photo, estimator.predictor.size), options=replace(estimator.options, second_view=second_view)
    )
    return framing.undo(found.normals[stage], HEIGHT, WIDTH)


def blurred(normals: Normals, mask: NDArray[np.bool_], sigma: float = BLUR) -> Normals:
    """The shape without its detail: a blur inside the mask."""
    if sigma == 0.0:
        return normals
    return unit_normals(mean_inside(normals, mask, sigma))


def mean_inside(values: NDArray[np.float32], mask: NDArray[np.bool_], sigma: float) -> NDArray[np.float32]:
    """Values [H, W, C] blurred over a mask alone."""
    inside = mask.astype(np.float32)
    total = cv2.GaussianBlur(values * inside[..., None], (0, 0), sigma)
    return np.asarray(total / np.maximum(cv2.GaussianBlur(inside, (0, 0), sigma), 1e-3)[..., None])


def mean_error(person: Person) -> float:
    """Mean angular error over a person's photos, degrees."""
    m = person.mask
    return float(np.mean([angular_error(e[m], person.truth[m]).mean() for e in person.estimates]))


def metrics(person: Person) -> dict[str, float]:
    """The kinds of error of one person, degrees."""
    m, truth = person.mask, person.truth[person.mask]
    mean = unit_normals(np.mean(person.estimates, axis=0))
    rotation, _ = Rotation.align_vectors(truth, mean[m])
    pitch, yaw, _ = rotation.as_euler("xyz", degrees=True)
    return {
        "error": mean_error(person),
        "bias": float(angular_error(mean[m], truth).mean()),
        "spread": float(np.mean([angular_error(e[m], mean[m]).mean() for e in person.estimates])),
        "pitch": float(pitch),
        "yaw": float(yaw),
        "rotated": float(angular_error(rotation.apply(mean[m]), truth).mean()),
        "relief": without_bas_relief(mean[m], truth),
        "shape": float(angular_error(blurred(mean, m)[m], blurred(person.truth, m)[m]).mean()),
    }


def without_bas_relief(normals: Normals, truth: Normals) -> float:
    """Mean error [degrees] of normals [N, 3] after the transform of their depth, λz + μx + νy, that fits best."""
    # Slopes -n_x / n_z and -n_y / n_z become λ times themselves plus μ and ν.
    slopes = normals[:, :2] / np.maximum(normals[:, 2:], GRAZING)

    def error(transform: NDArray[np.float64]) -> float:
        moved = np.column_stack([transform[0] * slopes + transform[1:], np.ones(len(slopes))])
        return float(angular_error(moved / np.linalg.norm(moved, axis=1, keepdims=True), truth).mean())

    return float(minimize(error, [1.0, 0.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-3, "fatol": 1e-3}).fun)


def by_region(people: list[Person]) -> dict[str, float]:
    """Mean error of every region."""
    errors = {}
    for name, (rows, columns) in REGIONS.items():
        place = np.zeros((HEIGHT, WIDTH), bool)
        top, bottom = (round(HEIGHT * r) for r in rows)
        left, right = (round(WIDTH * c) for c in columns)
        place[top:bottom, left:right] = True
        place |= place[:, ::-1]
        each = [angular_error(e[p.mask & place], p.truth[p.mask & place]) for p in people for e in p.estimates]
        errors[name] = float(np.concatenate(each).mean())
    return errors


def by_light(people: list[Person]) -> dict[str, float]:
    """Mean error by how far the light stands from the camera."""
    groups: dict[str, list[float]] = {"within 12°": [], "12 to 25°": [], "beyond 25°": []}
    for person in people:
        for light, normals in zip(person.lights, person.estimates, strict=True):
            off = max(abs(light[0]), abs(light[1]))
            name = "within 12°" if off <= 12 else "12 to 25°" if off <= 25 else "beyond 25°"
            groups[name].append(float(angular_error(normals[person.mask], person.truth[person.mask]).mean()))
    return {name: float(np.mean(values)) for name, values in groups.items() if values}


def by_scale(people: list[Person]) -> dict[float, float]:
    """Mean error of the mean estimate when it and the truth are blurred, by the blur's sigma."""
    errors: dict[float, list[float]] = {sigma: [] for sigma in SCALES}
    for p in people:
        mean = unit_normals(np.mean(p.estimates, axis=0))
        for sigma, found in errors.items():
            pair = (blurred(n, p.mask, sigma)[p.mask] for n in (mean, p.truth))
            found.append(float(angular_error(*pair).mean()))
    return {sigma: float(np.mean(found)) for sigma, found in errors.items()}


def without_shared_bias(people: list[Person], sigma: float = 10.0) -> list[float]:
    """Each person's error after the mean bias of all others at the same place, blurred, is taken away."""
    biases = [(p.truth - np.mean(p.estimates, axis=0)) * p.mask[..., None] for p in people]
    errors = []
    for number, person in enumerate(people):
        others = [i for i in range(len(people)) if i != number]
        total = cv2.GaussianBlur(np.sum([biases[i] for i in others], axis=0), (0, 0), sigma)
        count = cv2.GaussianBlur(np.sum([people[i].mask for i in others], axis=0).astype(np.float32), (0, 0), sigma)
        shared = (total / np.maximum(count, 0.3)[..., None]).astype(np.float32)
        corrected = (unit_normals(e + shared)[person.mask] for e in person.estimates)
        errors.append(float(np.mean([angular_error(e, person.truth[person.mask]).mean() for e in corrected])))
    return errors


def write_maps(people: list[Person], path: Path) -> None:
    """A row per person: a photo, the truth, the mean estimate, its error, and truth minus estimate in x and y."""

    def colours(normals: Normals, mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
        return np.asarray((127.5 * (normals + 1.0)) * mask[..., None], dtype=np.uint8)

    def signed(values: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
        v = np.clip(values / 0.5, -1, 1)  # red: the truth leans further to +, blue: to -
        return np.asarray(
            255 * np.stack([1 + v.clip(-1, 0), 1 - abs(v), 1 - v.clip(0, 1)], -1) * mask[..., None], np.uint8
        )

    rows = []
    for p in people:
        mean = unit_normals(np.mean(p.estimates, axis=0))
        error = (np.clip(angular_error(mean, p.truth) / 30.0, 0, 1) * 255).astype(np.uint8)
        heat = cv2.applyColorMap(error, cv2.COLORMAP_INFERNO)[..., ::-1] * p.mask[..., None]
        lean = [signed(p.truth[..., i] - mean[..., i], p.mask) for i in (0, 1)]
        rows.append(np.concatenate([p.photos[0], colours(p.truth, p.mask), colours(mean, p.mask), heat, *lean], axis=1))
    half = (len(rows) + 1) // 2
    columns = [np.concatenate(rows[:half]), np.concatenate(rows[half:] + [rows[0] * 0] * (2 * half - len(rows)))]
    cv2.imwrite(str(path), np.concatenate(columns, axis=1)[..., ::-1])


def by_person(real: list[Person], synthetic: list[Person]) -> Table:
    """The kinds of error of every real person, and their means over real and synthetic people."""
    rows: list[tuple[Cell, ...]] = [(person.name, *metrics(person).values()) for person in real]
    for name, people in (("mean, real", real), ("mean, synthetic", synthetic)):
        rows.append((name, *map(float, np.mean([list(metrics(p).values()) for p in people], axis=0))))
    return Table("Kinds of error, °", ("person", *metrics(real[0])), tuple(rows))


def main() -> None:
    """Print the tables."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--root", type=Path, required=True, help="folder with yaleB01, ...")
    parser.add_argument("--method", default="casfne-s")
    parser.add_argument("--stage", type=int, default=-1)
    parser.add_argument("--synthetic", type=int, default=64, help="synthetic people")
    parser.add_argument("--tones", action="store_true", help="also photos with other tone curves")
    parser.add_argument("--maps", type=Path)
    arguments = parser.parse_args()
    estimator = lineament.load(arguments.method)
    real = list(real_people(arguments.root, estimator, arguments.stage))
    synthetic = list(synthetic_people(arguments.synthetic, estimator, arguments.stage))
    tables = [by_person(real, synthetic)]
    pairs = zip(by_region(real).items(), by_region(synthetic).values(), strict=True)
    tables.append(Table("By region", ("region", "real °", "synthetic °"), tuple((*one, other) for one, other in pairs)))
    tables.append(Table("By light", ("light", "real °"), tuple(by_light(real).items())))
    scales = by_scale(synthetic)
    rows = tuple((f"{sigma:g}", error, scales[sigma]) for sigma, error in by_scale(real).items())
    tables.append(Table("Mean estimates, both blurred", ("blur, px", "real °", "synthetic °"), rows))
    left = without_shared_bias(real)
    of_tones: list[tuple[Cell, ...]] = [("without the bias that the others share", *left, float(np.mean(left)))]
    for tone in TONES if arguments.tones else ():
        errors = [mean_error(p) for p in real_people(arguments.root, estimator, arguments.stage, tone)]
        of_tones.append((f"photos to the power of 1/{tone:g}", *errors, float(np.mean(errors))))
    tables.append(Table("Error by person, °", ("", *(p.name for p in real), "mean"), tuple(of_tones)))
    report(tables, arguments.output, [arguments.method])
    if arguments.maps:
        write_maps(real, arguments.maps)


if __name__ == "__main__":
    main()
