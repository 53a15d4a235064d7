"""Units that several processes need at once."""

import os
import subprocess
import sys

import pytest

from clif.generate import cache
from clif.ops import cpu

PROGRAM = """
import hashlib
import torch
import clif

class Slope(clif.SpikingNeuron):
    def step(self, x, v):
        u = 0.75 * v + torch.tanh(x)
        spike = self.fire(u)
        return spike, self.reset_after(u, spike)

found = {}
for backend in ("cpu", "torch"):
    x = torch.randn(4, 2, 300, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    spikes = Slope(v_threshold=0.5, step_mode="m", backend=backend)(x)
    spikes.sum().backward()
    found[backend] = spikes.detach(), x.grad
assert found["cpu"][0].any()
assert torch.equal(found["cpu"][0], found["torch"][0])
assert torch.allclose(found["cpu"][1], found["torch"][1], rtol=1e-10, atol=1e-12)
print(hashlib.sha256(found["cpu"][1].numpy().tobytes()).hexdigest())
"""


@pytest.mark.slow
@pytest.mark.multiprocess
@pytest.mark.skipif(cpu.unavailable() is not None, reason=cpu.DESCRIPTION)
def test_of_four_processes_one_compiles_and_all_compute_the_same(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    folder = tmp_path / "units"
    children = [
        subprocess.Popen(
            [sys.executable, program],
            env={**os.environ, "CLIF_CACHE": str(folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    results = [child.communicate() for child in children]
    assert [child.returncode for child in children] == [0] * 4, results
    assert len({out for out, _ in results}) == 1
    assert "".join(errors for _, errors in results).count("clif: compiling") == 1
    assert len(cache.units(folder)) == 1
