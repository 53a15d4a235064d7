import numpy as np
import pytest
import torch

import clif
from clif import analysis
from clif.errors import InputError


class Given(torch.nn.Module):
    """A network whose only layer fires if its input [T, N, *] is 1."""

    def __init__(self):
        super().__init__()
        self.node = clif.IFNode(step_mode="m")

    def forward(self, x_seq):
        return self.node(x_seq)


def statistics(*batches):
    return analysis.spike_statistics(Given(), batches)["node"]


def trains(T=12, N=7, neurons=(5, 3), rate=0.4):
    return (torch.rand(T, N, *neurons) < rate).float()


def plainly(x_seq):
    """The statistics of all samples at once, by their definitions."""
    spikes = x_seq.flatten(2).double().numpy()
    intervals = [d for train in spikes.reshape(len(spikes), -1).T for d in np.diff(np.flatnonzero(train))]
    counts = spikes.sum(0)
    fires = counts.sum(0) > 0
    together = spikes.mean(2)
    return {
        "isi": np.bincount(intervals, minlength=len(spikes))[1:].tolist(),
        "mean_isi": np.mean(intervals),
        "cv_isi": np.std(intervals) / np.mean(intervals),
        "mean_count": counts.mean(),
        "fano": (counts.var(0, ddof=1)[fires] / counts.mean(0)[fires]).mean(),
        "population_fano": counts.sum(1).var(ddof=1) / counts.sum(1).mean(),
        "synchrony": together.var(0).sum() / spikes.var(0).mean(1).sum(),
    }


@pytest.mark.parametrize("rate", [0.1, 0.4, 0.9])
def test_statistics_are_those_of_the_definitions_over_any_batches(rate):
    x_seq = trains(rate=rate)
    expected = plainly(x_seq)
    for found in (statistics(x_seq), statistics(*x_seq.split([3, 1, 3], 1))):
        assert (found.neurons, found.samples) == (15, 7)
        assert found.isi.tolist() == expected.pop("isi", found.isi.tolist())
        for name, value in expected.items():
            assert getattr(found, name) == pytest.approx(value), name


def test_neurons_that_fire_together_are_in_synchrony():
    beat = (torch.rand(200, 4, 1) < 0.3).float()
    assert statistics(beat.expand(-1, -1, 50).contiguous()).synchrony == pytest.approx(1.0)
    assert statistics(trains(200, 4, (50,))).synchrony == pytest.approx(1 / 50, rel=0.3)


def test_regular_and_random_trains():
    every_third = torch.zeros(30, 4, 6)
    every_third[::3] = 1
    found = statistics(every_third)
    assert (found.mean_isi, found.cv_isi, found.fano) == (3.0, 0.0, 0.0)
    assert found.isi[2] == found.isi.sum() == 9 * 24
    bernoulli = statistics(trains(400, 60, (40,), 0.2))
    assert bernoulli.cv_isi == pytest.approx(0.8**0.5, rel=0.03)
    assert bernoulli.fano == pytest.approx(0.8, rel=0.05)


def test_silence_has_no_numbers():
    found = statistics(torch.zeros(5, 3, 4))
    assert found.isi.tolist() == [0, 0, 0, 0]
    assert found.mean_count == 0
    for name in ("mean_isi", "cv_isi", "fano", "population_fano", "synchrony"):
        assert np.isnan(getattr(found, name)), name
    assert found.to_dict()["fano"] is None


def test_all_kinds_of_networks(seen, recorded, draws):
    found = analysis.spike_statistics(seen.net, [seen.x], forward=seen.forward)
    spikes = recorded(seen)
    assert [row["layer"] for row in found.table()] == list(spikes)
    for name, fired in spikes.items():
        assert found[name].isi.tolist() == plainly(fired)["isi"]
    assert len(draws(found.plot).lines) == len(spikes)
    draws(found[name].plot)


def test_memory_does_not_grow_and_sizes_must_stay():
    x_seq = trains()
    once, often = (statistics(*[x_seq] * n) for n in (1, 40))
    assert [v.shape for v in vars(once).values() if isinstance(v, torch.Tensor)] == [(11,)]
    assert often.isi.tolist() == (40 * once.isi).tolist()
    with pytest.raises(InputError, match="had 15 neurons and now 6"):
        statistics(x_seq, trains(neurons=(6,)))
