"""Streaming: the same numbers as the whole sequence, a state that can be saved, and constant memory."""

import gc

import numpy as np
import pytest
import torch
from torch import nn
from torch.testing import assert_close

import clif
from clif.data.events import integrate
from clif.deploy import StreamPredictor, clif_to_lif
from clif.errors import InputError
from clif.models import create_model

X = torch.randn(5, 2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("lif", [False, True])
@torch.no_grad()
def test_after_T_steps_it_predicts_what_the_network_predicts(firing_network, lif):
    net = firing_network(T=5).eval()
    net = clif_to_lif(net, -0.06) if lif else net
    stream = StreamPredictor(net)
    for x in X:
        scores = stream(x)
    assert_close(scores, net(X).mean(0))
    assert stream.steps == 5
    assert torch.equal(stream.prediction, net(X).mean(0).argmax(-1))
    assert_close(stream.logits, net(X)[-1])


def test_no_graph_is_kept_and_the_mode_comes_back(firing_network):
    net = firing_network().train()
    stream = StreamPredictor(net)
    assert not stream(X[0]).requires_grad
    assert net.training
    assert_close(stream.scores, net.eval()(X[:1])[0].detach())


def test_a_stream_is_taken_up_where_it_was_left(firing_network, tmp_path):
    net = firing_network().eval()
    first, second = StreamPredictor(net), StreamPredictor(net)
    for x in X[:3]:
        first(x)
    first.save(tmp_path / "stream.pt")
    second.restore(tmp_path / "stream.pt")
    kept = first.state_dict()
    for x in X[3:]:
        assert_close(second(x), first(x), rtol=0, atol=0)
    assert second.steps == 5
    fresh = StreamPredictor(net)
    for x in X[:4]:
        fresh(x)
    second.load_state_dict(kept)
    assert_close(second(X[3]), fresh.scores, rtol=0, atol=0)
    assert second.steps == 4


def test_reset_starts_anew(firing_network):
    net = firing_network().eval()
    stream = StreamPredictor(net)
    fresh = stream(X[0])
    stream(X[1])
    stream.reset()
    assert stream.steps == 0
    assert_close(stream(X[0]), fresh, rtol=0, atol=0)


def test_memory_weighs_the_past_exponentially(firing_network):
    net = firing_network().eval()
    stream, plain = StreamPredictor(net, memory=2.0), net.stream()
    with torch.no_grad():
        logits = torch.stack([plain(x) for x in X]).double()
    weights = torch.exp(-torch.arange(4, -1, -1) / 2.0).double()
    for x in X:
        scores = stream(x)
    assert_close(scores.double(), (weights[:, None, None] * logits).sum(0) / weights.sum(), rtol=1e-5, atol=1e-6)


def test_events_are_counted_into_a_frame():
    net = create_model("snn5_noAP", "LIF", in_channels=2, image_size=34, T=1).eval()
    rng = np.random.default_rng(0)
    events = {
        "t": np.arange(50),
        "x": rng.integers(0, 34, 50),
        "y": rng.integers(0, 34, 50),
        "p": rng.integers(0, 2, 50),
    }
    frame = torch.from_numpy(integrate(events, T=1, height=34, width=34)).float()
    assert_close(StreamPredictor(net).feed_events(events), StreamPredictor(net)(frame))
    none = {key: values[:0] for key, values in events.items()}
    assert_close(StreamPredictor(net).feed_events(none), StreamPredictor(net)(torch.zeros(1, 2, 34, 34)))


def test_mistakes_are_input_errors(firing_network, tmp_path):
    stream = StreamPredictor(firing_network().eval())
    with pytest.raises(InputError, match="has no input yet"):
        _ = stream.prediction
    with pytest.raises(InputError, match="memory must be"):
        StreamPredictor(stream.net, memory=0)
    with pytest.raises(InputError, match=r"takes samples \[3, 32, 32\]"):
        stream.feed_events({"t": np.arange(1)})
    with pytest.raises(InputError, match="no stream state at"):
        stream.restore(tmp_path / "none.pt")
    (tmp_path / "bad.pt").write_bytes(b"PK\x03\x04")
    with pytest.raises(InputError, match=r"bad\.pt"):
        stream.restore(tmp_path / "bad.pt")
    with pytest.raises(InputError, match="not the state of a stream"):
        stream.load_state_dict({"layers": {}})
    with pytest.raises(InputError, match="the logits of a stream must be tensors"):
        stream.load_state_dict({**stream.state_dict(), "sum": 1.0})
    other = StreamPredictor(create_model("vggsnn", "CLIF").eval())
    with pytest.raises(InputError, match="another network"):
        stream.load_state_dict(other.state_dict())


def _tensors() -> int:
    gc.collect()
    return sum(issubclass(type(o), torch.Tensor) for o in gc.get_objects())


@pytest.mark.parametrize("steps", [200, pytest.param(100_000, marks=pytest.mark.slow)])
def test_memory_does_not_grow_with_the_steps(steps):
    net = create_model("snn5_noAP", "CLIF", T=1).eval()
    stream, x = StreamPredictor(net), torch.randn(1, 3, 32, 32)
    for _ in range(10):
        stream(x)
    before = _tensors()
    for _ in range(steps):
        stream(x)
    assert _tensors() <= before
    assert stream.steps == steps + 10


def test_its_former_name_is_understood():
    assert clif.deploy.Stream is StreamPredictor


def test_a_module_has_no_streams():
    with pytest.raises(InputError, match=r"a Sequential has no streams; clif\.wrap\(net, T=…\)"):
        StreamPredictor(nn.Sequential(nn.Linear(4, 2), clif.LIFNode()))


def test_events_become_frames_of_the_shape_of_a_sample():
    net = nn.Sequential(nn.Conv2d(2, 3, 3), clif.LIFNode(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2))
    events = {key: np.array([0, value]) for key, value in (("t", 5), ("x", 8), ("y", 11), ("p", 1))}
    assert StreamPredictor(clif.wrap(net, T=2, input_shape=(2, 12, 9))).feed_events(events).shape == (1, 2)
    with pytest.raises(InputError, match="the shape of one sample of this Sequential is not known"):
        StreamPredictor(clif.wrap(net, T=2)).feed_events(events)
    vectors = clif.wrap(nn.Sequential(nn.Linear(4, 2), clif.LIFNode()), T=2, input_shape=(4,))
    with pytest.raises(InputError, match=r"frames of events are \[2, H, W\]; this network takes samples \[4\]"):
        StreamPredictor(vectors).feed_events(events)
