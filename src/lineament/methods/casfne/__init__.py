# SPDX-License-Identifier: Apache-2.0
"""Cas-FNE: Cascaded Face Normal Estimation (Wang, Guo and Zhang)."""
