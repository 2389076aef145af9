# SPDX-License-Identifier: Apache-2.0
"""Errors that are meant for people: one clear line each, and an exit code of their own.

==== =====================================================================
code meaning
==== =====================================================================
1    any other `LineamentError`
2    `UsageError`: a request that makes no sense
3    `InputError`: a picture or other input that is damaged or cannot be read
4    `NotAnImageError`: a file that is no picture
5    `ImageTooSmallError`: a picture with too few pixels
6    `ImageTooLargeError`: a picture with more pixels than are decoded
7    `NoFaceError`: no face in the picture
8    `NoImagesError`: nothing to work on
9    `OutputError`: an output that cannot be written
10   `WeightsError`: weights that are missing, damaged or do not fit
11   `RigError`: a face rig that is damaged or does not fit
12   `DataError`: a dataset that is missing, damaged or of another kind
14   `NotFiniteError`: a result that is not finite
==== =====================================================================
"""

from __future__ import annotations


class LineamentError(Exception):
    """Base of every error that this package raises on purpose."""

    exit_code = 1


class UsageError(LineamentError):
    """A request that makes no sense."""

    exit_code = 2


class InputError(LineamentError):
    """An input that is damaged or cannot be read."""

    exit_code = 3


class NotAnImageError(InputError):
    """A file that is no picture."""

    exit_code = 4


class ImageTooSmallError(InputError):
    """A picture with too few pixels."""

    exit_code = 5


class ImageTooLargeError(InputError):
    """A picture with more pixels than are decoded."""

    exit_code = 6


class NoFaceError(LineamentError):
    """No face was found."""

    exit_code = 7


class NoImagesError(LineamentError):
    """Nothing to work on."""

    exit_code = 8


class OutputError(LineamentError):
    """An output that cannot be written."""

    exit_code = 9


class WeightsError(LineamentError):
    """Weights that are missing, damaged or do not fit."""

    exit_code = 10


class RigError(LineamentError):
    """A face rig that is damaged or does not fit."""

    exit_code = 11


class DataError(LineamentError):
    """A dataset that is missing, damaged or of another kind."""

    exit_code = 12


class NotFiniteError(LineamentError):
    """A result that is not finite: it is neither given nor written."""

    exit_code = 14
