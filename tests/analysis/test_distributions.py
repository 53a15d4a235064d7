import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

import clif
from clif import analysis
from clif.analysis.distributions import RunningHistogram
from clif.errors import InputError

VALUES = st.floats(-1e6, 1e6, width=32) | st.sampled_from([0.0, 1.0, -1.0, 1e-30, 2.0**-24])


@given(st.lists(npst.arrays(np.float32, st.integers(0, 40), elements=VALUES), max_size=6))
def test_counts_are_numpys_whatever_the_order_of_the_values(batches):
    running = RunningHistogram(16)
    for batch in batches:
        running.add(torch.from_numpy(batch))
    found, values = running.result(), np.concatenate([*batches, np.zeros(0)]).astype(np.float64)
    assert len(found.counts) == 16
    assert found.counts.sum() == len(values)
    if len(values):
        edges = np.append(found.edges[:-1].numpy(), np.inf)
        assert found.counts.tolist() == np.histogram(values, edges)[0].tolist()
        assert values.max() < found.edges[-1]
        assert found.mean == pytest.approx(values.mean(), rel=1e-9, abs=1e-9 * abs(values).max())
        assert found.std == pytest.approx(values.std(), rel=1e-6, abs=1e-6 * abs(values).max())
        assert (found.lowest, found.highest) == (values.min(), values.max())


def test_bins_are_no_wider_than_needed():
    running = RunningHistogram(64)
    for scale in (0.01, 3.0):
        running.add(torch.linspace(-scale, scale, 1000))
    found = running.result()
    assert found.counts.nonzero().numel() > 16
    assert found.edges.diff().unique().numel() == 1


def test_what_is_not_finite_is_told():
    running = RunningHistogram()
    running.add(torch.tensor([1.0, torch.nan, torch.inf, -torch.inf]))
    running.add(torch.tensor([torch.nan]))
    found = running.result()
    assert (found.nonfinite, found.counts.sum().item(), found.mean) == (4, 1, 1.0)
    with pytest.raises(InputError, match="at least 2 bins"):
        RunningHistogram(1)


def test_histograms_hold_every_state_of_every_step(seen):
    found = analysis.histograms(seen.net, [seen.x, seen.x], forward=seen.forward)
    name, node = next(iter(analysis.spiking_layers(seen.net).items()))
    assert set(found[name]) == {"v", "m"}
    rates = analysis.firing_rates(seen.net, [seen.x], [name], seen.forward)
    assert found[name]["v"].counts.sum() % 4 == 0
    assert 0 <= found[name]["m"].lowest <= found[name]["m"].mean <= found[name]["m"].highest <= len(rates.by_step[name])
    assert node.step_mode in ("s", "m")


def test_a_histogram_of_states_is_that_of_the_states():
    net, x_seq = torch.nn.Sequential(clif.CLIFNode(step_mode="s")), torch.rand(5, 4, 3) * 3
    steps = []
    for x in x_seq:
        net(x)
        steps.append(net[0].m)
    clif.reset_net(net)
    found = analysis.histograms(net, [x_seq], "m", forward=lambda net, x: [net(step) for step in x])["0"]
    assert set(found) == {"m"}
    values = torch.stack(steps).double()
    assert found["m"].mean == pytest.approx(values.mean().item())
    assert found["m"].std == pytest.approx(values.std(correction=0).item())
    assert found["m"].counts.tolist() == np.histogram(values.numpy(), found["m"].edges.numpy())[0].tolist()
    with pytest.raises(InputError, match="unknown state 'w'"):
        analysis.histograms(net, [x_seq], ["w"])


def test_table_and_plots(seen, draws):
    found = analysis.histograms(seen.net, [seen.x], bins=32, forward=seen.forward)
    first = found.table()[0]
    assert first["std"] == found[first["layer"]][first["state"]].std
    assert draws(found.plot).get_title(loc="left") == "v after each step"
    draws(found.plot, state="m")
    draws(found[first["layer"]]["v"].plot)
    with pytest.raises(InputError, match="unknown state"):
        found.plot(state="q")


def test_without_v_the_first_state_is_drawn(draws):
    net, x_seq = torch.nn.Sequential(clif.CLIFNode(step_mode="m")), torch.rand(5, 4, 3) * 3
    found = analysis.histograms(net, [x_seq], ["m"])
    assert draws(found.plot).get_title(loc="left") == "m after each step"
