# SPDX-License-Identifier: Apache-2.0
"""The smallest method there can be: one convolution from a photo to normals."""
