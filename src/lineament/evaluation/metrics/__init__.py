# SPDX-License-Identifier: Apache-2.0
"""Metrics: functions of arrays to metrics."""
