"""Whole networks under torch.compile, torch.export and autocast, and in two processes."""

import copy
import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

import clif
from clif import models
from clif.ops import cpu

compiled = pytest.mark.skipif(cpu.unavailable() is not None, reason=cpu.DESCRIPTION)
quietly = pytest.mark.filterwarnings(
    "ignore:The tensor attributes:UserWarning",  # the neurons' states are not part of a program
    "ignore:While compiling, we found certain side effects:UserWarning",
    "ignore:.*torch.jit:DeprecationWarning",
)


def network(name="snn5_noAP", neuron="CLIF", dtype=torch.float32):
    net = models.create_model(name, neuron, T=2, surrogate="sigmoid").to(dtype)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.constant_(module.bias, 0.5)
    return net


def images(n=2, size=32, dtype=torch.float32):
    return torch.randn(n, 3, size, size, dtype=dtype, generator=torch.Generator().manual_seed(n))


def outcome(net, forward, x):
    """Logits, gradients and running statistics of a training step."""
    net.zero_grad()
    logits = forward(x)
    logits.square().mean().backward()
    return [logits.detach(), *(p.grad for p in net.parameters()), *(b.clone() for b in net.buffers())]


@compiled
@quietly
@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
def test_a_compiled_network_trains_and_evaluates(backend):
    torch.compiler.reset()
    net = network()
    twin = copy.deepcopy(net)
    fast = torch.compile(twin, fullgraph=True, backend=backend)
    expected, actual = outcome(net, net, images()), outcome(twin, fast, images())
    assert expected[0].any()
    assert_close(actual, expected, rtol=1e-3, atol=1e-4)
    net.eval(), twin.eval()
    with torch.no_grad():
        assert_close(fast(images()), net(images()), rtol=1e-3, atol=1e-4)


@pytest.mark.slow
@compiled
@quietly
def test_a_compiled_network_trains_on_a_last_smaller_batch():
    torch.compiler.reset()
    net = network()
    fast = torch.compile(net, fullgraph=True, backend="aot_eager")
    for n in (4, 3, 2):
        outcome(net, fast, images(n))


@compiled
@quietly
@pytest.mark.parametrize(("name", "neuron", "layers"), [("spiking_resnet18", "CLIF", 17), ("snn5_noAP", "PLIF", 5)])
def test_an_exported_network_takes_any_batch(name, neuron, layers):
    net = network(name, neuron).eval()
    batch = ({0: torch.export.Dim("N", min=1, max=64)},)
    program = torch.export.export(net, (images(),), dynamic_shapes=batch)
    assert str(program.graph).count("torch.ops.clif.") == layers
    for n in (1, 5):
        expected = net(images(n))
        assert expected.std() > 0
        assert_close(program.module()(images(n)), expected)


@compiled
def test_under_autocast_spikes_and_saved_tensors_are_bfloat16():
    net = network()
    kept = {}

    def keep(tensor):
        if not isinstance(tensor, torch.nn.Parameter):
            kept[tensor.dtype] = kept.get(tensor.dtype, 0) + tensor.untyped_storage().nbytes()
        return tensor

    x = images()
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        logits = net(x)
    logits.float().square().mean().backward()
    assert kept[torch.bfloat16] > 100 * kept[torch.float32]
    assert all(p.grad.isfinite().all() and p.grad.dtype == torch.float32 for p in net.parameters())


def shard(rank):
    """The images of one process."""
    return images(4, dtype=torch.float64)[2 * rank : 2 * rank + 2]


def train_shard(folder, rank):
    """The function of each process in the next test: one DistributedDataParallel step; rank 0 saves the gradients."""
    torch.manual_seed(0)
    net = network(neuron="PLIF", dtype=torch.float64)
    torch.distributed.init_process_group("gloo", f"file://{folder}/rendezvous", rank=int(rank), world_size=2)
    parallel = torch.nn.parallel.DistributedDataParallel(net)
    parallel(shard(int(rank))).square().mean().backward()
    if rank == "0":
        torch.save([p.grad for p in net.parameters()], f"{folder}/gradients.pt")
    torch.distributed.barrier()
    del parallel  # it refers to itself and to the group, whose threads must end before the interpreter does
    gc.collect()
    torch.distributed.destroy_process_group()


@pytest.mark.slow
@pytest.mark.multiprocess
@pytest.mark.skipif(not torch.distributed.is_available(), reason="this torch has no torch.distributed")
def test_two_processes_average_the_gradients_of_their_shards(tmp_path):
    script = "import sys; from test_transforms import train_shard; train_shard(*sys.argv[1:])"
    paths = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path), str(rank)],
            env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    errors = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    torch.manual_seed(0)
    net = network(neuron="PLIF", dtype=torch.float64)
    gradients = []
    for rank in range(2):
        clif.reset_net(net)
        gradients.append(outcome(net, net, shard(rank))[1 : 1 + len(list(net.parameters()))])
    expected = [(a + b) / 2 for a, b in zip(*gradients, strict=True)]
    assert all(g.any() for g in expected)
    assert_close(torch.load(tmp_path / "gradients.pt", weights_only=True), expected, rtol=1e-10, atol=1e-12)
