# SPDX-License-Identifier: Apache-2.0
"""The command line: thin, made from dataclasses, one line per error."""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # typing's own takes long to import, and until `main` runs, Ctrl-C shows a traceback
if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: Words after ``lineament``; the process's own by default. ``--debug`` may stand anywhere among them.

    Returns:
        The exit code, see `lineament.errors.EXIT_CODES`.
    """
    try:
        from lineament.cli.commands import run

        return run(list(sys.argv[1:] if arguments is None else arguments))
    except KeyboardInterrupt:
        from contextlib import suppress

        from lineament.errors import INTERRUPTED

        with suppress(OSError, ValueError, AttributeError):  # it may be closed
            sys.stderr.write("lineament: interrupted\n")
        return INTERRUPTED
