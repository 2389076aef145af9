# SPDX-License-Identifier: Apache-2.0
"""Metrics, one protocol per published or reproducible table, and reports."""

from __future__ import annotations

from lineament.evaluation.metrics.angular import Sparsification, masked_angular_error, slope_scale, sparsification
from lineament.evaluation.protocols.yaleb import (
    SUBSETS,
    SubjectResult,
    YaleBResult,
    evaluate_yaleb,
)
from lineament.evaluation.report.table import Table, write_table, yaleb_table
from lineament.evaluation.systems.framing import FramedPredictor, Framing, Predictor
from lineament.evaluation.systems.stored import StoredPredictions

__all__ = [
    "SUBSETS",
    "FramedPredictor",
    "Framing",
    "Predictor",
    "Sparsification",
    "StoredPredictions",
    "SubjectResult",
    "Table",
    "YaleBResult",
    "evaluate_yaleb",
    "masked_angular_error",
    "slope_scale",
    "sparsification",
    "write_table",
    "yaleb_table",
]
