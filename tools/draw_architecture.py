# SPDX-License-Identifier: Apache-2.0
"""Draw which rooms of the package import which: ``python tools/draw_architecture.py [--output FILE]``.

The order of the rooms is that of the layers in ``pyproject.toml`` (``tool.importlinter``), the dots are the imports
that stand in the code: a dot in a room's row says that the room imports the one whose name stands below the dot; the
more modules do, the larger it is. The same code gives the same picture, byte for byte.
"""

from __future__ import annotations

import argparse
import ast
import tomllib
from collections import Counter
from pathlib import Path

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot as plt

ROOT = Path(__file__).parent.parent
PACKAGE = "lineament"
WITH_TORCH, WITHOUT = "#c8553d", "#2d6a8e"
Imports = dict[str, Counter[str]]
"""By room, how many of its modules import each other room."""


def main() -> None:
    """Read and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pyproject", type=Path, default=ROOT / "pyproject.toml", help="where the layers are")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "images" / "architecture.svg")
    arguments = parser.parse_args()
    layers = layers_of(arguments.pyproject)
    imports = imports_of(ROOT / "src" / PACKAGE)
    missing = sorted(set(imports) - {room for layer in layers for room in layer} - {"__main__"})
    if missing:
        parser.error(f"no layer of {arguments.pyproject} has {', '.join(missing)}")
    draw(layers, imports, arguments.output)


def layers_of(pyproject: Path) -> list[list[str]]:
    """The rooms of each layer, the topmost first; rooms of one layer do not import each other."""
    contracts = tomllib.loads(pyproject.read_text(encoding="utf-8")).get("tool", {}).get("importlinter", {})
    for contract in contracts.get("contracts", []):
        if contract["type"] == "layers":
            return [[room.strip() for room in layer.split("|")] for layer in contract["layers"]]
    raise SystemExit(f"error: {pyproject} has no contract of layers (tool.importlinter)")


def imports_of(package: Path) -> Imports:
    """What every room imports of the others, and of torch; a room is a folder or a module of the package."""
    found: Imports = {}
    for path in sorted(package.rglob("*.py")):
        room = path.relative_to(package).parts[0].removesuffix(".py")
        if room == "__init__":
            continue
        names = imported(ast.parse(path.read_text(encoding="utf-8")))
        others = {name.split(".")[1] for name in names if name.startswith(f"{PACKAGE}.")} - {room}
        others |= {"torch"} & {name.partition(".")[0] for name in names}
        found.setdefault(room, Counter()).update(others)
    return found


def imported(tree: ast.Module) -> set[str]:
    """Dotted names of all that a module imports, at any place in it."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def draw(layers: list[list[str]], imports: Imports, output: Path) -> None:
    """Write the picture: rooms as rows, topmost first, and again as columns."""
    rooms = [room for layer in layers for room in layer if room in imports]
    place = {room: number for number, room in enumerate(rooms)}
    # Letters stay letters and identifiers do not change from run to run.
    with plt.rc_context({"svg.fonttype": "none", "svg.hashsalt": PACKAGE, "font.family": "sans-serif"}):
        metric, axes = plt.subplots(figsize=(9.0, 7.0))
        last = len(rooms) - 1
        for room, row in place.items():
            colour = WITH_TORCH if imports[room]["torch"] else WITHOUT
            axes.text(row - 0.1, row, room, ha="right", va="center", color=colour)
            axes.plot([row, last], [row, row], color="#e4e4e4", linewidth=0.7, zorder=0)
            axes.plot([row, row], [row, 0], color="#e4e4e4", linewidth=0.7, zorder=0)
            others = sorted(place[other] for other in imports[room] if other in place)
            sizes = [12 + 6 * imports[room][rooms[other]] for other in others]
            axes.scatter(others, [row] * len(others), s=sizes, color=colour, linewidths=0)
        axes.plot([], [], "o", color=WITH_TORCH, label="has modules that import torch")
        axes.plot([], [], "o", color=WITHOUT, label="no torch")
        axes.legend(loc="lower left", frameon=False)
        axes.set_xlim(-2.5, last + 0.7)
        axes.set_ylim(last + 0.7, -0.7)
        axes.axis("off")
        metric.savefig(output, bbox_inches="tight", facecolor="white", metadata={"Date": None, "Creator": None})
        plt.close(metric)


if __name__ == "__main__":
    main()
