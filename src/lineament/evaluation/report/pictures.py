# SPDX-License-Identifier: Apache-2.0
"""Pictures of an evaluation: error maps on one colour scale, sheets that set systems side by side, curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lineament.datasets.meshes import needed
from lineament.evaluation.metrics.angular import Sparsification
from lineament.evaluation.protocols.scoring import RunningAngles
from lineament.files.writing import atomic_path
from lineament.geometry.angular import angular_error
from lineament.images.encoding import encode_normals
from lineament.render.preview import LIGHTS, shade_normals

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Picture = NDArray[np.uint8]

LARGEST_ERROR = 45.0
"""Degrees at which the colour scale ends, in all error maps, so that they can be compared."""
_HEADER = 22
_INK = (40, 40, 40)


def error_map(normals: NDArray[np.float32], truth: NDArray[np.float32], mask: NDArray[np.bool_]) -> Picture:
    """Angular errors as colours, viridis from 0° (dark) to `LARGEST_ERROR` (yellow); white outside the mask.

    Args:
        normals: [H, W, 3].
        truth: [H, W, 3].
        mask: [H, W].
    """
    colours = _viridis(angular_error(normals, truth) / LARGEST_ERROR)
    colours[~mask] = 255
    return colours


def colour_bar(width: int, height: int = 34) -> Picture:
    """The scale of `error_map` with its ends labelled, [height, width, 3]."""
    bar = np.full((height, width, 3), 255, np.uint8)
    bar[: height // 2] = _viridis(np.linspace(0.0, 1.0, width))[None]
    _write(bar, "0°", 2, height - 4)
    _write(bar, f"{LARGEST_ERROR:.0f}° and more", width - 4, height - 4, from_right=True)
    return bar


@dataclass(frozen=True)
class SheetRow:
    """One sample in a sheet."""

    image: Picture
    truth: NDArray[np.float32] | None
    mask: NDArray[np.bool_]
    normals: Mapping[str, NDArray[np.float32]]
    """By system."""


def comparison_sheet(rows: Sequence[SheetRow], lights: Sequence[int] = (1, 3), tile: int = 160) -> Picture:
    """Photos beside the truth and every system's normals, shadings and error maps.

    Args:
        rows: Samples; all with the same systems.
        lights: Which of `render.preview.LIGHTS` shade the normals (HFFNE and Cas-FNE show such shadings, and name no
            directions).
        tile: Side of a picture in the sheet, pixels.
    """
    strips = []
    for row in rows:
        maps = {"truth": row.truth, **row.normals} if row.truth is not None else dict(row.normals)
        tiles = [("photo", row.image)]
        for name, normals in maps.items():
            if normals is None:
                continue
            shown = normals * row.mask[..., None]
            tiles.append((name, np.asarray(encode_normals(shown), np.uint8)))
            for number in lights:
                grey = shade_normals(shown, LIGHTS[number], row.mask)
                tiles.append(("", np.repeat(grey[..., None], 3, axis=2)))
            if row.truth is not None and name != "truth":
                tiles.append(("error", error_map(normals, row.truth, row.mask)))
        strips.append(np.concatenate([_tile(picture, tile) for _, picture in tiles], axis=1))
        names = [name for name, _ in tiles]
    header = np.full((_HEADER, strips[0].shape[1], 3), 255, np.uint8)
    for number, name in enumerate(names):
        _write(header, name, number * tile + 4, _HEADER - 6)
    bar = [colour_bar(strips[0].shape[1])] if rows[0].truth is not None else []
    return np.concatenate([header, *strips, *bar], axis=0)


def cumulative_curves(histograms: Mapping[str, NDArray[np.int64]], path: Path, largest: float = 40.0) -> None:
    """Plot which share of pixels lies below each angular error; the file's suffix says how (.png, .svg, .pdf).

    Args:
        histograms: `Measured.curves` of each system.
        path: The file.
        largest: Degrees at the right end.
    """
    axes = _axes("angular error, °", "share of pixels, %")
    degrees = RunningAngles.BIN * (1 + np.arange(1801))
    for name, histogram in histograms.items():
        axes.plot(degrees, 100.0 * np.cumsum(histogram) / max(1, int(histogram.sum())), label=name, linewidth=1.6)
    axes.set_xlim(0, largest)
    axes.set_ylim(0, 100)
    axes.legend(frameon=False, loc="lower right")
    _save(axes, path)


def sparsification_plot(curves: Mapping[str, Sparsification], path: Path) -> None:
    """Plot the error of the pixels that are left over the share left out; dashed, the best possible."""
    axes = _axes("pixels left out, %", "mean error of the rest, °")
    for name, curve in curves.items():
        (line,) = axes.plot(100 * curve.removed, curve.error, label=name, linewidth=1.6)
        axes.plot(100 * curve.removed, curve.oracle, color=line.get_color(), linestyle="--", linewidth=1.0)
    axes.set_xlim(0, 95)
    axes.set_ylim(bottom=0)
    if len(curves) > 1:
        axes.legend(frameon=False)
    _save(axes, path)


def _viridis(values: NDArray[np.float64]) -> Picture:
    """[...] in [0, 1] as colours [..., 3]."""
    import cv2

    grey = np.asarray(255.0 * np.clip(values, 0.0, 1.0) + 0.5, np.uint8)
    flat = cv2.applyColorMap(grey.reshape(-1, 1), cv2.COLORMAP_VIRIDIS)[:, 0, ::-1]
    return np.array(flat, np.uint8).reshape(*grey.shape, 3)


def _tile(picture: Picture, side: int) -> Picture:
    """A picture in the middle of a white square."""
    import cv2

    height, width = picture.shape[:2]
    scale = side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    resized = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    square = np.full((side, side, 3), 255, np.uint8)
    top, left = (side - resized.shape[0]) // 2, (side - resized.shape[1]) // 2
    square[top : top + resized.shape[0], left : left + resized.shape[1]] = resized
    return square


def _write(picture: Picture, text: str, x: int, y: int, from_right: bool = False) -> None:
    import cv2

    text, font, scale = text.replace("°", " deg"), cv2.FONT_HERSHEY_SIMPLEX, 0.4  # OpenCV's fonts have no degree sign
    left = x - cv2.getTextSize(text, font, scale, 1)[0][0] if from_right else x
    cv2.putText(picture, text, (left, y), font, scale, _INK, 1, cv2.LINE_AA)


def _axes(across: str, up: str) -> Axes:
    needed("matplotlib")
    from matplotlib.figure import Figure

    axes = Figure(figsize=(4.2, 3.6), dpi=110, layout="constrained").add_subplot()
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.grid(alpha=0.3)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return axes


def _save(axes: Axes, path: Path) -> None:
    metric = axes.get_figure(root=True)
    assert metric is not None
    with atomic_path(path) as temporary:
        metric.savefig(temporary)
