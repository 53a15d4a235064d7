"""Whole networks compared with the original's numbers: eval, deployment as LIF, and one training step."""

import golden
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

import clif

CLIF_RUNS = [pytest.param(run, id=golden.run_id(run)) for run in golden.RUNS if run["neuron"] == "CLIF"]
step_modes = pytest.mark.parametrize("step_mode", ["m", "s"])


@pytest.fixture(scope="module", params=golden.RUNS, ids=golden.run_id)
def run(request):
    return request.param


@pytest.fixture(scope="module")
def arrays(golden_dir):
    with np.load(golden_dir / "model_outputs.npz") as stored:
        return {key: torch.from_numpy(stored[key]) for key in stored.files}


def logits_of(net, run, step_mode):
    """[T, N, classes] for the run's input, by one call or by T."""
    x = golden.images(run)
    if step_mode == "m":
        return net(x)
    clif.set_step_mode(net, "s")
    return torch.stack([net(step) for step in (x if x.dim() == 5 else x.expand(run["T"], *x.shape))])


def loss_of(logits, run):
    """0.95·CE + 0.05·MSE over all steps; the MSE's target is the one-hot label with mse_n_reg, else 1."""
    labels = torch.tensor(run["labels"])
    one_hot = F.one_hot(labels, run["num_classes"]).double()
    target = one_hot if run["mse_n_reg"] else torch.ones_like(one_hot)
    cross_entropy = F.cross_entropy(logits.flatten(0, 1), labels.repeat(len(logits)))
    return 0.95 * cross_entropy + 0.05 * F.mse_loss(logits, target.expand_as(logits))


def close(got, expected):
    assert_close(got, expected, rtol=0, atol=1e-8)


@step_modes
@torch.no_grad()
def test_logits_in_evaluation_equal_the_originals(run, arrays, step_mode):
    close(logits_of(golden.network(run).eval(), run, step_mode), arrays[f"{run['index']}/eval_logits"])


@pytest.mark.parametrize("run", CLIF_RUNS, indirect=True)
@pytest.mark.parametrize("v_reset", [None, 0.0, -0.06])
@torch.no_grad()
def test_logits_with_lif_neurons_and_the_same_weights_equal_the_originals(run, arrays, v_reset):
    net = golden.network(run, neuron="LIF", v_reset=v_reset).eval()
    close(logits_of(net, run, "m"), arrays[f"{run['index']}/lif_vreset_{v_reset}"])


@step_modes
def test_loss_gradients_and_batch_norm_buffers_of_a_training_step_equal_the_originals(run, step_mode):
    assert_step_is_the_originals(run, step_mode)


@pytest.mark.usefixtures("each_isa")
@pytest.mark.parametrize("run", [golden.RUNS[2], golden.RUNS[6]], ids=golden.run_id)
def test_a_training_step_with_every_instruction_set_equals_the_originals(run):
    assert_step_is_the_originals(run, "m")


def assert_step_is_the_originals(run, step_mode):
    net = golden.network(run)
    loss = loss_of(logits_of(net, run, step_mode), run)
    loss.backward()
    close(loss.item(), run["train_loss"])
    close({name: p.grad.norm().item() for name, p in net.named_parameters()}, run["grad_norm"])
    running = {name: b for name, b in net.named_buffers() if "running" in name}
    close({name: b.sum().item() for name, b in running.items()}, run["buffer_sum_after_step"])
    assert {b.item() for name, b in net.named_buffers() if "running" not in name} == {run["T"]}
