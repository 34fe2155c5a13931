"""Whether the weights of a model have changed: a cheap check, and an exact one.

:class:`crmnet.prediction.predictor.Predictor` compares stamps in each call, and states if the
stamps differ. Then it makes its inference form again.
"""

from __future__ import annotations

import itertools
import zlib
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn


class Stamp(NamedTuple):
    """What :func:`stamp_of` reads of a model; cheap to compute."""

    tensors: list[tuple[int, int]]
    """Address and version counter of each tensor."""
    contents: int
    """Checksum of the values."""


LARGEST_CHECKED = 1024
"""Largest number of values of a tensor that the checksum of a stamp reads one by one."""


@torch.inference_mode()
def stamp_of(model: nn.Module) -> Stamp:
    """A stamp that differs if a tensor was changed or replaced; faster than :func:`state_of`.

    Addresses and version counters show every change except one through ``.data`` that stays in
    place. Therefore the values are read as well: small tensors completely, and of a large one the
    product with random numbers.
    """
    modules = list(model.modules())
    tensors = [
        tensor
        for module in modules
        for tensor in itertools.chain(module._parameters.values(), module._buffers.values())
        if tensor is not None
    ]
    flat = [tensor.detach().reshape(-1).float() for tensor in tensors]
    read = [values for values in flat if len(values) <= LARGEST_CHECKED]
    large = [values for values in flat if len(values) > LARGEST_CHECKED]
    if large:
        factors = _factors(max(map(len, large)), large[0].device)
        read.append(torch.stack([torch.dot(values, factors[: len(values)]) for values in large]))
    contents = torch.cat(read).cpu().numpy() if read else np.zeros(0, np.float32)
    versions = [0 if tensor.is_inference() else tensor._version for tensor in tensors]
    places = [(tensor.data_ptr(), n) for tensor, n in zip(tensors, versions, strict=True)]
    return Stamp(places, zlib.crc32(contents.tobytes()))


@lru_cache(maxsize=4)
def _factors(size: int, device: torch.device) -> Tensor:
    """Random numbers, the same in every call."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(size, generator=generator).to(device)


def state_of(model: nn.Module) -> list[int]:
    """A checksum of each tensor of a model."""
    return [
        zlib.crc32(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
        for tensor in model.state_dict().values()
    ]
