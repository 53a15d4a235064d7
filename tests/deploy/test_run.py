"""Deploying a checkpoint: the data for the choice, the printed results, and the files."""

import csv
import json

import pytest
import torch

import clif
import clif.deploy.run as deploy_run
from clif import progress, trained_network
from clif.deploy import SweepRow, deploy_checkpoint
from clif.deploy.judge import judge
from clif.errors import InputError, MissingFileError
from clif.evaluation import evaluate
from clif.trained_network import evaluate_checkpoint

RESETS = [None, 0.0, -0.3]


@pytest.mark.parametrize("neuron", ["CLIF", "LIF"])
def test_a_checkpoint_is_deployed_with_every_value(checkpoint, neuron):
    path = checkpoint(neuron)
    result = deploy_checkpoint(path, v_resets=RESETS)
    assert (result.neuron, result.dataset, result.folder) == (neuron, "cifar10", path.parent / "deploy")
    for rows, samples in ((result.table, 20), (result.choice, 50)):
        assert [(row.v_reset, row.samples) for row in rows] == [(v_reset, samples) for v_reset in RESETS]
    source = evaluate_checkpoint(path, {}).scores
    assert (result.source.top1, result.source.top5, result.source.samples) == (source.top1, source.top5, 20)
    if neuron == "LIF":
        assert result.table[0].top1 == source.top1


def test_the_chosen_network_reloads_and_has_the_accuracy_of_the_table(checkpoint):
    result = deploy_checkpoint(checkpoint(), v_resets=RESETS)
    net = clif.load(result.checkpoint)
    assert (net.config["neuron"], net.config["v_reset"]) == ("LIF", result.chosen)
    assert {type(m) for m in net.modules() if isinstance(m, clif.neurons.SpikingNeuron)} == {clif.LIFNode}
    again = evaluate_checkpoint(result.checkpoint, {}).scores
    assert (again.top1, again.top5) == (result.chosen_on_test.top1, result.chosen_on_test.top5)


@pytest.mark.parametrize(("val_split", "samples"), [(0.0, 50), (0.2, 10)])
def test_the_value_is_chosen_on_training_images_only(checkpoint, monkeypatch, val_split, samples):
    path = checkpoint(val_split=val_split)
    order, create = [], trained_network.create_loader

    def record(*arguments, **options):
        loader = create(*arguments, **options)
        order.append((options["train"], options.get("validation", False), loader.num_samples, loader.augmentation))
        return loader

    monkeypatch.setattr(trained_network, "create_loader", record)
    result = deploy_checkpoint(path, v_resets=RESETS)
    assert order == [(True, val_split > 0, samples, None), (False, False, 20, None)]
    assert result.choice[0].samples == samples
    assert str(samples) in result.choice_data
    assert ("held out" in result.choice_data) == (val_split > 0)


def test_images_that_the_run_did_not_hold_out_are_told_apart(checkpoint):
    result = deploy_checkpoint(checkpoint(), {"val_split": 0.2}, v_resets=RESETS)
    assert result.choice_data == "10 training images (the run did not hold all of them out)"


@pytest.mark.parametrize("chosen", RESETS)
def test_the_choice_follows_the_choice_rows_and_not_the_test_rows(checkpoint, monkeypatch, chosen):
    def fake(_net, loader, v_resets, _quiet):
        on_test = loader.num_samples == 20
        return [SweepRow(v, 0.9 if (v == chosen) != on_test else 0.1, 1.0, loader.num_samples) for v in v_resets]

    monkeypatch.setattr(deploy_run, "sweep", fake)
    result = deploy_checkpoint(checkpoint(), v_resets=RESETS)
    assert result.chosen == chosen
    assert result.chosen_on_test.top1 == 0.1
    assert clif.load(result.checkpoint).config["v_reset"] == chosen


def test_no_more_than_a_part_of_the_training_set_is_used_for_the_choice(checkpoint, monkeypatch):
    monkeypatch.setattr(deploy_run, "CHOICE_IMAGES", 12)
    assert deploy_checkpoint(checkpoint(), v_resets=[None]).choice[0].samples == 12


