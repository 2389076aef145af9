# SPDX-License-Identifier: Apache-2.0
"""A face's parse and other maps of its crop at the photo's own resolution."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from lineament.alignment.crop import STRIP_ROWS, FaceCrop
from lineament.annotations.parsing import FACE_CLASSES
from lineament.face.face import FaceParsing
from lineament.images.resize import resized_square

_FOREHEAD = 0.5  # height of the forehead over the brows, of the face below them
_MARGIN = 0.04  # share of the crop's side by which the face's region is widened: ears stand out of the landmarks
_SPECK = 0.001  # share of the crop's area below which a hole is a mistake
_PIECE = 0.03  # share of the largest piece's area from which another one is no shred
_SOFT = 0.006  # sigma of the blur that smoothes the outline, of the crop's side
_THREAD = 0.05  # share of the crop's side below which a connection is a thread


Strip = tuple[tuple[slice, slice], NDArray[Any], NDArray[np.bool_]]
"""Rows and columns of a part of the photo, a map of it, and where the face is in it."""


@dataclass(frozen=True, eq=False)
class FaceRegion:
    """The part of a photo that a face's crop lies in, and what is seen there.

    Maps are kept for that rectangle alone: a group's faces together take little more than the photo, and not each as
    much.
    """

    crop: FaceCrop
    """The crop; of any size."""
    height: int
    """The photo's rows."""
    width: int
    """The photo's columns."""
    parse: NDArray[np.uint8]
    """h×w of `MaskClass`, in the rectangle that `FaceCrop.place` names; other outside the crop."""
    mask: NDArray[np.bool_]
    """h×w, the large pieces of skin, eyes, mouth, brows and teeth from the chin to the hairline."""
    crop_share: NDArray[np.float32]
    """R×R, of which the mask is made: how much of each pixel of the crop, seen at any size, is face."""

    @property
    def place(self) -> tuple[slice, slice]:
        """Rows and columns of the rectangle in the photo."""
        x, y, w, h = self.crop.place(self.height, self.width)
        return slice(y, y + h), slice(x, x + w)

    def whole(self, part: NDArray[Any]) -> NDArray[Any]:
        """A map h×w of the rectangle as one of the photo, H×W; zero elsewhere."""
        if part.shape == (self.height, self.width):
            return part
        # Pages of zeros that nothing is written to take no memory.
        onto = np.zeros((self.height, self.width), part.dtype)
        onto[self.place] = part
        return onto

    @cached_property
    def in_crop(self) -> NDArray[np.bool_]:
        """The mask as the crop sees it, S×S."""
        return np.asarray(resized_square(self.crop_share, self.crop.size) > 0.5)

    def close_up(self, longest_side: int) -> FaceRegion:
        """The same of the photo cut to the face, and made smaller where its longer side has more pixels than that.

        Where there is no face, all of the rectangle is shown.
        """
        import cv2

        part, (rows, columns) = self.mask, self.place
        below, right = np.flatnonzero(part.any(1)), np.flatnonzero(part.any(0))
        top, left = rows.start, columns.start
        if len(below) > 0:
            part = part[below[0] : below[-1] + 1, right[0] : right[-1] + 1]
            top, left = top + below[0], left + right[0]
        factor = min(1.0, longest_side / max(part.shape))
        shape = (max(1, round(part.shape[1] * factor)), max(1, round(part.shape[0] * factor)))
        shown = cv2.resize(part.astype(np.uint8), shape, interpolation=cv2.INTER_NEAREST) > 0
        own = self.crop
        crop = replace(own, left=(own.left - left) * factor, top=(own.top - top) * factor, side=own.side * factor)
        height, width = shown.shape
        x, y, w, h = crop.place(height, width)
        mask = shown[y : y + h, x : x + w]
        return FaceRegion(crop, height, width, np.zeros(mask.shape, np.uint8), mask, self.crop_share)

    def fill(
        self, crop_map: NDArray[np.float32], onto: NDArray[Any], written: Callable[..., NDArray[Any]] = np.asarray
    ) -> NDArray[Any]:
        """Draw a crop's map where the face is.

        Args:
            crop_map: S×S or S×S×C.
            onto: The photo's map, H×W or H×W×C; it is changed.
            written: Makes of resampled rows of the crop's map what is to be written.
        """
        for place, strip, inside in self.strips(crop_map, written):
            np.copyto(onto[place], strip, casting="same_kind", where=inside)
        return onto

    def strips(
        self, crop_map: NDArray[np.float32], written: Callable[..., NDArray[Any]] = np.asarray
    ) -> Iterator[Strip]:
        """A crop's map some rows of the rectangle at a time: their place, what is to be written, and where the face is.

        Arguments are those of `fill`.
        """
        top = self.place[0].start
        for place in self.crop.strips(self.height, self.width):
            strip = written(self.crop.paste(crop_map, self.height, self.width, place[0]))
            inside = self.mask[place[0].start - top : place[0].stop - top]
            yield place, strip, inside if strip.ndim == 2 else inside[..., None]

    def whole_rows(self, strips: Iterable[Strip], dtype: DTypeLike, channels: tuple[int, ...] = ()) -> Iterator[Any]:
        """Strips of the rectangle as whole rows of the photo, from its first to its last, zero where there is no face.

        Args:
            strips: As `strips` gives them, from the first to the last.
            dtype: Of the rows.
            channels: Their shape beyond rows and columns.

        Returns:
            Maps rows×W×channels, some rows at a time: together, a large photo's would be the largest map of all.
        """

        def nothing(first: int, end: int) -> Iterator[NDArray[Any]]:
            for row in range(first, end, STRIP_ROWS):
                yield np.zeros((min(STRIP_ROWS, end - row), self.width, *channels), dtype)

        rows = self.place[0]
        yield from nothing(0, rows.start)
        for (_, columns), strip, inside in strips:
            onto = np.zeros((len(strip), self.width, *channels), dtype)
            np.copyto(onto[:, columns], strip, casting="same_kind", where=inside)
            yield onto
        yield from nothing(rows.stop, self.height)


