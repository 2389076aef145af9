# SPDX-License-Identifier: Apache-2.0
"""Maps as large as the photo, kept for one of its faces at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

Value = TypeVar("Value")


class CachedMaps:
    """What has been made of one face: maps by name."""

    def __init__(self) -> None:
        self.maps: dict[str, Any] = {}


class LastFace:
    """Which of a photo's faces keeps its maps: the one that was asked last.

    Asked again, a face has them at hand; asked one after the other, three hundred faces take no more memory than one.
    """

    def __init__(self) -> None:
        self._last = CachedMaps()

    def kept(self, own: CachedMaps, name: str, make: Callable[[], Value]) -> Value:
        """A face's map by its name, made unless it is kept; another face's maps are let go."""
        if self._last is not own:
            self._last.maps.clear()
            self._last = own
        value: Value | None = own.maps.get(name)  # asked once: another thread may clear the maps at any time
        if value is None:
            value = make()
            own.maps[name] = value
        return value