def test_the_table_is_written_as_csv_and_json(checkpoint, tmp_path):
    result = deploy_checkpoint(checkpoint(), v_resets=RESETS, out=tmp_path / "elsewhere")
    folder = tmp_path / "elsewhere"
    assert {p.name for p in folder.iterdir()} == {"deploy.csv", "deploy.json", "networks.csv", "checkpoint_lif.pth"}
    report = json.loads((folder / "deploy.json").read_text())
    assert report["checkpoint"] == "checkpoint_best.pth"
    assert (report["trained_neuron"], report["chosen_v_reset"]) == ("CLIF", result.chosen)
    assert report["source_top1"] == result.source.top1
    assert report["chosen_on"] == result.choice_data
    with (folder / "deploy.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["split"] for row in table] == ["test"] * 3 + ["choice"] * 3
    assert [row["reset"] for row in table[:3]] == ["soft", "hard", "hard"]
    assert [row["v_reset"] for row in table[:3]] == ["", "0.0", "-0.3"]
    for part, rows in (("test", result.table), ("choice", result.choice)):
        written = [float(row["top1"]) for row in table if row["split"] == part]
        assert written == [row.top1 for row in rows] == [row["top1"] for row in report["rows"][part]]


def test_a_run_folder_is_deployed_inside_itself(checkpoint):
    folder = checkpoint().parent
    assert deploy_checkpoint(folder, v_resets=[None]).folder == folder / "deploy"


def test_the_checkpoint_itself_is_left_alone(checkpoint):
    path = checkpoint()
    before = path.read_bytes()
    deploy_checkpoint(path, v_resets=RESETS)
    assert path.read_bytes() == before


def test_a_deployed_checkpoint_can_be_deployed_again(checkpoint):
    first = deploy_checkpoint(checkpoint(), v_resets=[-0.3])
    again = deploy_checkpoint(first.checkpoint, v_resets=[-0.3], out=first.folder / "again")
    assert (again.neuron, again.source.top1) == ("LIF", first.chosen_on_test.top1)


def test_options_replace_what_the_checkpoint_says(checkpoint):
    result = deploy_checkpoint(checkpoint(), {"T": 1, "b": 4}, [None])
    assert clif.load(result.checkpoint).T == 1


def test_a_checkpoint_in_the_original_s_format_is_deployed(firing_network, tiny_cifar10, tmp_path):
    net = firing_network()
    torch.save({"net": net.state_dict(), "epoch": 1, "max_test_acc": 0.1}, tmp_path / "checkpoint_max.pth")
    given = {"data_dir": str(tiny_cifar10), "model": "snn5_noAP", "neuron": "CLIF", "T": 3, "b": 8}
    result = deploy_checkpoint(tmp_path / "checkpoint_max.pth", given, RESETS)
    loader = clif.data.create_loader("cifar10", tiny_cifar10, train=False, batch_size=8)
    assert result.source.top1 == evaluate(net, loader).top1
    assert clif.load(result.checkpoint).config["v_reset"] == result.chosen


def test_a_lif_checkpoint_to_compare_with_stays_lif(firing_network, checkpoint, tiny_cifar10, tmp_path):
    original = tmp_path / "lif.pth"
    torch.save({"net": firing_network("LIF").state_dict(), "epoch": 1, "max_test_acc": 0.1}, original)
    given = {"data_dir": str(tiny_cifar10), "model": "snn5_noAP", "neuron": "CLIF", "T": 3}
    seen = []
    for scratch in (checkpoint("LIF").rename(tmp_path / "ours.pth"), original):
        result = deploy_checkpoint(checkpoint(), given, [None], scratch=scratch)
        seen.append(next(row for row in result.judged if row.name == "LIF from scratch"))
    assert seen[0] == seen[1]
    assert seen[0].firing_rates == evaluated_rates(firing_network("LIF"), tiny_cifar10)
    with pytest.raises(InputError, match=r"best\.pth: trained with CLIF neurons"):
        deploy_checkpoint(checkpoint(), given, [None], scratch=checkpoint())


def evaluated_rates(net, data_dir):
    return judge({"": net}, clif.data.create_loader("cifar10", data_dir, train=False, batch_size=8))[0].firing_rates


def test_options_of_another_method_are_refused(checkpoint):
    with pytest.raises(InputError, match="images, per: not an option of a sweep, which"):
        deploy_checkpoint(checkpoint(), per="layer", images=3)
    with pytest.raises(InputError, match="v_resets is an option of a sweep"):
        deploy_checkpoint(checkpoint(), v_resets=[None], method="subtract")


@pytest.mark.parametrize("quiet", [True, False])
def test_fine_tuning_shows_how_far_it_is(checkpoint, capsys, quiet, monkeypatch):
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0)
    deploy_checkpoint(checkpoint(), method="finetune", images=4, quiet=quiet)
    assert ("finetune" in capsys.readouterr().err) is not quiet


