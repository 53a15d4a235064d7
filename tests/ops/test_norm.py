"""Batch norm and neuron in one kernel, compared with the separate modules."""

import copy

import pytest
import torch
from checks import assert_rounds_to_the_nearest, batch_norm, check_equal, results, sequence
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

import clif
from clif import models, surrogate
from clif.layers.step import reads_output
from clif.neurons import norm_fusion
from clif.neurons.blocks import fire
from clif.ops import cpu

pytestmark = pytest.mark.skipif(cpu.unavailable() is not None, reason=cpu.DESCRIPTION)

NODES = {"CLIF": clif.CLIFNode, "LIF": clif.LIFNode, "PLIF": clif.PLIFNode}


def uses_kernel(neuron, norm, x):
    with torch.profiler.profile() as profile:
        fire(neuron, norm, x)
    names = {event.key for event in profile.key_averages()}
    return "clif::neuron" in names and "aten::batch_norm" not in names


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("options", [{}, {"v_reset": -0.1}, {"decay_input": True, "detach_reset": True}])
@pytest.mark.parametrize("name", NODES)
def test_equals_the_separate_modules(name, options, training):
    node = NODES[name](step_mode="m", surrogate_function=surrogate.Sigmoid(), **options).double()
    x = sequence(4, 3, 64, 5, 7)
    assert uses_kernel(node, batch_norm(64, training=training), x)
    check_equal(node, batch_norm(64, training=training), x)


