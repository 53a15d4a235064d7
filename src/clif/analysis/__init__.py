"""Measurements inside a network: rates, rasters, states, spike trains, similarity, and the gradient through time.

Every result has its numbers as attributes, and the methods `table()` (rows of plain values), `to_dict()` (for JSON) and
`plot(ax=None)`, which returns the matplotlib Axes. Functions over a data set keep only running sums.
"""

from clif.analysis.activity import count_spikes, spiking_layers
from clif.analysis.comparison import Similarity, similarity
from clif.analysis.distributions import Histogram, Histograms, histograms
from clif.analysis.gradient_terms import closed_form_terms, gradient_terms
from clif.analysis.gradients import (
    LayerGradient,
    TemporalGradient,
    TemporalGradients,
    temporal_gradient,
    temporal_gradients,
)
from clif.analysis.rasters import Raster, raster, spike_raster
from clif.analysis.rates import ChannelActivity, FiringRates, channel_activity, firing_rates
from clif.analysis.results import Result
from clif.analysis.spike_trains import LayerSpikes, SpikeStatistics, spike_statistics
from clif.analysis.states import LayerTraces, Trace, Traces, trace, traces

__all__ = [
    "ChannelActivity",
    "FiringRates",
    "Histogram",
    "Histograms",
    "LayerGradient",
    "LayerSpikes",
    "LayerTraces",
    "Raster",
    "Result",
    "Similarity",
    "SpikeStatistics",
    "TemporalGradient",
    "TemporalGradients",
    "Trace",
    "Traces",
    "channel_activity",
    "closed_form_terms",
    "count_spikes",
    "firing_rates",
    "gradient_terms",
    "histograms",
    "raster",
    "similarity",
    "spike_raster",
    "spike_statistics",
    "spiking_layers",
    "temporal_gradient",
    "temporal_gradients",
    "trace",
    "traces",
]