@pytest.mark.parametrize("neuron", ["PLIF", "ReLU"])
def test_networks_that_cannot_be_converted_are_refused_and_nothing_is_written(checkpoint, neuron):
    path = checkpoint(neuron)
    with pytest.raises(InputError):
        deploy_checkpoint(path)
    assert not (path.parent / "deploy").exists()


def test_an_empty_list_of_values_is_an_input_error(checkpoint):
    with pytest.raises(InputError, match="at least one reset value"):
        deploy_checkpoint(checkpoint(), v_resets=[])


def test_a_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(MissingFileError, match=r"none\.pth"):
        deploy_checkpoint(tmp_path / "none.pth")


def test_a_folder_that_cannot_be_written_is_an_input_error(checkpoint, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="--out"):
        deploy_checkpoint(checkpoint(), v_resets=[None], out=tmp_path / "file")


@pytest.mark.usefixtures("fast_bfloat16")
@pytest.mark.parametrize(
    "options",
    [
        {"v_resets": [None]},
        pytest.param({"method": "calibrate"}, marks=pytest.mark.slow),
        pytest.param({"method": "finetune"}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_mixed_precision_where_amp_dtype_asks_for_it(checkpoint, options, monkeypatch):
    seen, cached = set(), set()
    forward = clif.layers.Conv2d.forward

    def noting(module, x):
        result = forward(module, x)
        seen.add(result.dtype)
        cached.add(torch.is_autocast_enabled("cpu") and torch.is_autocast_cache_enabled())
        return result

    path = checkpoint()
    monkeypatch.setattr(clif.layers.Conv2d, "forward", noting)
    for given, expected in (({}, torch.float32), ({"amp_dtype": "auto"}, torch.bfloat16)):
        seen.clear()
        result = deploy_checkpoint(path, given, **options)
        assert seen == {expected}
        assert json.loads((result.folder / "deploy.json").read_text())["precision"] == result.precision.record()
        assert all(p.dtype == torch.float32 for p in result.conversion.net.parameters())
    assert cached == {False}  # because a fit changes weights


def test_float16_is_refused_where_nothing_scales_the_loss(checkpoint):
    with pytest.raises(InputError, match="float16 needs a GPU"):
        deploy_checkpoint(checkpoint(), {"amp_dtype": "float16"})


@pytest.mark.usefixtures("slow_bfloat16")
def test_auto_is_float32_where_bfloat16_is_slow_and_an_explicit_choice_warns_once(checkpoint, caplog):
    path = checkpoint()
    assert deploy_checkpoint(path, {"amp_dtype": "auto"}, [None]).precision.name == "float32"
    for _ in range(2):
        assert deploy_checkpoint(path, {"amp_dtype": "bfloat16"}, [None]).precision.name == "bfloat16"
    assert [record.message for record in caplog.records if record.name == "clif.precision"] == [
        "bfloat16 is slow here: the processor has no instructions for bfloat16; --amp-dtype auto would choose the "
        "fastest"
    ]
