# SPDX-License-Identifier: Apache-2.0
"""Errors that are meant for people: one clear line each, and an exit code of their own (`EXIT_CODES`)."""

from __future__ import annotations

UNEXPECTED = 1
"""Exit code of errors that nobody foresaw."""

INTERRUPTED = 130
"""Exit code of a run that was stopped with Ctrl-C."""

BROKEN_PIPE = 141
"""Exit code of a run whose output nobody reads any more."""

EXIT_CODES = {
    0: "all is done",
    1: "an error that was not foreseen; --debug shows its details",
    2: "a request that makes no sense",
    3: "a picture or other input that is damaged or cannot be read",
    4: "a file that is no picture",
    5: "a picture with too few pixels",
    6: "a picture with more pixels than are decoded",
    7: "no face in the picture",
    8: "nothing to work on",
    9: "an output that cannot be written",
    10: "weights that are missing, damaged or do not fit",
    11: "a face rig that is damaged or does not fit",
    12: "a dataset that is missing, damaged or of another kind",
    13: "a training whose losses are no longer finite, or that does not fit into memory",
    14: "a result that is not finite, and is not written",
    INTERRUPTED: "interrupted with Ctrl-C",
    BROKEN_PIPE: "nobody reads the output any more, as in `lineament ... | head -1`",
}
"""What the command line's exit codes mean. A batch of which some photos failed ends with the first failure's."""


class LineamentError(Exception):
    """Base of every error that this package raises on purpose.

    An error says what is wrong, and may say what to do in the words of either interface, which read on from the
    message after a semicolon::

        raise NoFaceError(
            f"{name}: no face found",
            python="ask for less sure ones with min_score=0.2, or say where the face is with faces=[(x, y, w, h)]",
            cli="ask for less sure ones with --min-score 0.2, or say where the face is with --face-box X,Y,W,H",
        )

    ``str(error)`` has Python's advice, `for_command_line` the command line's. Advice that names no option of an
    interface belongs into the message itself.

    Args:
        message: What is wrong, in one line.
        python: What to do, for those who call Python.
        cli: What to do, for those who use the command line.
    """

    exit_code = 1

    def __init__(self, message: str = "", *, python: str = "", cli: str = "") -> None:
        super().__init__(message)
        self.python = python
        self.cli = cli

    def __str__(self) -> str:
        return "; ".join(filter(None, (super().__str__(), self.python)))

    def for_command_line(self) -> str:
        """What is wrong, and what to do in the words of the command line."""
        return "; ".join(filter(None, (super().__str__(), self.cli)))


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


class TrainingError(LineamentError):
    """A training that cannot go on: what it computes is no longer finite, or does not fit into memory."""

    exit_code = 13


class NotFiniteError(LineamentError):
    """A result that is not finite: it is neither given nor written."""

    exit_code = 14
