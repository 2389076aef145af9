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
from lineament.images.resize import resized_square

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
    """h×w, the face from the chin to the hairline: one piece without holes, what lies under glasses included."""
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

    def alpha(self) -> NDArray[np.float32]:
        """h×w, how opaque the face is over another picture: 1 inside, falling to 0 at the mask's edge."""
        top = self.place[0].start
        read, soft = self.crop.at(len(self.crop_share)), np.zeros(self.mask.shape, np.float32)
        for rows, _ in read.strips(self.height, self.width):
            here = slice(rows.start - top, rows.stop - top)
            share = read.paste(self.crop_share, self.height, self.width, rows)
            soft[here] = (2.0 * share - 1.0).clip(0.0, 1.0) * self.mask[here]
        return soft

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
