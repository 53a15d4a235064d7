"""Counter-based random numbers that depend on the sample, not on the process or the order; the same on every device.

A key is one int64 per sample, computed from the run's seed, the epoch and the sample's number. Numbers drawn with it do
not depend on the batch, the process or the order of the samples.
"""

import math

import numpy as np
import torch
from torch import Tensor

_GOLDEN = -0x61C8864680B583EB  # 2⁶⁴ / φ, as a signed number
_FIRST = -0x40A7B892E31B1A47
_SECOND = -0x6B2FB644ECCEEE15
_WORDS_AT_ONCE = 1 << 15


def epoch_seed(seed: int, epoch: int) -> int:
    """One 63-bit seed from the run's seed and the epoch, independent from epoch to epoch."""
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0] >> 1)


def sample_keys(seed: int, epoch: int, index: Tensor) -> Tensor:
    """The keys int64 [N] of the samples `index` [N] in an epoch."""
    return scramble(index * _GOLDEN + epoch_seed(seed, epoch))


def derive_keys(keys: Tensor, number: int) -> Tensor:
    """Keys [N] for the use `number` of the same samples, independent of those for another."""
    offset = ((number + 1) * _FIRST + 2**63) % 2**64 - 2**63
    return scramble(keys + offset)


def scramble(x: Tensor) -> Tensor:
    """The finaliser of SplitMix64 (Steele et al., 2014) on int64, which wraps around; `x` is overwritten."""
    x ^= (x >> 30) & ((1 << 34) - 1)
    x *= _FIRST
    x ^= (x >> 27) & ((1 << 37) - 1)
    x *= _SECOND
    x ^= (x >> 31) & ((1 << 33) - 1)
    return x


def keyed_mask(keys: Tensor, shape: torch.Size, p: float) -> Tensor:
    """Which elements of samples [N, *] to drop with probability `p`: bool of `shape`, from each sample's key [N]."""
    size = math.prod(shape[1:])
    counter = torch.arange(-(-size // 2), device=keys.device) * _GOLDEN
    limit = min(round(p * 2**32), 2**32 - 1) - 2**31
    group = max(1, _WORDS_AT_ONCE // max(len(counter), 1)) if keys.device.type == "cpu" else max(len(keys), 1)
    drop = [
        scramble(part[:, None] + counter).view(torch.int32).flatten(1)[:, :size] < limit for part in keys.split(group)
    ]
    return torch.cat(drop).view(shape)
