# SPDX-License-Identifier: Apache-2.0
"""Which version of lineament this is."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("lineament")
except PackageNotFoundError:  # run from a checkout that is not installed
    __version__ = "unknown"
