# SPDX-License-Identifier: Apache-2.0
"""Hostile inputs: seeds of every kind, structure-aware mutation, and a watchdog over the doors that read them."""
