# SPDX-License-Identifier: Apache-2.0
"""Metrics, one protocol per published or reproducible table, and reports."""

from __future__ import annotations

from lineament.evaluation.framing import FramedPredictor, Framing, Predictor
from lineament.evaluation.metrics import Sparsification, masked_angular_error, slope_scale, sparsification
from lineament.evaluation.predictions import StoredPredictions
from lineament.evaluation.report import Table, write_table, yaleb_table
from lineament.evaluation.yaleb import (
    SUBSETS,
    SubjectResult,
    YaleBResult,
    evaluate_yaleb,
)

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
