# SPDX-License-Identifier: Apache-2.0
"""Print the requirements of pyproject.toml, each at the lowest version that it allows: what a test on them installs."""

from __future__ import annotations

import tomllib
from pathlib import Path

from packaging.requirements import Requirement


def lowest(text: str) -> str:
    """A requirement held to its lower bound; one without a lower bound stays as it is."""
    requirement = Requirement(text)
    bounds = [specifier.version for specifier in requirement.specifier if specifier.operator == ">="]
    return f"{requirement.name}=={bounds[0]}" if bounds else text


if __name__ == "__main__":
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    print("\n".join(lowest(text) for text in project["dependencies"] + project["optional-dependencies"]["dev"]))
