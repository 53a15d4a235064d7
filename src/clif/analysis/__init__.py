"""Looking inside a network: firing rates, spike rasters, traces of single neurons."""

from clif.analysis.activity import Trace, count_spikes, firing_rates, spike_raster, spiking_layers, trace

__all__ = ["Trace", "count_spikes", "firing_rates", "spike_raster", "spiking_layers", "trace"]
