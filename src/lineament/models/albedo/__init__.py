# SPDX-License-Identifier: Apache-2.0
"""A face's albedo: what remains of a photo when its shading is taken away (ours)."""
