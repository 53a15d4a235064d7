"""The pictures of the demo, and their numbers."""

import torch

from clif.analysis import Trace
from clif.report.figures import raster, raster_csv, traces, traces_csv

SPIKES = {"layer1": torch.tensor([[True, False], [True, True]]), "layer2": torch.tensor([[False], [True]])}
TRACES = {
    "CLIF": Trace(torch.tensor([True, False]), torch.tensor([0.25, 0.5]), torch.tensor([1.0, 0.75])),
    "KLIF": Trace(torch.tensor([False, False]), torch.tensor([0.0, 0.5]), None),
}


def test_the_raster_has_the_image_and_a_panel_a_layer():
    picture, *panels = raster(torch.zeros(4, 4), "a digit", SPIKES).axes
    assert picture.get_title(loc="left") == "a digit"
    assert [len(panel.collections[0].get_offsets()) for panel in panels] == [3, 1]


def test_the_numbers_of_the_raster_are_its_spikes():
    lines = raster_csv(SPIKES).splitlines()
    assert lines == ["layer,step,neuron", "layer1,1,0", "layer1,2,0", "layer1,2,1", "layer2,2,0"]


def test_the_traces_have_a_panel_a_neuron_and_m_where_there_is_one():
    first, second = traces(TRACES, trained_steps=1).axes
    assert [line.get_label() for line in first.lines] == ["v after the step", "m"]
    assert [line.get_label() for line in second.lines] == ["v after the step"]


def test_the_numbers_of_the_traces_are_what_they_draw():
    lines = traces_csv(TRACES).splitlines()
    assert lines == [
        "neuron,step,v,m,spike",
        "CLIF,1,0.25,1,1",
        "CLIF,2,0.5,0.75,0",
        "KLIF,1,0,,0",
        "KLIF,2,0.5,,0",
    ]
