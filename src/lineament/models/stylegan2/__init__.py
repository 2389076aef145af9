# SPDX-License-Identifier: Apache-2.0
"""StyleGAN2 of faces: the prior that L2R restores textures with."""
