# SPDX-License-Identifier: Apache-2.0
"""A photo for the commands."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from skimage import data


@pytest.fixture
def portrait(tmp_path: Path) -> Path:
    path = tmp_path / "photos" / "astronaut.png"
    path.parent.mkdir()
    Image.fromarray(data.astronaut()).save(path)
    return path
