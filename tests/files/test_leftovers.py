# SPDX-License-Identifier: Apache-2.0
"""Hidden folders that look like a killed run's: forged ones lead nowhere, and what others put there stays."""

from __future__ import annotations

import json
import os
import shutil
import stat
from pathlib import Path

import pytest

from lineament.errors import OutputError
from lineament.files import leftovers
from lineament.files.locking import folder_lock
from lineament.files.result_folder import MARKER, check_replaceable, read_marker, remove_stale, result_folder
from lineament.files.writing import atomic_path, temporary_name

NAME = ".lineament-0123456789ab"


def write(path: Path, text: str = "1") -> None:
    with result_folder(path) as temporary:
        (temporary / "normals.txt").write_text(text)


def tree(folder: Path) -> dict[str, str]:
    """All that is below a folder, links as where they lead."""
    found = {}
    for path in sorted(folder.rglob("*")):
        what = os.readlink(path) if path.is_symlink() else path.read_text() if path.is_file() else "folder"
        found[path.relative_to(folder).as_posix()] = what
    return found


def forged(home: Path, target: str | None = None, seal: bool = True, name: str = NAME) -> Path:
    """A leftover as an attacker would make it who knows all but number and time of birth, or even these."""
    folder = home / name
    (folder / "old").mkdir(parents=True)
    (folder / "new").mkdir()
    (folder / "lock").touch()
    (folder / "target").write_text(target or "")
    if seal:
        (folder / "seal").write_text(leftovers._seal_of(folder))
    for part in ("old", "new"):
        (folder / part / MARKER).write_text('{"files": {"x": 5, "thesis.tex": 4}}')
        (folder / part / "x").write_text("pwned")
    return folder


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    """A folder of results, and one beside it whose files nobody may touch."""
    home, precious = tmp_path / "home", tmp_path / "precious"
    for part in ("new", "old"):
        (precious / part).mkdir(parents=True)
        (precious / part / "thesis.tex").write_text("mine")
    (precious / "lock").touch()
    (precious / MARKER).write_text(json.dumps({"files": {"lock": 0}}))
    home.mkdir()
    return home, precious


@pytest.mark.parametrize("target", ["/{}/victim", "../victim", "sub/../../victim", "..", ".", NAME, "a/b"])
def test_a_target_is_a_plain_name(places: tuple[Path, Path], target: str) -> None:
    home, _ = places
    forged(home, target.format(home.parent))
    before = tree(home.parent)
    write(home / "photo")
    shutil.rmtree(home / "photo")
    assert tree(home.parent) == before


@pytest.mark.parametrize("part", ["", "new", "old", "lock", "target", "seal", "new/deep", "old/x"])
@pytest.mark.parametrize("target", [None, "photo"])
def test_no_link_is_followed(places: tuple[Path, Path], part: str, target: str | None) -> None:
    home, precious = places
    folder = forged(home, target)
    place = folder / part if part else folder
    if place.is_dir():
        shutil.rmtree(place)
    place.unlink(missing_ok=True)
    place.symlink_to(precious / "lock" if part in ("lock", "target", "seal") else precious)
    before = tree(home.parent)
    write(home / "photo")
    shutil.rmtree(home / "photo")
    assert tree(home.parent) == before


def test_a_copied_leftover_is_none(places: tuple[Path, Path]) -> None:
    """A seal holds for the folder in which it was made alone: nothing that was unpacked or copied has one."""
    home, _ = places
    real = forged(home, "photo")
    assert leftovers.is_staging(real)
    for copied in (home / ".lineament-aaaaaaaaaaaa", home / "sub" / NAME):
        shutil.copytree(real, copied)
        assert not leftovers.is_staging(copied)
    shutil.rmtree(real)
    (home / "thesis.tex").write_text("mine")
    unsealed = forged(home, seal=False)
    remove_stale(home)
    assert unsealed.exists()
    assert (home / "thesis.tex").read_text() == "mine"


