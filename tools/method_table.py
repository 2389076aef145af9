# SPDX-License-Identifier: Apache-2.0
"""The README's table of methods, from the methods that there are: ``python tools/method_table.py [--write]``.

Printed, or put in place of the table that the README has.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from lineament.methods.discovery import all_methods

README = Path(__file__).parent.parent / "README.md"
HEAD = "| paper | gives | weights |\n|---|---|---|\n"


def main() -> None:
    """Print or write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="into README.md")
    arguments = parser.parse_args()
    if not arguments.write:
        print(method_table(), end="")
        return
    before, _, after = README.read_text(encoding="utf-8").partition(HEAD)
    README.write_text(before + method_table() + after[after.index("\n\n") + 1 :], encoding="utf-8")


def method_table() -> str:
    """A line per method, sorted by name."""
    lines = [
        f"| {method.title} ([methods/{name}](src/lineament/methods/{name}/README.md)) | {method.gives} "
        f"| [`{method.weights}`](src/lineament/weights/{method.weights}.md) |\n"
        for name, method in all_methods().items()
    ]
    return HEAD + "".join(lines)


if __name__ == "__main__":
    main()
