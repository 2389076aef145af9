# SPDX-License-Identifier: Apache-2.0
"""The reader of Extended Yale B and its photometric-stereo ground truth, on rendered ellipsoids."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from lineament.datasets import Light, Sample, YaleB
from lineament.datasets.yaleb import ground_truth, read_subject
from lineament.errors import InputError
from lineament.geometry import angular_error

from .yaleb_files import HEIGHT, LIGHTS, WIDTH, photo_name, truth, write_pgm, write_subject


def test_light_of_a_name():
    light = Light.from_name("yaleB07_P00A-035E+40.pgm")
    assert light == Light(-35, 40)
    assert str(light) == "A-035E+40"
    # A negative azimuth is on the picture's right, a positive elevation is up.
    x, y, z = light.direction
    assert min(x, y, z) > 0
    assert np.hypot(np.hypot(x, y), z) == pytest.approx(1)
    np.testing.assert_allclose(Light(90, 0).direction, [-1, 0, 0], atol=1e-12)
    for other in ("yaleB07_P01A-035E+40.pgm", "yaleB07_P00A-035E+40.pgm.bad", "yaleB07_P00_Ambient.pgm", "x"):
        assert Light.from_name(other) is None


@pytest.mark.parametrize("ambient", [0, 30])
def test_ground_truth_of_an_ellipsoid(tmp_path, ambient):
    subject = read_subject(write_subject(tmp_path, "yaleB01", ambient))
    assert subject.photos.shape == (len(LIGHTS), HEIGHT, WIDTH)
    assert set(subject.lights) == set(LIGHTS)
    assert subject.skipped == ()
    answer = ground_truth(subject)
    normals, outline = truth()
    assert answer.mask.mean() > 0.5
    assert angular_error(answer.normals, normals)[answer.mask].max() < 1.0
    assert not (answer.mask & ~outline).any()
    np.testing.assert_allclose(answer.albedo[answer.mask], 180, rtol=0.03)


def test_ambient_of_another_size_is_not_subtracted(tmp_path):
    folder = write_subject(tmp_path, "yaleB01", ambient=30)
    write_pgm(folder / "yaleB01_P00_Ambient.pgm", np.full((48, 64), 30))
    corrupted = read_subject(folder)
    assert corrupted.ambient is None
    assert corrupted.skipped == ()
    (folder / "yaleB01_P00_Ambient.pgm").unlink()
    assert read_subject(folder).ambient is None
    answer = ground_truth(corrupted)
    assert angular_error(answer.normals, truth()[0])[answer.mask].mean() > 1.5


def test_broken_files_are_named_and_left_out(tmp_path, caplog):
    folder = write_subject(tmp_path, "yaleB01")
    names = [f"{photo_name('yaleB01', light)}.pgm" for light in LIGHTS[:4]]
    (folder / names[0]).write_bytes(b"P5\n32 36\n255\nshort")
    (folder / names[1]).write_bytes(b"")
    (folder / names[2]).write_bytes(b"not a picture at all")
    write_pgm(folder / names[3], np.zeros((10, 12)))
    (folder / "yaleB01_P00A+005E+10.pgm.bad").write_bytes(b"bad")
    with caplog.at_level(logging.WARNING):
        subject = read_subject(folder)
    assert len(subject.photos) == len(LIGHTS) - 4
    assert sorted(line.split(":")[0] for line in subject.skipped) == sorted(names)
    for name in names:
        assert name in caplog.text
    answer = ground_truth(subject)
    assert angular_error(answer.normals, truth()[0])[answer.mask].max() < 1.0


def test_samples_and_cache(tmp_path, monkeypatch):
    write_subject(tmp_path, "yaleB01")
    write_subject(tmp_path, "yaleB02", depth=8.0)
    (tmp_path / "yaleB03").mkdir()
    (tmp_path / "notes").mkdir()
    data = YaleB(tmp_path)
    assert data.subjects == ("yaleB01", "yaleB02", "yaleB03")
    samples = list(data)  # the empty third folder is left out
    assert len(samples) == 2 * len(LIGHTS)
    front = next(iter(data.samples("yaleB02", lambda light: light == Light(0, 0))))
    assert isinstance(front, Sample)
    assert front.image.shape == (HEIGHT, WIDTH, 3)
    assert front.image.dtype == np.uint8
    assert front.name == "yaleB02_P00A+000E+00"
    assert front.meta == {"light": "A+000E+00", "azimuth": 0.0, "elevation": 0.0}
    assert angular_error(front.normals, truth(8.0)[0])[front.mask].max() < 1.0
    monkeypatch.setattr("lineament.datasets.yaleb.read_subject", None)  # a second reading would fail
    assert data.subject("yaleB01") is data.subject("yaleB01")
    assert YaleB(tmp_path, ["yaleB02"]).subjects == ("yaleB02",)


def test_what_cannot_be_used_is_refused(tmp_path):
    with pytest.raises(InputError, match="no folder"):
        YaleB(tmp_path / "missing")
    with pytest.raises(InputError, match="named like yaleB01"):
        YaleB(tmp_path)
    with pytest.raises(InputError, match="no folder"):
        read_subject(tmp_path / "yaleB01")
    folder = write_subject(tmp_path, "yaleB01")
    with pytest.raises(InputError, match="yaleB09"):
        YaleB(tmp_path, ["yaleB09"])
    for light in LIGHTS[:-2]:
        (folder / f"{photo_name('yaleB01', light)}.pgm").unlink()
    with pytest.raises(InputError, match="2 photos"):
        read_subject(folder)


def test_lights_from_behind_alone_do_not_make_ground_truth(tmp_path):
    folder = tmp_path / "yaleB01"
    folder.mkdir()
    for azimuth in range(100, 131, 5):
        write_pgm(folder / f"yaleB01_P00A+{azimuth}E+00.pgm", np.full((HEIGHT, WIDTH), 90))
    with pytest.raises(InputError, match="0 lights from the front"):
        ground_truth(read_subject(folder))


def test_a_sample_holds_what_belongs_together():
    with pytest.raises(InputError, match="the image is"):
        Sample(
            image=np.zeros((4, 4, 3), np.uint8),
            normals=np.zeros((4, 5, 3), np.float32),
            mask=np.zeros((4, 4), bool),
            name="a",
            subject="b",
        )