@pytest.mark.usefixtures("each_isa")
@settings(max_examples=20, deadline=None)
@given(
    T=st.integers(1, 5),
    N=st.integers(1, 4),
    C=st.sampled_from([1, 2, 3, 17, 64, 127, 129, 300, 2048]),
    H=st.integers(1, 6),
    W=st.integers(2, 6),
    training=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_any_shape(T, N, C, H, W, training, seed):
    node = clif.CLIFNode(step_mode="m", surrogate_function=surrogate.ATan()).double()
    check_equal(node, batch_norm(C, training=training), sequence(T, N, C, H, W, seed=seed))


@pytest.mark.parametrize("name", NODES)
def test_initial_states_and_their_gradients(name):
    node = NODES[name](step_mode="m", surrogate_function=surrogate.Sigmoid()).double()
    x = sequence(3, 2, 20, 4, 4)
    state = [torch.rand_like(x[0]) for _ in node.state_names]
    check_equal(node, batch_norm(20), x, state=state)


@pytest.mark.parametrize("T", [1, 3])
@pytest.mark.parametrize("name", NODES)
def test_without_the_last_state(name, T):
    node = NODES[name](step_mode="m", surrogate_function=surrogate.Sigmoid()).double()
    clif.set_keep_state(node, False)
    check_equal(node, batch_norm(20), sequence(T, 2, 20, 4, 4))


def test_many_blocks_and_every_number_of_threads():
    node = clif.CLIFNode(step_mode="m", surrogate_function=surrogate.Sigmoid()).double()
    norm, x = batch_norm(24), sequence(3, 8, 24, 20, 20)
    check_equal(node, norm, x)
    threads = torch.get_num_threads()
    d_spike = torch.ones_like(x)
    try:
        runs = []
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            runs.append(results(node, norm, x, True, d_spike)[0])
    finally:
        torch.set_num_threads(threads)
    for run in runs[1:]:
        for name, expected in runs[0].items():
            assert torch.equal(run[name], expected), name


@pytest.mark.usefixtures("each_isa")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_lower_precision_is_as_near_to_float64_as_the_separate_modules_are(dtype):
    """Single spikes can differ at a neuron's jumps, so the distance from float64 is compared, not the elements."""
    x = sequence(5, 4, 32, 8, 8, dtype)
    norm64 = batch_norm(32)
    norm = copy.deepcopy(norm64).float()
    d_spike = torch.randn(x.shape, dtype=torch.float64).to(dtype)
    node = clif.CLIFNode(step_mode="m", surrogate_function=surrogate.Sigmoid(alpha=1))
    exact, _ = results(copy.deepcopy(node).double(), norm64, x.double(), False, d_spike.double())
    fused, _ = results(node, norm, x, True, d_spike)
    separate, _ = results(node, norm, x, False, d_spike)
    for name, expected in exact.items():
        scale = expected.norm()
        distance, allowed = (fused[name] - expected).norm() / scale, (separate[name] - expected).norm() / scale
        assert distance <= 1.5 * allowed + 1e-5, name


def test_means_far_from_zero_lose_no_variance():
    x = (sequence(2, 4, 16, 8, 8, torch.float32) + 5000).float()
    norm = batch_norm(16, torch.float32)
    reference = copy.deepcopy(norm).double()
    fire(clif.LIFNode(step_mode="m"), norm, x)
    reference(x.double())
    assert_close(norm.running_var, reference.running_var.float(), rtol=1e-4, atol=0)


@pytest.mark.usefixtures("each_isa")
def test_bfloat16_is_rounded_to_the_nearest():
    assert_rounds_to_the_nearest()


def test_nan_stays_where_it_is():
    x = sequence(2, 3, 8, 4, 4)
    x[1, 0, 5, 2, 2] = torch.nan
    norm = batch_norm(8)
    fire(clif.CLIFNode(step_mode="m").double(), norm, x)
    assert norm.running_mean.isnan().nonzero().flatten().tolist() == [5]


def test_a_call_that_fuses_may_follow_one_that_does_not_before_the_backward_pass():
    norm, node, x = batch_norm(6), clif.CLIFNode(step_mode="m").double(), sequence(3, 2, 6, 4, 4)
    first, second = norm(x), fire(node, norm, x)
    (first.sum() + second.sum()).backward()
    assert norm.weight.grad.abs().sum() > 0
    assert norm.num_batches_tracked == 6


def test_a_hook_that_only_reads_the_output_leaves_one_call():
    """The firing rates of a training are counted by such hooks, which must not cost memory or time."""
    node, heard = clif.CLIFNode(step_mode="m").double(), []
    node.register_forward_hook(reads_output(lambda _module, inputs, _output: heard.append(len(inputs))))
    fire(node, batch_norm(6), sequence(3, 2, 6, 4, 4))
    assert heard == [2]


@pytest.mark.parametrize("name", NODES)
@pytest.mark.parametrize(("training", "keep_state"), [(True, True), (True, False), (False, True)])
def test_opcheck(name, training, keep_state):
    x = sequence(2, 2, 5, 3, 3, torch.float32).requires_grad_()
    norm = batch_norm(5, torch.float32, training)
    rest = torch.zeros(x.shape[1:]).contiguous(memory_format=torch.channels_last)
    equations = getattr(clif, f"{name}Node")(surrogate_function="sigmoid").equations()
    states = [rest.clone() for _ in equations.states]
    coefficients = [torch.tensor(0.4, requires_grad=True)] if equations.learnables else []
    of = [norm.weight.detach().requires_grad_(), norm.bias.detach().requires_grad_()]
    of += [] if training else [norm.running_mean, norm.running_var]
    plan = equations.plan
    arguments = (x, states, coefficients, of, norm.eps, plan.text, list(plan.constants), keep_state, "cpu")
    torch.library.opcheck(torch.ops.clif.neuron.default, arguments)


@pytest.mark.parametrize("training", [True, False])
def test_an_image_that_is_shown_at_every_step_is_as_its_copies(training):
    image = sequence(1, 3, 6, 4, 4)[0]
    found = []
    for repeat in (lambda x: x.expand(5, *x.shape), lambda x: torch.stack([x] * 5)):
        x, norm = image.clone().requires_grad_(), batch_norm(6, training=training)
        node = clif.CLIFNode(step_mode="m").double()
        assert uses_kernel(copy.deepcopy(node), copy.deepcopy(norm), repeat(image))
        spikes = fire(node, norm, repeat(x))
        (spikes * torch.arange(1.0, 6)[:, None, None, None, None]).sum().backward()
        found.append([spikes, x.grad, norm.weight.grad, norm.bias.grad, norm.running_mean, norm.running_var])
    assert found[0][0].any()
    assert_close(*found, rtol=1e-10, atol=1e-12)


class TestWhenItIsNotFused:
    def setup_method(self):
        self.x, self.norm, self.node = sequence(2, 2, 6, 3, 3), batch_norm(6), clif.CLIFNode(step_mode="m").double()

    def test_switched_off_by_name(self):
        net = torch.nn.ModuleList([self.node])
        assert uses_kernel(self.node, self.norm, self.x)
        clif.set_fuse_norm(net, False)
        assert not uses_kernel(self.node, self.norm, self.x)
        clif.set_fuse_norm(net, True)
        assert uses_kernel(self.node, self.norm, self.x)

    def test_someone_listens_to_the_batch_norm(self):
        heard = []
        self.norm.register_forward_hook(lambda _module, _inputs, output: heard.append(output))
        fire(self.node, self.norm, self.x)
        assert heard[0].shape == self.x.shape

    def test_hooks_of_the_neuron_see_its_input_and_its_spikes(self):
        heard = []
        self.node.register_forward_hook(lambda _module, inputs, output: heard.append((inputs, output)))
        spikes = fire(self.node, self.norm.eval(), self.x)
        (inputs, output) = heard[0]
        assert output is spikes
        assert_close(inputs, (self.norm(self.x),))

    def test_a_hook_may_change_the_input_of_the_neuron(self):
        expected = self.node(2 * self.norm.eval()(self.x))
        self.node.reset()
        self.node.register_forward_pre_hook(lambda _module, inputs: (2 * inputs[0],))
        assert_close(fire(self.node, self.norm, self.x), expected)

    @pytest.mark.parametrize("change", ["contiguous", "torch", "v_seq", "dtype", "one_value"])
    def test_inputs_and_options_that_no_kernel_takes(self, change):
        x = self.x
        if change == "contiguous":
            x = x.contiguous()
        if change == "torch":
            self.node.backend = "torch"
        if change == "v_seq":
            self.node.store_v_seq = True
        if change == "dtype":
            self.norm, x = self.norm.float(), x.float()
            self.norm.weight.data = self.norm.weight.data.double()
            assert not norm_fusion.applies(self.node.equations(), x, self.norm, self.node.backend)
            return
        if change == "one_value":
            x = x[:, :1, :, :1, :1]
        assert not uses_kernel(self.node, self.norm, x)

    def test_single_step_mode(self):
        self.node.step_mode = "s"
        assert not uses_kernel(self.node, self.norm, self.x[0])

    def test_torch_func_transforms(self):
        """vmap over batches runs the separate modules, with the results of a loop."""
        norm, x = self.norm.eval(), torch.stack([self.x, 2 * self.x])

        def run(x_seq):
            self.node.reset()
            return fire(self.node, norm, x_seq)

        assert_close(torch.func.vmap(run)(x), torch.stack([run(step) for step in x]))


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("spiking_resnet50", "spiking_vgg11_bn", "vggsnn")]


