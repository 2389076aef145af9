# SPDX-License-Identifier: Apache-2.0
"""No version with a known vulnerability is allowed by pyproject.toml, nor installed here (docs/advisories.json)."""

from __future__ import annotations

import json
import tomllib
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
ADVISORIES = json.loads((ROOT / "docs" / "advisories.json").read_text(encoding="utf-8"))["advisories"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def allowed(package: str) -> list[Requirement]:
    """Every line of pyproject.toml that asks for a package."""
    extras = PROJECT["optional-dependencies"].values()
    lines = [Requirement(line) for group in (PROJECT["dependencies"], *extras) for line in group]
    return [line for line in lines if canonicalize_name(line.name) == package]


@pytest.mark.parametrize("advisory", ADVISORIES, ids=lambda a: f"{a['package']}-{a['id']}")
def test_no_vulnerable_version_is_allowed_or_installed(advisory: dict[str, object]) -> None:
    affected, package = SpecifierSet(str(advisory["affected"])), str(advisory["package"])
    assert all(affected.contains(release) for release in advisory["last"])  # the entry is right in itself
    lines = allowed(package)
    assert lines
    for line in lines:
        assert [release for release in advisory["last"] if line.specifier.contains(release)] == []
    with suppress(PackageNotFoundError):  # of an extra that is not installed
        assert not affected.contains(version(package))


def test_every_requirement_has_a_lower_bound() -> None:
    for lines in (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()):
        for line in map(Requirement, lines):
            assert {specifier.operator for specifier in line.specifier} & {">=", "=="}, line


def test_what_is_installed_is_what_is_asked_for() -> None:
    for line in map(Requirement, requires("lineament") or []):
        if line.marker is None:
            assert line.specifier.contains(version(line.name)), line
