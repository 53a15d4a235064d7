"""The pictures of a page."""

import pytest

from clif.report.figures import firing_rate_bars, learning_curves

HISTORY = [{"epoch": epoch, "test_loss": 1.0 / (epoch + 1), "test_top1": 0.5} for epoch in range(3)]


@pytest.mark.parametrize("neuron", ["CLIF", "KLIF", "MyOwn"])
def test_any_neuron_has_a_colour_in_all_pictures(neuron):
    curves = learning_curves({neuron: HISTORY})
    bars = firing_rate_bars({neuron: {"layer1": 0.1, "layer2": 0.2}})
    assert curves.axes[0].lines[0].get_label() == neuron
    assert len(bars.axes[0].patches) == 2
    assert learning_curves({neuron: HISTORY}).axes[0].lines[0].get_color() == curves.axes[0].lines[0].get_color()
