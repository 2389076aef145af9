# SPDX-License-Identifier: Apache-2.0
"""DF²Net: dense, fine and finer depth (Zeng, Peng and Qiao 2019)."""
