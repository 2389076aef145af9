# SPDX-License-Identifier: Apache-2.0
"""How our methods are run in an evaluation: what a benchmark gives them, what counts, and the estimator's options."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from lineament.options import check_options
from lineament.pipeline.options import Options

PADDING = 0.4
"""Margin around a photo that is cut from brows to chin, a share of its longer side: the face then spans 0.55 of the
square, as in a crop that the estimator makes itself."""

Crop = Literal["given", "found"]
Counted = Literal["labels", "mask"]


@dataclass(frozen=True)
class Settings:
    """How our methods are run in an evaluation. A report prints all of it."""

    crop: Crop = "given"
    """"given": photos are cut to the face already; each is set upright into a square with a margin. "found": faces are
    found and their crops turned, as `lineament estimate` does; of several the largest counts."""
    padding: float = PADDING
    """That margin above and below, as a share of the photo's longer side."""
    counted: Counted = "labels"
    """"labels": the network's answer counts wherever the dataset has a label. "mask": where the estimator takes a
    pixel for no face, it gives no normal, which counts as 90°."""
    options: Options = field(default_factory=Options)
    """Of the estimator."""

    def __post_init__(self) -> None:
        check_options(self, {"padding": "[0, 2]"})

    def describe(self) -> str:
        """One sentence for a report's header."""
        o = self.options
        margin = f"set into a square with a margin of {self.padding:g} of its longer side (--padding)"
        given = f"the photo as the face's crop (--crop given), {margin}, in one resampling at each network's own size"
        found = "the largest face that is found in the photo (--crop found), its crop turned upright"
        everywhere = "every labelled pixel counts (--counted labels)"
        masked = "labelled pixels outside the estimated mask of the face count 90° (--counted mask)"
        return "; ".join(
            (
                given if self.crop == "given" else found,
                "second view" if o.second_view else "no second view",
                "finer crop of large faces" if o.fine_crop else "no finer crop",
                *([] if o.camera_tones else ["tones as they are"]),
                "the usual number of stages" if o.stages is None else f"stages after the first: {o.stages}",
                everywhere if self.counted == "labels" else masked,
            )
        )
