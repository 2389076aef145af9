# SPDX-License-Identifier: Apache-2.0
"""The canonical crop and its exact inverse, and how large a face is in a photo."""
