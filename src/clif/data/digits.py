"""scikit-learn's digits: 1,797 real handwritten digits (8×8, 17 grey levels) that come inside the package.

From the test set of the UCI "Optical Recognition of Handwritten Digits" (Alpaydin & Kaynak, 1998).
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from clif.data.augment import Augmentation, Crop
from clif.data.base import Arrays, Dataset

SIZE = 32


def read_digits(_root: Path, train: bool) -> Arrays:
    """1,437 training or 360 test digits (a fixed split, stratified by class), 3 equal channels, resized to 32×32."""
    digits = load_digits()
    parts = train_test_split(np.arange(len(digits.target)), test_size=0.2, stratify=digits.target, random_state=0)
    index = np.sort(parts[0] if train else parts[1])
    grey = torch.from_numpy(digits.images[index]).unsqueeze(1) * (255 / 16)
    large = F.interpolate(grey, size=(SIZE, SIZE), mode="bilinear", align_corners=False)
    images = large.round().to(torch.uint8).expand(-1, 3, -1, -1).numpy()
    return Arrays(np.ascontiguousarray(images), digits.target[index].astype(np.int64))


DIGITS = Dataset(
    name="digits",
    read=read_digits,
    classes=tuple("0123456789"),
    in_channels=3,
    image_size=SIZE,
    mean=(0.3054,) * 3,
    std=(0.3237,) * 3,
    augmentation=Augmentation(stored=(Crop(4),)),
    published=(1_437, 360),
    needs_root=False,
)
