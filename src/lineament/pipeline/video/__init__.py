# SPDX-License-Identifier: Apache-2.0
"""Faces in moving pictures: followed from frame to frame, their normals fused over time (no torch)."""

from lineament.pipeline.video.estimator import FaceInFrame, Frame, VideoEstimator, VideoOptions

__all__ = ["FaceInFrame", "Frame", "VideoEstimator", "VideoOptions"]
