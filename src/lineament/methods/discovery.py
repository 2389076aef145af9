# SPDX-License-Identifier: Apache-2.0
"""From a weights file to the session of its method."""

from __future__ import annotations

from pathlib import Path

from lineament.errors import WeightsError
from lineament.inference.predictor import NormalsSession
from lineament.methods.casfne.predictor import CasFNESession
from lineament.methods.df2net.predictor import DF2NetSession
from lineament.methods.hffne.predictor import HFFNESession
from lineament.weights.file import read_method, shown

_SESSIONS: dict[str, type[NormalsSession]] = {
    kind.METHOD: kind for kind in (CasFNESession, HFFNESession, DF2NetSession)
}


def open_session(weights: Path, threads: int = 0) -> NormalsSession:
    """The networks of a weights file, ready to run; see `NormalsSession`.

    Raises:
        WeightsError: Files that are missing, damaged or do not fit each other, or weights of no method that estimates.
    """
    method = read_method(weights)
    if method not in _SESSIONS:
        raise WeightsError(f"{weights} is for {shown(method)}, which estimates no normals")
    return _SESSIONS[method](weights, threads)
