"""The required speed of the Triton kernels on a GPU; `pytest -m gpu` runs it if there is one."""

import pytest
import torch

from clif.bench import neuron, step
from clif.bench.settings import NeuronSettings, StepSettings

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU that PyTorch can use"),
]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("kind", ["CLIF", "LIF", "PLIF"])
def test_forward_and_backward_run_near_the_speed_of_the_memory(kind, dtype):
    settings = NeuronSettings(
        device="cuda", neuron=kind, shape=(6, 128, 64, 32, 32), dtypes=(dtype,), contestants=("triton", "torch")
    )
    rows = {row.name: row for row in neuron.run(settings).rows}
    assert rows["triton"].timing is not None, rows["triton"].note
    assert rows["triton"].figures["over copy"] <= 1 / 0.8
    assert rows["torch"].timing.median >= 5 * rows["triton"].timing.median


def test_a_training_step_is_faster_and_smaller_than_the_plain_way():
    rows = {row.name: row for row in step.run(StepSettings(device="cuda", batch=64)).rows}
    for name in ("ours", "ours-bfloat16"):
        assert rows[name].timing is not None, rows[name].note
        assert rows[name].figures["of plain"] < 1
        assert rows[name].figures["peak MiB"] < rows["plain"].figures["peak MiB"]
