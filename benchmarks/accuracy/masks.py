# SPDX-License-Identifier: Apache-2.0
"""What is wrong with the masks of faces in real photos, as far as a script can see it: ``python
benchmarks/accuracy/masks.py --photos DIR [--every 1] [--sheet FOLDER] [--output tables.json]``.

Of each photo the largest face counts. *Sliced*: the mask's upper edge is straight over a third of its width, as where a
crop or a hull cuts a forehead. *Holes*, *parts*: the mask has a hole, or more than one part, of a ten-thousandth of its
area or more. *Invented*: the mask covers parts of the crop that lie outside the photo. *Glasses*: the parse shows
glasses over more than 0.4 % of the landmarks' hull; which of them are none, only the eye can tell (``--sheet`` writes
pictures of every face with its outline and parse, 40 to a file).
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from lineament.annotations.parsing import MaskClass, colours_of
from lineament.evaluation.report.benchmark import benchmark_parser, report
from lineament.evaluation.report.table import Table
from lineament.face import Face, detect_faces
from lineament.face.parse import hull_of
from lineament.face.paste import FaceRegion
from lineament.face.region import in_photo, region_of
from lineament.images.read import find_images, read_image
from lineament.images.resize import to_uint8
from lineament.images.write import write_png

STRAIGHT = 1 / 3  # share of the mask's width
SPECK = 1e-4  # share of the mask's area
GLASSES = 0.004  # share of the hull
TILE, COLUMNS, ROWS = (190, 232), 8, 5


def main() -> None:
    """Count and print."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--sheet", type=Path)
    arguments = parser.parse_args()
    found, tiles = [], []
    for path in find_images([str(arguments.photos)])[:: arguments.every]:
        image = to_uint8(read_image(path))
        faces = detect_faces(image)
        if not faces:
            continue
        face = max(faces, key=lambda face: face.box[2] * face.box[3])
        assert face.parsing is not None
        region = region_of(face.parsing, face.parsing.crop, *image.shape[:2])
        found.append(faults(face, region))
        if arguments.sheet is not None:
            tiles.append(tile(image, region, path.stem))
    if arguments.sheet is not None:
        write_sheets(arguments.sheet, tiles)
    rows = [
        (name, str(sum(one[name] for one in found)), 100.0 * float(np.mean([one[name] for one in found])))
        for name in found[0]
    ]
    report([Table(f"Masks of {len(found)} faces", ("", "faces", "%"), tuple(rows))], arguments.output, ["face-parser"])


def faults(face: Face, region: FaceRegion) -> dict[str, bool]:
    """What is wrong with one face's mask."""
    parsing = face.parsing
    assert parsing is not None
    mask = region.in_crop
    area = max(1, int(mask.sum()))
    padded = np.pad(mask, 1).astype(np.uint8)

    def pieces(picture: NDArray[np.uint8]) -> int:
        _, _, stats, _ = cv2.connectedComponentsWithStats(picture, connectivity=4)
        return int((stats[1:, cv2.CC_STAT_AREA] >= SPECK * area).sum())

    glasses = parsing.parse.argmax(-1) == MaskClass.GLASSES
    return {
        "sliced": flat_top(mask) >= STRAIGHT,
        "holes": pieces(1 - padded) > 1,
        "parts": pieces(padded) > 1,
        "invented": bool((mask & ~in_photo(region.crop, region.height, region.width)).sum() > SPECK * area),
        "glasses": bool(glasses[hull_of(parsing)].mean() > GLASSES),
    }


def flat_top(mask: NDArray[np.bool_]) -> float:
    """Over which share of a mask's width its upper edge runs along one row, give or take a pixel in 200."""
    columns = np.flatnonzero(mask.any(0))
    if len(columns) == 0:
        return 0.0
    tops = mask[:, columns].argmax(0)
    return float((tops <= tops.min() + len(mask) / 200).mean())


def tile(image: NDArray[np.uint8], region: FaceRegion, name: str) -> NDArray[np.uint8]:
    """A photo with its mask's outline beside its parse."""
    outlined = image.copy()
    mask, parse = region.whole(region.mask), region.whole(region.parse)
    lines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(outlined, lines, -1, (0, 255, 0), 1)
    mixed = (0.45 * image + 0.55 * colours_of(parse)).astype(np.uint8)
    shown = np.concatenate([cv2.resize(part, TILE, interpolation=cv2.INTER_AREA) for part in (outlined, mixed)], axis=1)
    cv2.putText(shown, name[-8:], (2, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (255, 255, 0), 1)
    return np.asarray(shown, np.uint8)


def write_sheets(folder: Path, tiles: list[NDArray[np.uint8]]) -> None:
    """Write tiles as PNGs of `COLUMNS` by `ROWS`."""
    folder.mkdir(parents=True, exist_ok=True)
    for page, first in enumerate(range(0, len(tiles), COLUMNS * ROWS), 1):
        some = tiles[first : first + COLUMNS * ROWS]
        some += [np.zeros_like(some[0])] * (-len(some) % COLUMNS)
        rows = [np.concatenate(some[i : i + COLUMNS], axis=1) for i in range(0, len(some), COLUMNS)]
        write_png(folder / f"masks-{page}.png", np.concatenate(rows))


if __name__ == "__main__":
    main()
