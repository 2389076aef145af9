# SPDX-License-Identifier: Apache-2.0
"""Label sets: what a pixel of a face shows, and the 68 landmarks. Imports nothing of the project."""
