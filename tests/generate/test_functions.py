"""The functions of the kernels against PyTorch's in float64, on every instruction set of the machine."""

import checks
import pytest
import torch


@pytest.mark.usefixtures("each_isa")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_functions(dtype):
    checks.assert_functions_are_accurate(dtype)
