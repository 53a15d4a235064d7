"""Looking inside a network: rates, rasters, states, spike trains, similarity, and the gradient through time.

Every result has its numbers as attributes, `table()` (rows of plain values), `to_dict()` (for JSON) and
`plot(ax=None)`, which returns the matplotlib Axes. What runs over a data set keeps running sums only.
"""

from clif.analysis.activity import count_spikes, spiking_layers
from clif.analysis.distributions import Histogram, Histograms, histograms
from clif.analysis.rasters import Raster, raster, spike_raster
from clif.analysis.rates import ChannelActivity, FiringRates, channel_activity, firing_rates
from clif.analysis.results import Result
from clif.analysis.states import LayerTraces, Trace, Traces, trace, traces

__all__ = [
    "ChannelActivity",
    "FiringRates",
    "Histogram",
    "Histograms",
    "LayerTraces",
    "Raster",
    "Result",
    "Trace",
    "Traces",
    "channel_activity",
    "count_spikes",
    "firing_rates",
    "histograms",
    "raster",
    "spike_raster",
    "spiking_layers",
    "trace",
    "traces",
]
