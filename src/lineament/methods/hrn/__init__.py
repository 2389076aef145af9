# SPDX-License-Identifier: Apache-2.0
"""HRN (Lei et al. 2023): a textured, animatable head from one photo, by a face analyser and maps of detail."""
