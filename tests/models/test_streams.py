"""One network with several users: streams in threads, and calls of the network between their steps."""

import sys
import threading

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

import clif
from clif import models
from clif.errors import InputError

STEPS = 6
FRAMES = [torch.full((1, 1, 32, 32), float(i)) for i in range(1, 4)]


@pytest.fixture
def net():
    net = models.create_model("snn5_noAP", in_channels=1, T=2).eval()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.constant_(module.weight, 2.0)
    return net


@torch.no_grad()
def follow(step, frame):
    return torch.stack([step(frame) for _ in range(STEPS)])


def in_threads(*functions):
    """The results of the functions, each called three times in its own thread."""
    results = [[] for _ in functions]
    errors = []

    def run(function, into):
        try:
            into += [function() for _ in range(3)]
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=each) for each in zip(functions, results, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not errors
    return results


@pytest.mark.parametrize(
    "make", [lambda net: net.stream(), clif.deploy.StreamPredictor], ids=["stream", "deploy.StreamPredictor"]
)
def test_streams_in_threads_keep_to_themselves(net, make):
    whole = torch.no_grad()(net)
    expected = [*(follow(make(net), frame) for frame in FRAMES), whole(FRAMES[0])]
    net.train(make is clif.deploy.StreamPredictor)
    norm = net.features[0].fwd[1].eval()
    users = [lambda frame=frame: follow(make(net), frame) for frame in FRAMES]
    if not net.training:
        users.append(lambda: whole(FRAMES[0]))
    for got, wanted in zip(in_threads(*users), expected, strict=False):
        assert all(torch.equal(one, wanted) for one in got)
    assert (net.step_mode, norm.training) == ("m", False)
    assert net.training == (make is clif.deploy.StreamPredictor)


def test_a_step_waits_for_a_call_and_a_call_for_a_step(net):
    stream, order = net.stream(), []
    begun, go_on = threading.Event(), threading.Event()

    def hold(*_):
        if not begun.is_set():
            begun.set()
            assert go_on.wait(60)
            order.append("call")

    net.features[0].register_forward_hook(hold)
    call = threading.Thread(target=lambda: net(FRAMES[0]))
    call.start()
    assert begun.wait(60)
    step = threading.Thread(target=lambda: (stream(FRAMES[1]), order.append("step")))
    step.start()
    step.join(0.1)
    go_on.set()
    call.join(60)
    step.join(60)
    assert order == ["call", "step"]


def test_a_stream_may_step_inside_a_call_of_its_network(net):
    stream, seen = net.stream(), []
    expected = follow(net.stream(), FRAMES[1])[0]

    def step_once(*_):
        if not seen:
            seen.append(None)
            seen[0] = stream(FRAMES[1])

    net.features[4].register_forward_hook(step_once)
    with torch.no_grad():
        net(FRAMES[0])
    assert torch.equal(seen[0], expected)


class Checkpointed(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return checkpoint(self.layer, x, use_reentrant=False)


def test_a_step_between_forward_and_backward_does_not_disturb_checkpointing(net):
    net.features[1] = Checkpointed(net.features[1])
    stream = net.stream()
    gradients = []
    for between in (False, True):
        net.zero_grad()
        logits = net(FRAMES[0])
        if between:
            follow(stream, FRAMES[1])
        logits.sum().backward()
        gradients.append([p.grad.clone() for p in net.parameters()])
    for alone, disturbed in zip(*gradients, strict=True):
        assert torch.equal(alone, disturbed)


def test_steps_that_checkpointing_would_recompute_from_a_later_state_are_refused(net):
    stream = net.stream()
    with torch.no_grad():
        stream(FRAMES[0])
    logits = checkpoint(stream, FRAMES[1], use_reentrant=False)
    with pytest.raises(InputError, match="create the stream inside the checkpointed function"):
        logits.sum().backward()


def test_a_stream_inside_a_checkpointed_function(net):
    def two_steps(x):
        stream = net.stream()
        return stream(x) + stream(2 * x)

    gradients = []
    for compute in (two_steps, lambda x: checkpoint(two_steps, x, use_reentrant=False)):
        net.zero_grad()
        net(FRAMES[0])
        compute(FRAMES[1]).sum().backward()
        gradients.append([p.grad.clone() for p in net.parameters()])
    assert all(torch.equal(plain, again) for plain, again in zip(*gradients, strict=True))


def test_a_step_leaves_a_state_that_was_set_as_a_number(net):
    clif.set_step_mode(net, "s")
    net.features[0].act.v = 0.25
    net.stream()(FRAMES[0])
    assert net.features[0].act.v == 0.25
    assert net.step_mode == "s"


def test_training_goes_on_between_steps_and_after_inference(net):
    stream = net.stream()
    with torch.inference_mode():
        stream(FRAMES[0])
        net(FRAMES[0])
    net.train()(FRAMES[1].repeat(2, 1, 1, 1)).sum().backward()
    stream(FRAMES[0]).sum().backward()


def test_a_network_whose_layers_changed_is_named(net):
    stream = net.stream()
    net.features[1] = nn.Sequential(net.features[1])
    with pytest.raises(InputError, match=r"differ in the layer features\.1\.0\.act"):
        stream(FRAMES[0])


class OwnSteps(clif.LIFNode):
    def single_step_forward(self, x):
        return super().single_step_forward(x)


def with_kept_states():
    net = wrapped(clif.LIFNode())
    clif.neurons.set_keep_state(net, True)
    return net


def wrapped(*layers):
    return clif.wrap(nn.Sequential(nn.Linear(8, 8), *layers), T=STEPS, input_shape=(8,)).eval()


STATEFUL = {
    "Recurrent": lambda: wrapped(clif.layers.Recurrent(clif.LIFNode(), nn.Linear(8, 8))),
    "a class's own steps": lambda: wrapped(OwnSteps()),
    "states that are kept": with_kept_states,
    "LeakyIntegrator": lambda: wrapped(clif.LIFNode(), clif.layers.LeakyIntegrator()),
    "no state": lambda: wrapped(clif.LIFNode(), nn.Dropout(0.5)),
}


@pytest.mark.parametrize("make", STATEFUL.values(), ids=STATEFUL)
@pytest.mark.usefixtures("interrupted_often")
def test_calls_at_the_same_time_do_not_change_each_other(make):
    torch.manual_seed(0)
    net, samples = make(), [2 * torch.rand(4, 8) for _ in range(2)]
    whole = torch.no_grad()(net)
    expected = [whole(x) for x in samples]
    results = in_threads(*(lambda x=x: torch.stack([whole(x) for _ in range(15)]) for x in samples))
    for got, wanted in zip(results, expected, strict=True):
        assert all(torch.equal(one, wanted) for each in got for one in each)


@pytest.fixture
def interrupted_often():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_a_call_of_a_recurrent_network_waits_for_the_one_before():
    net = STATEFUL["Recurrent"]()
    first, second = (2 * torch.rand(4, 8) for _ in range(2))
    with torch.no_grad():
        expected = net(first)
    begun, go_on, results = threading.Event(), threading.Event(), []

    def hold(*_):
        if not begun.is_set():
            begun.set()
            assert go_on.wait(60)

    net.net[1].sub_module.register_forward_hook(hold)
    threads = [threading.Thread(target=lambda x=x: results.append(torch.no_grad()(net)(x))) for x in (first, second)]
    threads[0].start()
    assert begun.wait(60)
    threads[1].start()
    threads[1].join(0.1)
    go_on.set()
    for thread in threads:
        thread.join(60)
    assert torch.equal(results[0], expected)
