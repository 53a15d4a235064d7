"""Energy of an inference: `estimate` measures firing rates and counts; `published` counts as the CLIF paper did.

Both are models of an idealised 45 nm chip (Horowitz, 2014; Lemaire et al., 2022). They compare networks; they say
nothing about a given device.
"""

from clif.energy.count import Energy, LayerCount, estimate
from clif.energy.published import PublishedCount, published

__all__ = ["Energy", "LayerCount", "PublishedCount", "estimate", "published"]
