# SPDX-License-Identifier: Apache-2.0
"""Errors that are meant for people: one clear line each."""

from __future__ import annotations


class LineamentError(Exception):
    """Base of every error that this package raises on purpose."""

    exit_code = 1


class InputError(LineamentError):
    """Raised when something given to the package cannot be used."""

    exit_code = 2


class UsageError(LineamentError):
    """A request that makes no sense."""

    exit_code = 2


class OutputError(LineamentError):
    """An output that cannot be written."""

    exit_code = 9


class WeightsError(LineamentError):
    """Weights that cannot be used."""

    exit_code = 10
