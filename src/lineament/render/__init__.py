# SPDX-License-Identifier: Apache-2.0
"""Rasterising and shading in torch (``raster``, ``shading``), and previews in NumPy (``preview``)."""
