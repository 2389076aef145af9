# SPDX-License-Identifier: Apache-2.0
"""Finding faces: a small anchor-free network on an image pyramid (ours, of no paper)."""
