# SPDX-License-Identifier: Apache-2.0
"""What pages say: files that they name are there, and tables that commands print are the ones that are printed."""

import re
from pathlib import Path

import pytest

from lineament.methods.discovery import all_methods

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    path
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "src").rglob("*.md"))
    if path.name != "CHANGELOG.md"
)
HISTORY = ROOT / "docs" / "archive"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    gone = [link for link in links if "://" not in link and not (page.parent / link.partition("#")[0]).exists()]
    assert gone == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_are_named_exist(page: Path) -> None:
    if HISTORY in page.parents:
        pytest.skip("history names scripts as they were called")
    text = page.read_text(encoding="utf-8")
    named = [ROOT / name for name in re.findall(r"(?:benchmarks|tools|tests)/[\w/]+\.\w+", text)]
    named += [ROOT / "src" / name for name in re.findall(r"lineament/[\w/]+\.(?:py|json)\b", text)]
    assert [str(path.relative_to(ROOT)) for path in named if not path.exists()] == []


def test_readme_lists_the_methods_that_there_are() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for name, method in all_methods().items():
        row = (
            f"| {method.title} ([methods/{name}](src/lineament/methods/{name}/README.md)) | {method.gives} "
            f"| [`{method.weights}`](src/lineament/weights/{method.weights}.md) |"
        )
        assert row in readme, "run python tools/method_table.py --write"


@pytest.mark.parametrize("name", sorted(all_methods()))
def test_every_method_says_how_it_differs_from_its_paper(name: str) -> None:
    page = (ROOT / "src" / "lineament" / "methods" / name / "README.md").read_text(encoding="utf-8")
    assert "## Differs from the paper" in page
    assert "| part | paper | here | why |" in page
