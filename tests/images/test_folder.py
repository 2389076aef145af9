# SPDX-License-Identifier: Apache-2.0
"""Folders of results: whole, of one run, and nobody else's files are lost."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lineament.errors import OutputError
from lineament.files import result_folder as module
from lineament.files.result_folder import MARKER, check_replaceable, read_marker, remove_stale, result_folder


def write(path: Path, **files: str) -> None:
    with result_folder(path, {"asked": sorted(files)}) as temporary:
        for name, text in files.items():
            (temporary / f"{name}.txt").write_text(text)


def read(path: Path) -> dict[str, str]:
    return {p.name: p.read_text() for p in path.iterdir() if p.name != MARKER}


def killed(code: str, *paths: Path) -> None:
    """Run code in a process that ends within it, as if it were killed."""
    words = [sys.executable, "-c", f"import os, sys\nfrom pathlib import Path\n{code}", *map(str, paths)]
    assert subprocess.run(words, check=False).returncode == 9


def test_a_result_replaces_an_earlier_one_as_a_whole(tmp_path: Path) -> None:
    write(tmp_path / "deep" / "out", normals="1", depth="1")
    write(tmp_path / "deep" / "out", normals="2")
    assert read(tmp_path / "deep" / "out") == {"normals.txt": "2"}
    assert read_marker(tmp_path / "deep" / "out") == {"files": {"normals.txt": 1}, "request": {"asked": ["normals"]}}
    assert os.listdir(tmp_path / "deep") == ["out"]


def test_a_failed_result_changes_nothing(tmp_path: Path) -> None:
    write(tmp_path / "out", normals="1")

    def fail(temporary: Path) -> None:
        (temporary / "normals.txt").write_text("half")
        raise RuntimeError("midway")

    with pytest.raises(RuntimeError, match="midway"), result_folder(tmp_path / "out") as temporary:
        fail(temporary)
    assert read(tmp_path / "out") == {"normals.txt": "1"}
    assert os.listdir(tmp_path) == ["out"]


def test_what_others_put_there_is_never_lost(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "thesis.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"no result of ours \(thesis.txt\)"):
        write(own, normals="1")
    write(tmp_path / "out", normals="1")
    (tmp_path / "out" / "sub").mkdir()
    (tmp_path / "out" / "sub" / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"sub/notes\.txt"):
        write(tmp_path / "out", normals="2")
    assert read(own) == {"thesis.txt": "mine"}
    assert (tmp_path / "out" / "normals.txt").read_text() == "1"
    (tmp_path / "out" / "sub" / "notes.txt").rename(tmp_path / "out" / ".DS_Store")
    with pytest.raises(OutputError, match=r"no result of ours \(sub\)"):
        write(tmp_path / "out", normals="2")
    (tmp_path / "out" / "sub").rmdir()
    write(tmp_path / "out", normals="2")


def test_files_in_the_way_and_links(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for place in (tmp_path / "file", tmp_path / "file" / "out"):
        with pytest.raises(OutputError, match="in the way and no folder"):
            check_replaceable(place)
    write(tmp_path / "real", normals="1")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write(tmp_path / "link", normals="2")
    assert (tmp_path / "link").is_symlink()
    assert read(tmp_path / "real") == {"normals.txt": "2"}


def test_an_unfinished_result_is_none(tmp_path: Path) -> None:
    assert read_marker(tmp_path) is None
    write(tmp_path / "out", normals="1", depth="1")
    (tmp_path / "out" / "depth.txt").unlink()
    assert read_marker(tmp_path / "out") is None
    for damaged in ("{", "[]", '{"files": 3}', "\0"):
        (tmp_path / "out" / MARKER).write_text(damaged)
        assert read_marker(tmp_path / "out") is None


_BEGIN = "from lineament.files.result_folder import result_folder\nimport contextlib\nstack = contextlib.ExitStack()\n"


def test_hidden_folders_of_dead_runs_are_removed_and_those_of_living_ones_stay(tmp_path: Path) -> None:
    dead = _BEGIN + "f = stack.enter_context(result_folder(Path(sys.argv[1])))\n(f / 'a').touch()\nos._exit(9)"
    killed(dead, tmp_path / "one")
    assert len(os.listdir(tmp_path)) == 1
    with result_folder(tmp_path / "two") as living:
        remove_stale.cache_clear()
        remove_stale(tmp_path)
        assert living.exists()
        assert os.listdir(tmp_path) == [living.parent.name]
    assert os.listdir(tmp_path) == ["two"]


@pytest.mark.parametrize(
    ("inside", "moves"), [(False, 0), (False, 1), (False, 2), (True, 0), (True, 1), (True, 3), (True, 4), (True, 5)]
)
def test_a_swap_that_was_cut_off_is_ended(inside: bool, moves: int, tmp_path: Path) -> None:
    """Whenever a run is killed, the next one finds the old result or the new one, whole."""
    out = tmp_path / "out"
    write(out, normals="1", depth="1")
    code = f"""
from lineament.files import result_folder as folder
if {inside}:
    os.chdir(sys.argv[1])
real, left = os.replace, {moves}
def replace(a, b):
    global left
    if "new" in Path(a).parts or "old" in Path(b).parts:
        left -= 1
        if left < 0:
            os._exit(9)
    real(a, b)
os.replace = replace
with folder.result_folder(Path(sys.argv[1])) as f:
    (f / "normals.txt").write_text("2")
    (f / "mesh.txt").write_text("2")
os._exit(9)
"""
    killed(code, out)
    remove_stale.cache_clear()
    check_replaceable(out)
    old, new = {"normals.txt": "1", "depth.txt": "1"}, {"normals.txt": "2", "mesh.txt": "2"}
    assert read(out) in (old, new)
    assert read_marker(out) is not None
    assert os.listdir(tmp_path) == ["out"]
    write(out, normals="3")


def test_a_folder_that_cannot_be_renamed_gets_its_files_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    monkeypatch.chdir(out)
    place = out.stat().st_ino
    write(Path(), normals="1", depth="1")
    write(Path(), normals="2", mesh="2")
    assert read(out) == {"normals.txt": "2", "mesh.txt": "2"}
    assert out.stat().st_ino == place
    monkeypatch.undo()
    monkeypatch.setattr(module.os.path, "ismount", lambda path: Path(path) == out)
    write(out, normals="3")
    assert read(out) == {"normals.txt": "3"}
    assert out.stat().st_ino == place
