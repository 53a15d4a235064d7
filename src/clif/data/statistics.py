"""Mean and standard deviation of each channel of stored images, which normalise them."""

import numpy as np
from numpy.typing import NDArray

PIXELS = 1 << 20
LEAST = 1 / 255
"""The minimum of a standard deviation, so that a constant channel is not divided by 0."""

Statistics = tuple[tuple[float, ...], tuple[float, ...]]


def channel_statistics(images: NDArray[np.uint8]) -> Statistics:
    """Mean and standard deviation on the scale 0–1 of each channel of uint8 images [n, C, H, W], read in pieces."""
    n, channels, height, width = images.shape
    counts = np.zeros((channels, 256), dtype=np.int64)
    rows = max(1, PIXELS // (height * width))
    for start in range(0, n, rows):
        for channel in range(channels):
            counts[channel] += np.bincount(images[start : start + rows, channel].ravel(), minlength=256)
    values = np.arange(256) / 255
    mean = counts @ values / counts.sum(1)
    variance = (counts * (values - mean[:, None]) ** 2).sum(1) / counts.sum(1)
    return tuple(mean.tolist()), tuple(np.maximum(np.sqrt(variance), LEAST).tolist())
