# SPDX-License-Identifier: Apache-2.0
"""Running networks on ONNX Runtime (no torch): graphs, and what every predictor shares."""
