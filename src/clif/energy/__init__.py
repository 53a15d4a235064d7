"""Energy of an inference: `estimate` measures firing rates and counts; `published` counts as the CLIF paper did.

Both are models of an idealised chip with the constants of `Costs` (Horowitz, 2014; Lemaire et al., 2022). Use them to
compare networks, not to predict the energy of a given device.
"""

from clif.energy.accesses import AS_PUBLISHED, CORRECTED, Oddities
from clif.energy.compare import Comparison, compare
from clif.energy.costs import COSTS, PAPER, Costs, find_costs
from clif.energy.count import Energy, LayerCount, estimate
from clif.energy.operations import operations_of
from clif.energy.published import PublishedCount, published

__all__ = [
    "AS_PUBLISHED",
    "CORRECTED",
    "COSTS",
    "PAPER",
    "Comparison",
    "Costs",
    "Energy",
    "LayerCount",
    "Oddities",
    "PublishedCount",
    "compare",
    "estimate",
    "find_costs",
    "operations_of",
    "published",
]
