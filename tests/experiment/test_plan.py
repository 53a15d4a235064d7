"""The plan of an experiment: the arms of each kind, and one configuration per folder."""

import dataclasses

import pytest
import yaml

from clif.errors import InputError
from clif.experiment import KINDS, make_plan


def options(kind: str, **given):
    return [run.config for run in make_plan(kind, "digits", seeds=[3], **given).runs()]


def test_neurons_are_compared_on_one_recipe():
    configs = options("neurons", neurons=["CLIF", "LIF"], epochs=2)
    assert [(c.neuron, c.epochs, c.seed) for c in configs] == [("CLIF", 2, 3), ("LIF", 2, 3)]


def test_timesteps_vary_T_for_each_neuron():
    assert [(c.neuron, c.T) for c in options("timesteps", neurons=["LIF"], values=[2, 5])] == [("LIF", 2), ("LIF", 5)]


def test_the_widest_window_is_the_whole_gradient():
    configs = options("bptt", T=3)
    assert [(c.neuron, c.T, c.gradient_window) for c in configs] == [("LIF", 3, 1), ("LIF", 3, 2), ("LIF", 3, 0)]


def test_an_exchange_is_compared_with_both_neurons():
    configs = options("exchange", neurons=["LIF", "CLIF"], values=[1], epochs=3)
    assert [(c.neuron, c.exchange_neuron, c.exchange_epoch) for c in configs] == [
        ("LIF", "", 0),
        ("CLIF", "", 0),
        ("LIF", "CLIF", 1),
    ]


def test_tau_varies():
    assert [c.tau for c in options("tau", neurons=["CLIF"], values=[1.5, 3])] == [1.5, 3]


def test_every_kind_has_a_plan_without_values_whose_runs_have_folders_of_their_own():
    for kind in KINDS:
        folders = [run.folder for run in make_plan(kind).runs()]
        assert len(set(folders)) == len(folders) > 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"kind": "neuron"}, "did you mean neurons"),
        ({"kind": "neurons", "neuron": "LIF"}, "use --neurons"),
        ({"kind": "neurons", "seed": 1}, "use --seeds"),
        ({"kind": "neurons", "seeds": [1, 1]}, "each seed once"),
        ({"kind": "neurons", "values": [1]}, "takes no --values"),
        ({"kind": "neurons", "neurons": ["CLIF", "CLIF"]}, "each neuron"),
        ({"kind": "neurons", "neurons": ["CLIF", "clif"]}, "each neuron"),
        ({"kind": "deployment", "neurons": ["CLIF", "PLIF"]}, "deployment takes the neurons CLIF and LIF, got PLIF"),
        ({"kind": "timesteps", "neurons": ["ReLU"]}, "ReLU has a single time step"),
        ({"kind": "tau", "neurons": ["CLIF", "relu"]}, "nothing to vary in tau"),
        ({"kind": "tau", "neurons": ["CLIF", "IF"]}, "IF has no time constant, so there is nothing to vary in tau"),
        ({"kind": "timesteps", "values": [float("nan")]}, "whole numbers of at least 1, got nan"),
        ({"kind": "timesteps", "values": [float("inf")]}, "whole numbers of at least 1, got inf"),
        ({"kind": "timesteps", "values": [1.5]}, "whole numbers of at least 1, got 1.5"),
        ({"kind": "bptt", "values": [7], "T": 4}, "of at least 1 and at most 4, got 7"),
        ({"kind": "exchange", "neurons": ["LIF"]}, "takes two neurons"),
        ({"kind": "exchange", "epochs": 1}, "exchange needs at least 2 epochs, got 1"),
        ({"kind": "tau", "tau": 2.0}, "sets tau itself"),
        ({"kind": "tau", "values": [2.0, 2.0000001]}, "CLIF, τ = 2 and CLIF, τ = 2 would have the same folder"),
        ({"kind": "neurons", "max_time": 60.0}, "max_time ends them early; use --epochs or --max-steps"),
    ],
)
def test_what_makes_no_plan_is_refused(given, message):
    with pytest.raises(InputError, match=message):
        make_plan(**given)


def test_an_option_that_an_arm_cannot_have_names_the_arm():
    with pytest.raises(InputError, match=r"CLIF, τ = 0\.5: tau must"):
        make_plan("tau", values=[0.5]).runs()


def test_a_folder_belongs_to_one_configuration(tmp_path):
    run = make_plan("neurons", folder=tmp_path, epochs=2).runs()[0]
    run.prepare()
    run.prepare()
    written = yaml.safe_load((run.folder / "config.yaml").read_text())
    assert written == dataclasses.asdict(run.config)
    (run.folder / "config.yaml").write_text("dataset: digits\n")  # other options have their defaults in such a run
    with pytest.raises(InputError, match=r"neuron 'LIF' there, 'CLIF' now"):
        run.prepare()
    (run.folder / "config.yaml").write_text(yaml.safe_dump(written))
    other = make_plan("neurons", folder=tmp_path, epochs=3).runs()[0]
    with pytest.raises(InputError, match=r"epochs 2 there, 3 now.*choose another --out"):
        other.prepare()
