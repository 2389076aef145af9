# SPDX-License-Identifier: Apache-2.0
"""`lineament video`: reading clips, writing results, refusing what is none."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from lineament.cli import main
from lineament.errors import InputError, NotAnImageError, UsageError
from lineament.images.encoding import decode_normals
from lineament.images.video import Mp4Writer, open_clip
from lineament.pipeline.video import saving

pytest.importorskip("av")


def frames(count: int) -> list[NDArray[np.uint8]]:
    """The astronaut, who moves to the side."""
    photo = data.astronaut()
    return [np.ascontiguousarray(photo[:256, 60 + 3 * n : 380 + 3 * n]) for n in range(count)]


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, frame in enumerate(frames(4)):
        Image.fromarray(frame).save(folder / f"{number:03d}.png")
    return folder


@pytest.fixture
def mp4(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    writer = Mp4Writer(path, 25.0)
    for frame in frames(5):
        writer.write(frame)
    writer.close()
    return path


def test_what_is_written_is_read_back(mp4: Path) -> None:
    video = cv2.VideoCapture(str(mp4))
    assert video.get(cv2.CAP_PROP_FPS) == 25.0
    assert (video.get(cv2.CAP_PROP_FRAME_WIDTH), video.get(cv2.CAP_PROP_FRAME_HEIGHT)) == (320, 256)
    with open_clip([str(mp4)]) as clip:
        assert (clip.rate, clip.count) == (25.0, 5)
        read = list(clip.frames)
    assert len(read) == 5
    for seen, frame in zip(read, frames(5), strict=True):
        assert np.abs(seen.astype(float) - frame).mean() < 4.0  # in the right order of channels


def test_a_video_becomes_a_folder(
    mp4: Path, tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ["video", str(mp4), "-o", str(out), "--method", str(tiny_weights), "--outputs", "mp4,normals"]
    assert main(words) == 0
    assert "5 frames with 1 person" in capsys.readouterr().err
    said = json.loads((out / "faces.json").read_text())
    assert (said["rate"], said["width"], said["height"], said["people"]) == (25.0, 320, 256, 1)
    assert [line["time"] for line in said["frames"]] == [0.0, 0.04, 0.08, 0.12, 0.16]
    for line in said["frames"]:
        (face,) = line["faces"]
        assert len(face["landmarks"]) == 68
        assert set(face["pose"]) == {"yaw", "pitch", "roll"}
        colours = np.asarray(Image.open(out / line["normals"]))
        normals = decode_normals(colours)
        inside = (normals != 0).any(-1)
        x, y, w, h = (round(value) for value in face["box"])
        assert inside[y : y + h, x : x + w].mean() > 0.3
        assert np.allclose(np.linalg.norm(normals[inside], axis=-1), 1.0, atol=1e-5)
    video = cv2.VideoCapture(str(out / "video.mp4"))
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) == 5
    assert video.get(cv2.CAP_PROP_FRAME_WIDTH) == 640
    assert main(words[:-2]) == 0  # an earlier result is replaced
    assert not (out / "normals").exists()


def test_pictures_are_a_clip(pictures: Path, tiny_weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ["video", str(pictures), "-o", str(out), "--method", str(tiny_weights), "--outputs", "normals"]
    assert main([*words, "--rate", "10", "--seconds", "0.3"]) == 0
    said = json.loads((out / "faces.json").read_text())
    assert [line["time"] for line in said["frames"]] == [0.0, 0.1, 0.2]
    assert sorted(path.name for path in out.iterdir()) == ["faces.json", "normals", "result.json"]


def test_an_animation_is_a_clip(tmp_path: Path) -> None:
    path = tmp_path / "clip.gif"
    first, *rest = [Image.fromarray(frame) for frame in frames(3)]
    first.save(path, save_all=True, append_images=rest, duration=100)
    with open_clip([str(path)]) as clip:
        assert clip.rate == pytest.approx(10.0)
        read = list(clip.frames)
    assert len(read) == 3
    assert np.abs(read[2].astype(float) - frames(3)[2]).mean() < 12.0  # of 256 colours


def test_ctrl_c_leaves_the_frames_before(
    pictures: Path, tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = saving.VideoEstimator.step

    def interrupted(video: saving.VideoEstimator, image: NDArray[np.uint8]) -> saving.Frame:
        frame = step(video, image)
        if frame.number == 2:
            raise KeyboardInterrupt
        return frame

    monkeypatch.setattr(saving.VideoEstimator, "step", interrupted)
    out = tmp_path / "out"
    assert main(["video", str(pictures), "-o", str(out), "--method", str(tiny_weights)]) == 0
    assert len(json.loads((out / "faces.json").read_text())["frames"]) == 2
    assert cv2.VideoCapture(str(out / "video.mp4")).get(cv2.CAP_PROP_FRAME_COUNT) == 2


def test_what_is_no_clip_is_said_in_one_line(
    tmp_path: Path, pictures: Path, tiny_weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, empty = tmp_path / "text.mp4", tmp_path / "empty.mp4"
    text.write_text("no video\n" * 100)
    empty.touch()
    Image.fromarray(frames(1)[0][:100]).save(pictures / "zzz.png")
    out = tmp_path / "out"
    for words, code, line in (
        ([str(text)], NotAnImageError.exit_code, "neither a picture nor a video"),
        ([str(empty)], NotAnImageError.exit_code, "neither a picture nor a video"),
        ([str(tmp_path / "missing.mp4")], InputError.exit_code, "missing.mp4"),
        (["93"], InputError.exit_code, "camera 93 cannot be opened"),
        ([str(pictures)], InputError.exit_code, "but the frames before it have"),
        ([str(text), "--rate", "5"], UsageError.exit_code, "a rate is for pictures and cameras"),
    ):
        assert main(["video", *words, "-o", str(out), "--method", str(tiny_weights)]) == code, words
        said = capsys.readouterr().err
        assert line in said
        assert len(said.strip().splitlines()) == 1, said
        assert not out.exists()


def test_a_playlist_opens_no_other_file(tmp_path: Path, mp4: Path) -> None:
    playlist = tmp_path / "list.mp4"
    playlist.write_text(f"ffconcat version 1.0\nfile '{mp4}'\n")
    with pytest.raises(NotAnImageError), open_clip([str(playlist)]) as clip:
        list(clip.frames)


def test_mp4_needs_its_extra(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    assert main(["video", str(pictures), "-o", str(tmp_path / "out")]) == UsageError.exit_code
    assert "lineament[video]" in capsys.readouterr().err
