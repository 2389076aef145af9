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
from lineament.evaluation.systems.framing import Framing
from lineament.evaluation.systems.method import MethodSystem, method_system
from lineament.evaluation.systems.peer import PeerSystem, peer_system
from lineament.evaluation.systems.settings import Settings
from lineament.evaluation.systems.stored import StoredPredictions
from lineament.evaluation.systems.system import NormalsSystem, System

__all__ = [
    "SUBSETS",
    "Framing",
    "MethodSystem",
    "NormalsSystem",
    "PeerSystem",
    "Settings",
    "Sparsification",
    "StoredPredictions",
    "SubjectResult",
    "System",
    "Table",
    "YaleBResult",
    "evaluate_yaleb",
    "masked_angular_error",
    "method_system",
    "peer_system",
    "slope_scale",
    "sparsification",
    "write_table",
    "yaleb_table",
]
