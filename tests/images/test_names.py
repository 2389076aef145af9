# SPDX-License-Identifier: Apache-2.0
"""Names of results, derived from photos that are called anything."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineament.files.names import MAXIMUM_BYTES, output_names, printable, safe_name


@pytest.mark.parametrize(
    ("photos", "names"),
    [
        (["a/1.jpg", "a/2.jpg"], ["1", "2"]),
        (["a/1.jpg", "a/1.png"], ["1.jpg", "1.png"]),
        (["a/1.jpg", "b/1.jpg", "c/0001-1.jpg.png"], ["a-1.jpg", "b-1.jpg", "0001-1.jpg"]),
        (["a/1.jpg", "x/a/1.jpg", "a-1.jpg-1.png"], ["a-1.jpg-2", "a-1.jpg-3", "a-1.jpg-1"]),
        (["A.jpg", "a.png"], ["A.jpg", "a.png"]),
        (["x/...jpg", "x/..hidden.jpg"], ["photo", "hidden"]),
        (["x/con.jpg", "x/nul.tar.jpg"], ["con_", "nul_.tar"]),
        (["x/end. .jpg", "x/a:b.jpg", "x/t\x1b[31m.jpg", "x/\udce9.jpg"], ["end", "a_b", "t_[31m", "_"]),
    ],
)
def test_names_are_the_photos_own_where_they_can_be(photos: list[str], names: list[str]) -> None:
    assert output_names([Path(photo) for photo in photos]) == names


_FILE_NAMES = st.text(
    st.characters(exclude_characters="/\0", max_codepoint=0x2FFF) | st.sampled_from("\udc80\udcff. "), min_size=1
).filter(lambda name: name not in (".", ".."))


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "b/a"]), _FILE_NAMES), max_size=8))
def test_names_are_unique_safe_and_inside(photos: list[tuple[str, str]]) -> None:
    names = output_names([Path(folder) / name for folder, name in photos])
    assert len({name.casefold() for name in names}) == len(photos)
    for name in names:
        assert name == safe_name(name)
        assert (Path("out") / name).parent == Path("out")
        assert not name.startswith(".")
        assert printable(name) == name
        assert 0 < len(name.encode()) <= MAXIMUM_BYTES


def test_names_are_shown_without_what_steers_terminals() -> None:
    assert printable("a\x1b[2Jb\u202ec\udce9\n é 名") == "a\\x1b[2Jb\\u202ec\\udce9\\n é 名"
