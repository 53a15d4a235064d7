"""The training command lines of the original code reach the data of each set."""

import pytest

from clif.cli import main

LINES = [
    "-dataset cifar10 -model spiking_resnet18 -amp -T_max 200 -epochs 200 -weight_decay 5e-5 -neuron CLIF",
    "-dataset cifar100 -model spiking_resnet18 -amp -T_max 200 -epochs 200 -neuron CLIF -cutupmix_auto",
    "-dataset tiny_imagenet -model spiking_vgg13_bn -amp -neuron CLIF",
    "-dataset DVSCIFAR10 -T 10 -drop_rate 0.3 -model spiking_vgg11_bn -lr=0.05 -mse_n_reg -neuron CLIF",
    "-dataset dvsgesture -T 20 -b 16 -drop_rate 0.4 -model spiking_vgg11_bn -neuron CLIF",
]


@pytest.mark.parametrize("line", LINES)
def test_asks_for_the_files_that_are_missing(line, tmp_path, capsys):
    assert main(["train", "-data_dir", str(tmp_path), "-out_dir", str(tmp_path), *line.split()]) == 2
    error = capsys.readouterr().err
    assert f"in {tmp_path} or one folder below" in error
    assert "download" in error
    assert len(error.splitlines()) == 1
