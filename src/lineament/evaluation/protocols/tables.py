# SPDX-License-Identifier: Apache-2.0
"""The papers' tables as protocols: which data, which metrics, what else the table did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lineament.datasets.bu3dfe import BU3DFE
from lineament.datasets.celeba import CelebAMaskHQ
from lineament.datasets.dataset import Dataset
from lineament.datasets.esrc import ESRC
from lineament.datasets.facescape import FaceScapeBenchmark, FaceScapeViews, Part
from lineament.datasets.florence import Florence
from lineament.datasets.now import NoW
from lineament.datasets.photoface import Photoface
from lineament.datasets.realy import REALY
from lineament.datasets.synface import SynFace
from lineament.datasets.threedfaw import ThreeDFAW
from lineament.errors import UsageError
from lineament.evaluation.protocols.depths import measure_depth, measure_distances, measure_landmark_depth
from lineament.evaluation.protocols.meshes import measure_facescape, measure_now, measure_realy, measure_scan_distance
from lineament.evaluation.protocols.scoring import Measured, Progress, measure_normals, measure_texture
from lineament.evaluation.systems.settings import Crop
from lineament.evaluation.systems.system import System

LOW_RESOLUTION = 32
"""Pixels a side of L2R's inputs."""


@dataclass(frozen=True)
class Protocol:
    """How a published table is measured."""

    table: str
    """Name of the table in `published_tables`."""
    dataset: Callable[[Path], Dataset]
    """Opens the part of the data that the table uses."""
    measure: Callable[[Dataset, System, Progress | None], Measured]
    notes: tuple[str, ...] = ()
    crop: Crop = "found"
    """Whether the photos are cut to the face already, by default of the evaluation."""


_SPLIT = "Test identities: a fifth, chosen by a fixed seed; the published splits are not known."
_AGGREGATION = (
    "Mean and deviation are over all pixels; those over images are in the JSON report. No paper says which it prints: "
    "deviations on Photoface (5 to 11°) have the size of pixels', those on Florence (1.5 to 3.4°) that of images'."
)
_ALL_PEOPLE = "Everybody in the folder is measured: which 50 of 359 people the paper tested is not published."
_LOW = f"Photos go through {LOW_RESOLUTION} × {LOW_RESOLUTION} pixels first, as in the paper."


def _photoface(table: str, *notes: str, degrade_to: int | None = None) -> Protocol:
    return Protocol(
        table,
        partial(Photoface, split="test"),
        partial(measure_normals, degrade_to=degrade_to),
        (_SPLIT, _AGGREGATION, *notes),
        "given",
    )


def _facescape(table: str, part: Part) -> Protocol:
    return Protocol(table, partial(FaceScapeBenchmark, part=part), measure_facescape)


_SYNFACE = partial(SynFace, split="test")
_TEXTURE_NOTE = "On CelebAMask-HQ's photos and masks; the paper's test set mixes FFHQ in and is not published."

PROTOCOLS: dict[str, Protocol] = {
    protocol.table: protocol
    for protocol in (
        _photoface("casfne-table1", "Each line is a configuration: measure weights of your own with --method FILE."),
        _photoface("casfne-table2"),
        Protocol("casfne-table3", Florence, measure_normals, (_AGGREGATION,)),
        _photoface("hffne-table1"),
        Protocol("hffne-table2", Florence, measure_normals, (_AGGREGATION,)),
        _photoface("hffne-table3"),
        Protocol("df2net-table2", BU3DFE, measure_depth),
        _facescape("hrn-table1-wild", "wild"),
        _facescape("hrn-table1-lab", "lab"),
        Protocol("hrn-table1-realy", REALY, measure_realy),
        Protocol("hrn-table2-facescape", FaceScapeViews, partial(measure_scan_distance, views=(3,)), (_ALL_PEOPLE,)),
        Protocol("hrn-table2-esrc", ESRC, partial(measure_scan_distance, views=(2,))),
        _facescape("hrn-table3", "wild"),
        Protocol(
            "hrn-table4",
            FaceScapeViews,
            partial(measure_scan_distance, columns=1, views=(2, 3, 4, 5), naive=5),
            (_ALL_PEOPLE,),
        ),
        Protocol("l2r-table2", _SYNFACE, partial(measure_distances, degrade_to=LOW_RESOLUTION), (_LOW,), "given"),
        Protocol("l2r-table3", CelebAMaskHQ, measure_texture, (_TEXTURE_NOTE,)),
        Protocol("l2r-table4", _SYNFACE, partial(measure_distances, degrade_to=LOW_RESOLUTION), (_LOW,), "given"),
        Protocol(
            "l2r-table5",
            partial(ThreeDFAW, split="test"),
            partial(measure_landmark_depth, degrade_to=LOW_RESOLUTION),
            (_LOW,),
        ),
        _photoface("l2r-table6", _LOW, degrade_to=LOW_RESOLUTION),
        Protocol("l2r-table7", CelebAMaskHQ, measure_texture, (_TEXTURE_NOTE,)),
        Protocol("now-table1", NoW, measure_now, ("Validation set, NoW's own metric without true scale.",)),
    )
}
"""By the table's name. Cas-FNE's table IV is `lineament bench`."""

ALIASES = {"now": "now-table1", "photoface-table2": "casfne-table2", "florence-table3": "casfne-table3"}
"""Other names, by dataset, of the tables that the field cites most."""


def protocol_of(name: str) -> Protocol:
    """A protocol by its name.

    Raises:
        UsageError: There is none of this name.
    """
    known = ALIASES.get(name, name)
    if known not in PROTOCOLS:
        raise UsageError(f"no table {name!r}; there are yaleb, {', '.join([*PROTOCOLS, *ALIASES])}")
    return PROTOCOLS[known]
