# SPDX-License-Identifier: Apache-2.0
"""Protocols: which data, which metric, which table."""
