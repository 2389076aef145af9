# SPDX-License-Identifier: Apache-2.0
"""The infinite labelled dataset: synthetic faces with every label (needs torch)."""

from lineament.render.cameras import CameraBatch
from lineament.synth.batch import MaskClass, SampleBatch
from lineament.synth.config import SynthConfig
from lineament.synth.generator import Generator
from lineament.synth.stream import FaceStream

__all__ = ["CameraBatch", "FaceStream", "Generator", "MaskClass", "SampleBatch", "SynthConfig"]