@pytest.mark.parametrize("name", ["spiking_resnet18", "snn5_noAP", *SLOW])
def test_networks_use_it_and_keep_their_numbers(name):
    torch.manual_seed(0)
    T = 2
    net = models.create_model(name, neuron="CLIF", T=T, num_classes=5, surrogate="sigmoid").double()
    x = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    separate = copy.deepcopy(net)
    clif.set_fuse_norm(separate, False)
    logits, expected = net(x), separate(x)
    logits.square().sum().backward()
    expected.square().sum().backward()
    assert_close(logits, expected)
    for (key, p), q in zip(net.named_parameters(), separate.parameters(), strict=True):
        assert_close(p.grad, q.grad, rtol=1e-6, atol=1e-9 * (1 + q.grad.abs().max().item()), msg=key)
    for (key, p), q in zip(net.state_dict().items(), separate.state_dict().values(), strict=True):
        assert_close(p, q, msg=key)
    with torch.profiler.profile() as profile:
        net(x)
    counts = {event.key: event.count for event in profile.key_averages()}
    assert "aten::batch_norm" not in counts


def test_under_torch_compile():
    net = torch.nn.Sequential(batch_norm(6), clif.LIFNode(step_mode="m").double())

    def run(x):
        clif.reset_net(net)
        return fire(net[1], net[0], x)

    x = sequence(2, 2, 6, 3, 3)
    expected = run(x)
    assert_close(torch.compile(run, fullgraph=True, backend="aot_eager")(x), expected)


def test_activation_checkpointing_recomputes_it():
    norm, node, x = batch_norm(6), clif.CLIFNode(step_mode="m").double(), sequence(2, 2, 6, 3, 3).requires_grad_()

    def run(x_seq):
        return fire(node, norm, x_seq)

    expected = torch.autograd.grad(run(x).sum(), x)[0]
    node.reset()
    actual = torch.autograd.grad(torch.utils.checkpoint.checkpoint(run, x, use_reentrant=False).sum(), x)[0]
    assert_close(actual, expected)


@pytest.mark.parametrize("training", [True, False])
def test_an_empty_batch(training):
    node, norm = clif.CLIFNode(step_mode="m").double(), batch_norm(4, training=training)
    x = sequence(2, 0, 4, 3, 3).requires_grad_()
    fire(node, norm, x).sum().backward()
    assert x.grad.shape == x.shape
    assert not norm.weight.grad.any()


def test_an_infinite_input_leaves_the_other_gradients_alone_in_evaluation():
    norm = batch_norm(4, training=False)
    x = sequence(2, 2, 4, 3, 3)
    x[0, 0, 1, 0, 0] = torch.inf
    x.requires_grad_()
    node = clif.LIFNode(step_mode="m").double()
    fire(node, norm, x).sum().backward()
    separate = x.detach().clone().requires_grad_()
    node.reset()
    clif.set_fuse_norm(node, False)
    fire(node, norm, separate).sum().backward()
    assert separate.grad.isfinite().all()
    assert_close(x.grad, separate.grad)


@pytest.mark.parametrize("C", [64, 20])  # channels that make whole cache lines, and not
def test_results_too_large_for_the_caches(C):
    outcomes = []
    for fuse in (True, False):
        x_seq = sequence(4, 8, C, 64, 64, torch.float32).requires_grad_()
        assert x_seq.nbytes > 2**23
        norm, node = batch_norm(C, torch.float32), clif.CLIFNode(step_mode="m", surrogate_function=surrogate.Sigmoid())
        node.fuse_norm = fuse
        spikes = fire(node, norm, x_seq)
        (spikes * torch.arange(spikes.numel()).view(spikes.shape).sin()).sum().backward()
        outcomes.append((spikes.detach(), x_seq.grad, norm.weight.grad))
    same = (outcomes[0][0] == outcomes[1][0]).all(0)  # rounding may flip a spike, which changes later values
    assert same.float().mean() > 0.9999
    difference = ((outcomes[0][1] - outcomes[1][1]).abs() * same).flatten()
    assert difference.quantile(0.99) < 1e-4
    assert_close(outcomes[0][2], outcomes[1][2], rtol=1e-2, atol=1e-2)
