# SPDX-License-Identifier: Apache-2.0
"""Python objects that somebody may take for a photo, and options beside them."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

import lineament

Random = np.random.Generator

_TYPES = ("u1", "u2", "i4", "i8", "f2", "f4", "f8", "c8", "?", "S3", "U2", "O", "M8[s]", ">f4", ">u2")
_SHAPES = (
    *((48, 48, 3), (48, 48), (48, 48, 4), (48, 48, 1), (48, 48, 2), (3, 48, 48), (1, 48, 48, 3), (2, 48, 48, 3)),
    *((), (0,), (48,), (0, 48, 3), (48, 0, 3), (1, 1, 3), (15, 300, 3), (16, 16, 3), (400, 16, 3), (48, 48, 3, 1, 1)),
)


def draw_photo(rng: Random) -> Any:
    """Something given as a photo."""
    makers = (_array, _array, _array, _view, _other, _picture, _tensor, _several)
    return makers[rng.integers(len(makers))](rng)


def draw_options(rng: Random) -> dict[str, Any]:
    """Faces, stages and an exemplar to go with it."""
    nan = float("nan")
    faces: tuple[Any, ...] = (
        *("whole", "whole", "whole", "whole", None, "all", "", (), [], [()], [(1, 2, 3)], [(1, 2, 3, 4, 5)]),
        *([(10, 10, 30, 30)], [(0, 0, 0, 0)], [(nan, 0, 20, 20)], [(0, 0, float("inf"), 20)], [(0, 0, 1e30, 1e30)]),
        *([(-1000, -1000, 3000, 3000)], [(47.9, 47.9, 20, 20)], [(10, 10, 30, 30)] * 5, [("a", "b", "c", "d")]),
        *([None], [(2**70, 0, 20, 20)], np.array([[10, 10, 30, 30]]), np.zeros((0, 4)), [(10, 10, -30, 30)]),
    )
    stages = (None, None, None, 0, 1, 5, -1, 2**40)
    options = {
        "faces": faces[rng.integers(len(faces))],
        "options": lineament.Options(stages[rng.integers(len(stages))], second_view=False, fine_crop=False),
    }
    if rng.random() < 0.1:
        options["exemplar"] = rng.random((48, 48, 3)).astype(np.float32)
    return options


def _array(rng: Random) -> Any:
    kind = np.dtype(_TYPES[rng.integers(len(_TYPES) if rng.random() < 0.5 else 7)])
    shape = _SHAPES[rng.integers(len(_SHAPES) if rng.random() < 0.4 else 8)]
    scale = float(rng.choice([1.0, 1.0, 1.0000002, 255.0, 65535.0, -1.0, 1e30, 1e300]))
    with np.errstate(all="ignore"):
        values = rng.random(shape) * scale
        if kind.kind in "iu":
            values = values * (1 if scale > 1 else 255)
        array = np.asarray(values).astype(kind)
    if kind.kind == "f" and array.size and rng.random() < 0.3:
        array.reshape(-1)[rng.integers(array.size)] = rng.choice([np.nan, np.inf, -np.inf, -1e-8, 1 + 1e-7])
    return array


def _view(rng: Random) -> Any:
    """Arrays that are not laid out as they look, or larger than the memory behind them."""
    picture = rng.integers(0, 256, (48, 48, 3), dtype=np.uint8)
    frozen = picture.copy()
    frozen.flags.writeable = False
    views: tuple[Any, ...] = (
        picture[::-1, ::-1],
        picture[..., ::-1],
        picture.transpose(1, 0, 2),
        np.asfortranarray(picture),
        frozen,
        np.broadcast_to(picture[:1, :1], (20_000, 20_000, 3)),
        np.broadcast_to(np.float32(0.5), (200_000, 200_000, 3)),
        np.broadcast_to(np.float32(0.5), (1 << 20, 4)),
        np.ma.masked_array(picture, picture > 99),
        np.rec.fromarrays([picture[..., 0], picture[..., 1]], names="a,b"),
        picture.view(np.recarray),
        np.matrix(picture[..., 0]),
        memoryview(picture),
    )
    return views[rng.integers(len(views))]


def _other(rng: Random) -> Any:
    others: tuple[Any, ...] = (
        *(None, "", "no such file.jpg", "\0", "a" * 5000, b"\xff\xd8\xff", bytearray(10), 0, 1.5, True, object(), ...),
        *(
            [],
            {},
            [[1, 2], [3]],
            [[[0, 0, 0]] * 48] * 48,
            {"image": 1},
            range(9),
            lambda: 1,
            int,
            float("nan"),
            "/",
            ".",
        ),
        *(iter([1, 2]), [None, None], "/dev/null", "\ud800.jpg"),
    )
    return others[rng.integers(len(others))]


def _picture(rng: Random) -> Any:
    mode = str(rng.choice(["1", "L", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "I", "F", "LA", "PA", "I;16"]))
    side = int(rng.choice([48, 48, 48, 0, 1, 15]))
    picture = Image.new(mode, (side, 48))
    if rng.random() < 0.2:
        picture.close()
    return picture


def _tensor(rng: Random) -> Any:
    import torch

    array = _array(rng)
    kinds = (torch.bfloat16, torch.float16, torch.float64, torch.uint8, torch.bool, torch.complex64, torch.int64)
    try:
        tensor = torch.from_numpy(np.ascontiguousarray(array))
    except (TypeError, ValueError):  # of a type that tensors cannot have
        tensor = torch.rand(3, 48, 48)
    if rng.random() < 0.5:
        tensor = tensor.to(kinds[rng.integers(len(kinds))])
    if rng.random() < 0.2 and tensor.is_floating_point():
        tensor.requires_grad_()
    if rng.random() < 0.1:
        tensor = tensor.to_sparse() if tensor.ndim and tensor.dtype is torch.float32 else tensor.to("meta")
    return tensor


def _several(rng: Random) -> Any:
    """A list of photos, of one kind or of several."""
    makers = (_array, _picture, _other)
    return [makers[rng.integers(len(makers))](rng) for _ in range(int(rng.integers(1, 3)))]
