# SPDX-License-Identifier: Apache-2.0
"""HFFNE: high-fidelity face normals by example (Wang et al. 2022)."""
