# SPDX-License-Identifier: Apache-2.0
"""The official StyleGAN2 weights as ours: ``python -m lineament.models.stylegan2.convert IN OUT``.

IN is the state dict of ``G_ema`` of NVIDIA's stylegan2-ada-pytorch, which the user has written as safetensors there
(the README beside this file says how). The names and scalings of its tensors are facts of that format: ``conv0`` is the
enlarging convolution of a block, ``affine`` its style, and layers of the mapping network are stored divided by their
learning rate, as ours are.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from torch import Tensor

from lineament.errors import LineamentError, UsageError, WeightsError
from lineament.models.stylegan2.model import StyleGAN2, StyleGAN2Config
from lineament.networks.stylegan2 import stage_sides
from lineament.networks.torchvision import read_checkpoint_tensors
from lineament.networks.weight_files import save_weights

_SYNTHESIS = "synthesis.b{side}."


def converted(tensors: Mapping[str, Tensor]) -> StyleGAN2:
    """Our network with the official one's weights.

    Args:
        tensors: The official state dict.

    Raises:
        WeightsError: Tensors that are missing or of other shapes.
    """
    own = StyleGAN2(_config_of(tensors))
    state = own.state_dict()
    for name, official in _names(own.config):
        if official not in tensors:
            raise WeightsError(f"the official StyleGAN2 has a tensor {official}, but this file has none")
        value, wanted = tensors[official], state[name].shape
        if value.numel() != wanted.numel():
            raise WeightsError(f"{official} is {tuple(value.shape)}, not {tuple(wanted)}: a StyleGAN2 of another kind")
        state[name] = value.float().reshape(wanted)
    own.load_state_dict(state)
    return own


def _config_of(tensors: Mapping[str, Tensor]) -> StyleGAN2Config:
    """The size that the tensors have."""
    sides = sorted(
        int(found[1]) for name in tensors if (found := re.fullmatch(r"synthesis\.b(\d+)\.torgb\.weight", name))
    )
    layers = sum(bool(re.fullmatch(r"mapping\.fc\d+\.weight", name)) for name in tensors)
    first = tensors.get("mapping.fc0.weight")
    colours = [tensors[_SYNTHESIS.format(side=side) + "torgb.weight"] for side in sides]
    if not colours or first is None or first.dim() != 2 or any(weight.dim() != 4 for weight in colours):
        raise WeightsError(
            "this is no state dict of stylegan2-ada-pytorch's generator "
            "(it has mapping.fc0.weight [W, W] and synthesis.b4.torgb.weight [3, C, 1, 1], among others)"
        )
    channels = [weight.shape[1] for weight in colours]
    thin = [side * count for side, count in zip(sides, channels, strict=True) if count < max(channels)]
    config = StyleGAN2Config(
        sides[-1],
        len(first),
        layers,
        thin[-1] if thin else max(channels) * sides[-1],
        max(channels),
    )
    if sides != stage_sides(config.size) or list(config.channels) != channels:
        raise WeightsError(f"a StyleGAN2 with {channels} channels is none that this version knows")
    return config


def _names(config: StyleGAN2Config) -> Iterator[tuple[str, str]]:
    """Our names and the official ones of all tensors."""
    for layer in range(config.mapping_layers):
        for kind in ("weight", "bias"):
            yield f"generator.mapping.layers.{layer}.{kind}", f"mapping.fc{layer}.{kind}"
    yield "generator.synthesis.constant", "synthesis.b4.const"
    pairs = {
        "style.weight": "affine.weight",
        "style.bias": "affine.bias",
        "weight": "weight",
        "bias": "bias",
        "noise_strength": "noise_strength",
    }
    for number, side in enumerate(stage_sides(config.size)):
        own, official = f"generator.synthesis.stages.{number}.", _SYNTHESIS.format(side=side)
        convolutions = ("conv1",) if side == 4 else ("conv0", "conv1")
        for place, name in enumerate(convolutions):
            for mine, theirs in pairs.items():
                yield f"{own}convolutions.{place}.{mine}", f"{official}{name}.{theirs}"
        for mine, theirs in list(pairs.items())[:4]:
            yield f"{own}colours.{mine}", f"{official}torgb.{theirs}"


def main(arguments: Sequence[str]) -> int:
    """Convert a file; errors are one line."""
    try:
        if len(arguments) != 2 or not arguments[1].endswith(".safetensors"):
            raise UsageError("say which file to convert and where to: IN OUT.safetensors")
        source, target = map(Path, arguments)
        if target.exists():
            raise UsageError(f"{target} is there already: name another file")
        save_weights(
            converted(read_checkpoint_tensors(source, "StyleGAN2 checkpoint")),
            target,
            {"license": "see the weights' own licence"},
        )
    except LineamentError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