def region_of(parsing: FaceParsing, crop: FaceCrop, height: int, width: int) -> FaceRegion:
    """What each pixel around a face shows, and where the face is.

    Args:
        parsing: The face.
        crop: The square that was read, seen at any size.
        height: The photo's rows.
        width: The photo's columns.
    """
    read = parsing.crop
    covered = read.covers(height, width)
    top = read.place(height, width)[1]
    parse, mask = np.zeros(covered.shape, np.uint8), np.zeros(covered.shape, bool)
    piece = _main_pieces(parsing.parse[..., list(FACE_CLASSES)].sum(-1) * face_region(parsing))
    for rows, _ in read.strips(height, width):
        here = slice(rows.start - top, rows.stop - top)
        shares = read.paste(parsing.parse, height, width, rows)
        parse[here] = shares.argmax(-1) * covered[here]
        mask[here] = (read.paste(piece, height, width, rows) > 0.5) & covered[here]
    return FaceRegion(crop, height, width, parse, mask, piece)


def face_region(parsing: FaceParsing) -> NDArray[np.bool_]:
    """Where the face can be in the crop, S×S: the landmarks' hull and the forehead above it, a little widened.

    Skin goes on below the chin, where collars and shadows are easily taken for it.
    """
    import cv2

    points = parsing.crop.to_crop(parsing.landmarks)
    brows, chin = points[17:27], points[8]
    forehead = brows - np.array([0.0, _FOREHEAD * (chin[1] - brows[:, 1].mean())])
    hull = cv2.convexHull(np.concatenate([points, forehead]).round().astype(np.int32))
    region = np.zeros(parsing.parse.shape[:2], np.uint8)
    cv2.fillConvexPoly(region, hull, 1)
    side = round(2 * _MARGIN * len(region)) | 1
    return np.asarray(cv2.dilate(region, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))) > 0)


def _main_pieces(probability: NDArray[np.float32]) -> NDArray[np.float32]:
    """The face's probability S×S with everything set to zero that does not hang together with its large pieces.

    Shreds between strands of hair and stray pixels of the background hang on threads, if at all: an opening cuts them.
    The frame of a pair of glasses parts the forehead and the eyes from the cheeks: these pieces are large.
    """
    import cv2

    side = max(3, round(_THREAD * len(probability)) | 1)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    opened = cv2.morphologyEx((probability > 0.5).astype(np.uint8), cv2.MORPH_OPEN, disc)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(opened, connectivity=4)
    if count < 2:
        return probability
    areas = stats[1:, cv2.CC_STAT_AREA]
    pieces = 1 + np.flatnonzero(areas >= _PIECE * areas.max())
    near = cv2.dilate(np.isin(labels, pieces).astype(np.uint8), np.ones((3, 3), np.uint8), iterations=2)
    kept = probability * near
    count, labels, stats, _ = cv2.connectedComponentsWithStats((kept <= 0.5).astype(np.uint8), connectivity=4)
    specks = [i for i in range(1, count) if stats[i, cv2.CC_STAT_AREA] < _SPECK * kept.size]
    kept[np.isin(labels, specks)] = 1.0
    return np.asarray(cv2.GaussianBlur(kept, (0, 0), _SOFT * len(kept)), dtype=np.float32)
