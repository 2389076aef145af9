# SPDX-License-Identifier: Apache-2.0
"""A VGG-style network whose features know faces: ours in place of ImageNet's VGG-19."""