def test_a_swap_never_takes_the_files_of_others(places: tuple[Path, Path]) -> None:
    home, _ = places
    folder = forged(home)
    (home / "diary.txt").write_text("mine")
    before = tree(home)
    remove_stale(home)
    assert tree(home) == before
    (home / "diary.txt").unlink()
    remove_stale.cache_clear()
    remove_stale(home)
    assert not folder.exists()


@pytest.mark.parametrize("name", [".lineament-notes", ".lineament-0123456789abc", ".lineament-0123456789AB", NAME])
def test_what_others_hide_in_a_result_is_not_lost(tmp_path: Path, name: str) -> None:
    out = tmp_path / "out"
    write(out)
    (out / name).mkdir()
    (out / name / "a").write_text("mine")
    (out / name / "lock").touch()
    with pytest.raises(OutputError, match=rf"no result of ours \({name}/a\)"):
        write(out, "2")
    assert (out / name / "a").read_text() == "mine"


def test_links_and_empty_folders_in_a_result_are_others(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write(out)
    (out / "normals.txt").unlink()
    (out / "normals.txt").symlink_to(tmp_path)
    with pytest.raises(OutputError, match=r"no result of ours \(normals\.txt\)"):
        check_replaceable(out)
    (out / "normals.txt").unlink()
    (out / "empty").mkdir()
    with pytest.raises(OutputError, match=r"no result of ours \(empty\)"):
        check_replaceable(out)


def test_a_run_that_was_killed_as_it_began_leaves_nothing(tmp_path: Path) -> None:
    for number, parts in enumerate(([], ["lock"], ["lock", "target"], ["lock", "target", "seal"])):
        folder = tmp_path / f".lineament-{number:012x}"
        folder.mkdir()
        for part in parts:
            (folder / part).touch()
    remove_stale(tmp_path)
    assert os.listdir(tmp_path) == []


def test_a_lock_removes_only_files_of_its_own_form(tmp_path: Path) -> None:
    (tmp_path / ".lineament-notes").write_text("mine")
    (tmp_path / f"{temporary_name()}.png").symlink_to(tmp_path)
    (tmp_path / f"{temporary_name()}.png").touch()
    with folder_lock(tmp_path):
        left = {p.name for p in tmp_path.iterdir() if not p.is_symlink()}
    assert left == {".lineament-notes", ".lock"}
    assert len([p for p in tmp_path.iterdir() if p.is_symlink()]) == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_markers_that_are_no_files_are_neither_waited_for_nor_read(tmp_path: Path) -> None:
    for name, make in (("pipe", os.mkfifo), ("device", lambda path: os.symlink("/dev/zero", path))):
        (tmp_path / name).mkdir()
        make(tmp_path / name / MARKER)
        assert read_marker(tmp_path / name) is None
        with pytest.raises(OutputError, match="is damaged: name another folder"):
            check_replaceable(tmp_path / name)


@pytest.mark.parametrize("damaged", ["{", "[]", "", '{"files": 3}', '{"request": {}}', "\0"])
def test_a_damaged_marker_is_said(tmp_path: Path, damaged: str) -> None:
    write(tmp_path / "out")
    (tmp_path / "out" / MARKER).write_text(damaged)
    with pytest.raises(OutputError, match=r"result\.json, by which .* is damaged: name another folder, or delete"):
        write(tmp_path / "out", "2")


def test_a_truncated_file_is_no_complete_result(tmp_path: Path) -> None:
    write(tmp_path / "out", "123")
    assert read_marker(tmp_path / "out") is not None
    os.truncate(tmp_path / "out" / "normals.txt", 2)
    assert read_marker(tmp_path / "out") is None
    write(tmp_path / "out", "123")
    assert read_marker(tmp_path / "out") is not None


@pytest.mark.skipif(os.name != "posix", reason="needs modes")
@pytest.mark.parametrize("mask", [0o022, 0o027, 0o002])
def test_written_files_have_the_mode_that_new_files_have(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        with atomic_path(tmp_path / "a.bin") as temporary:
            temporary.unlink()
            os.close(os.open(temporary, os.O_CREAT | os.O_WRONLY, 0o600))
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.bin").stat().st_mode) == 0o666 & ~mask
