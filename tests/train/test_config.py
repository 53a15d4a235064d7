"""The configuration: the original's defaults, types, ranges, recipes and run folders."""

import dataclasses

import pytest
import yaml

from clif import names
from clif.data import DATASETS, Dataset
from clif.errors import InputError, MissingFileError
from clif.models import list_models, registry
from clif.neurons.registry import NEURONS
from clif.surrogate import SURROGATES
from clif.train.config import TrainConfig, field_types, list_recipes, parse_bool, read_recipe, resolve

ORIGINAL = {
    "seed": 2022,
    "dataset": "cifar10",
    "model": "spiking_vgg11_bn",
    "neuron": "LIF",
    "T": 6,
    "tau": 2.0,
    "b": 128,
    "epochs": 300,
    "T_max": 300,
    "lr": 0.1,
    "momentum": 0.9,
    "weight_decay": 5e-4,
    "opt": "SGD",
    "lr_scheduler": "CosALR",
    "step_size": 100,
    "gamma": 0.1,
    "loss_lambda": 0.05,
    "loss_means": 1.0,
    "mse_n_reg": False,
    "surrogate": "rectangle",
    "drop_rate": 0.0,
    "label_smoothing": 0.0,
    "cutupmix_auto": False,
    "amp": True,
}

CHANGES = {
    "dataset": "digits",
    "val_split": 0.1,
    "cutupmix_auto": True,
    "model": "snn5",
    "neuron": "CLIF",
    "T": 4,
    "tau": 1.5,
    "surrogate": "sigmoid",
    "drop_rate": 0.1,
    "b": 64,
    "opt": "AdamW",
    "lr": 0.01,
    "momentum": 0.8,
    "weight_decay": 5e-5,
    "lr_scheduler": "StepLR",
    "lr_by_step": True,
    "T_max": 200,
    "T_mult": 2,
    "step_size": 50,
    "gamma": 0.5,
    "loss": "TET",
    "teacher": "teacher.pth",
    "teacher_weight": 0.3,
    "teacher_temperature": 4.0,
    "loss_lambda": 0.0,
    "loss_means": 0.5,
    "mse_n_reg": True,
    "label_smoothing": 0.1,
    "amp": False,
    "seed": 1,
    "name": "other",
    "accumulate": 2,
    "clip_grad_norm": 1.0,
    "warmup_epochs": 5,
    "no_decay_norm_bias": True,
    "ema": 0.99,
    "gradient_window": 2,
    "dtype": "float64",
    "sync_bn": True,
    "devices": 2,
    "nodes": 2,
}


def test_the_defaults_are_those_of_the_original():
    values = dataclasses.asdict(resolve())
    assert {key: values[key] for key in ORIGINAL} == ORIGINAL


def test_values_get_the_type_of_their_option():
    config = resolve(lr="5e-4", weight_decay="5e-5", tau=3, b="16", T=4.0, amp="False", mse_n_reg="yes", step_size=5)
    got = [config.lr, config.weight_decay, config.tau, config.b, config.T, config.amp, config.mse_n_reg]
    assert got == [5e-4, 5e-5, 3.0, 16, 4, False, True]
    for name, kind in field_types().items():
        value = getattr(config, name)
        assert value is None or type(value) is kind or name == "step_size"


def test_yaml_numbers_without_a_point_are_numbers(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("config:\n  weight_decay: 5e-4\n  lr: 1e-1\n  dataset: digits\n")
    config = resolve(str(path))
    assert (config.weight_decay, config.lr, config.dataset) == (5e-4, 0.1, "digits")


def test_overrides_win_over_the_recipe_and_the_recipe_over_the_defaults(tmp_path):
    path = tmp_path / "mine.yml"
    path.write_text(yaml.safe_dump({"config": {"T": 4, "lr": 0.3}}))
    config = resolve(str(path), lr=0.2)
    assert (config.T, config.lr, config.b) == (4, 0.2, 128)


@pytest.mark.parametrize(
    ("name", "value", "named"),
    [
        ("b", "many", "int"),
        ("b", "1.5", "int"),
        ("b", None, "int"),
        ("b", True, "int"),
        ("lr", "fast", "float"),
        ("lr", [0.1], "float"),
        ("amp", "maybe", "bool"),
        ("amp", 1, "bool"),
        ("dataset", 10, "str"),
        ("dataset", None, "str"),
        ("resume", 3, "str"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_by_name(name, value, named):
    with pytest.raises(InputError, match=rf"^{name} must be an? {named}, got "):
        resolve(**{name: value})


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("b", [0, -1]),
        ("epochs", [0]),
        ("T", [0]),
        ("T_max", [0]),
        ("j", [-1]),
        ("checkpoint_every", [-1]),
        ("seed", [-1]),
        ("drop_rate", [-0.1, 1.0, float("nan")]),
        ("val_split", [-0.1, 1.0]),
        ("label_smoothing", [-0.1, 1.0]),
        ("momentum", [-0.1, float("nan")]),
        ("weight_decay", [-1e-4, float("inf")]),
        ("gamma", [-0.1]),
        ("lr", [0.0, -0.1, float("nan"), float("inf")]),
        ("loss_lambda", [-0.1, 1.1]),
        ("tau", [1.0, 0.5, -2.0, float("nan"), float("inf")]),
        ("step_size", [0.0, 0.5, 1.5]),
        ("T_mult", [0]),
        ("teacher_weight", [-0.1, 1.1]),
        ("teacher_temperature", [0.0, float("inf")]),
        ("accumulate", [0]),
        ("devices", [0]),
        ("nodes", [0]),
        ("keep_last", [0]),
        ("ema", [-0.1, 1.0]),
        ("clip_grad_norm", [-1.0, float("nan")]),
        ("warmup_epochs", [-1.0, float("inf")]),
        ("max_steps", [-1]),
        ("max_time", [-1.0]),
        ("early_stop", [-1]),
        ("gradient_window", [-1]),
    ],
)
def test_a_value_outside_its_range_is_refused_by_name(name, values):
    for value in values:
        with pytest.raises(InputError, match=f"^{name} must be "):
            resolve(**{name: value})


@pytest.mark.parametrize(
    ("name", "value", "nearest"),
    [("opt", "SDG", "SGD"), ("lr_scheduler", "Step", "StepLR"), ("loss", "TTE", "TET"), ("amp_dtype", "b16", "")],
)
def test_a_value_that_is_no_choice_is_refused_with_the_nearest(name, value, nearest):
    with pytest.raises(InputError, match=f"unknown {name} '{value}'.*{nearest}"):
        resolve(**{name: value})


def test_optimisers_schedules_and_losses_are_named_in_any_case():
    config = resolve(opt="adamw", lr_scheduler="onecycle", loss="ce", epochs=300)
    assert (config.opt, config.lr_scheduler, config.loss) == ("AdamW", "OneCycle", "CE")


@pytest.mark.parametrize(("key", "nearest"), [("learning_rat", "lr"), ("weight_decey", "weight_decay"), ("t", "T")])
def test_an_unknown_key_is_refused(key, nearest):
    with pytest.raises(InputError, match=f"unknown configuration key '{key}'.*{nearest}"):
        resolve(**{key: 1})


def test_an_unknown_key_of_a_recipe_is_refused_with_the_nearest(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("config:\n  epoch: 3\n")
    with pytest.raises(InputError, match=r"'epoch'; did you mean epochs"):
        resolve(str(path))


def test_an_unknown_recipe_is_refused_with_the_nearest():
    with pytest.raises(InputError, match=r"unknown recipe 'digit'; did you mean digits"):
        resolve("digit")


def test_a_recipe_file_that_is_missing_is_named(tmp_path):
    with pytest.raises(MissingFileError, match=r"no recipe at .*none\.yaml"):
        resolve(str(tmp_path / "none.yaml"))


@pytest.mark.parametrize("content", [b"", b"config: 3", b"lr: 0.1", b"- 1", b"config: {", b"\xff\xfe\x00", b"\x80"])
def test_a_recipe_file_that_is_no_recipe_is_refused(tmp_path, content):
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"mine\.yaml"):
        resolve(str(path))


@pytest.mark.parametrize("name", list_recipes())
def test_every_packaged_recipe_resolves(name):
    recipe = read_recipe(name)
    assert recipe["description"]
    config = resolve(name)
    assert config.model in list_models()
    for key, value in recipe["config"].items():
        assert getattr(config, key) == value, key


@pytest.mark.parametrize("neuron", ["ReLU", "relu", "RELU"])
def test_relu_forces_one_step(neuron):
    assert resolve(neuron=neuron, T=6).T == 1
    assert resolve(neuron="CLIF", T=6).T == 6


def test_the_same_flags_give_the_same_folder():
    assert resolve(lr=0.1, T=6).run_folder() == resolve(T=6.0, lr="1e-1").run_folder()


def test_every_flag_that_changes_the_numbers_gives_another_folder():
    folders = {name: resolve(**{name: value}).run_folder() for name, value in CHANGES.items()}
    assert len({*folders.values(), resolve().run_folder()}) == len(folders) + 1


def test_a_folder_says_what_was_trained():
    folder = resolve(name="mine", neuron="CLIF", T=4, out_dir="somewhere").run_folder()
    assert folder.parent.name == "somewhere"
    for word in ("mine", "cifar10", "spiking_vgg11_bn", "CLIF", "T4", "seed2022"):
        assert word in folder.name


def test_where_the_checkpoint_lies_does_not_change_the_folder():
    assert resolve(resume="elsewhere").run_folder() == resolve().run_folder()


@pytest.mark.parametrize("limit", [{"epochs": 2}, {"max_steps": 100}, {"max_time": 1.5}, {"early_stop": 10}])
def test_where_a_run_ends_does_not_change_the_folder(limit):
    assert resolve(**limit).run_folder() == resolve().run_folder()


def test_runs_on_different_data_have_different_folders(tmp_path, monkeypatch):
    out = str(tmp_path / "logs")
    here, there = (tmp_path / name for name in ("here", "there"))
    folders = []
    for folder in (here, there):
        folder.mkdir()
        monkeypatch.chdir(folder)
        folders += [resolve(out_dir=out, data_dir=name).run_folder() for name in ("./data", "other")]
    assert len(set(folders)) == 4
    assert resolve(out_dir=out, data_dir=str(here / "data")).run_folder() == folders[0]
    assert resolve(out_dir=out, data_dir=f"{there}/../here/data/").run_folder() == folders[0]
    assert len({resolve(dataset="digits", data_dir=name).run_folder() for name in ("./data", "other")}) == 1


def test_threads_and_checkpoint_interval_do_not_change_the_folder():
    elsewhere = {"j": 4, "checkpoint_every": 10, "keep_last": 9, "loggers": "wandb", "log_grad_norm": True}
    assert (
        resolve(**elsewhere, log_firing_rates=True, max_time=60, checkpoint_blocks=True).run_folder()
        == resolve().run_folder()
    )


@pytest.mark.parametrize(
    ("text", "value"), [("True", True), ("true", True), ("1", True), ("on", True), ("False", False), ("no", False)]
)
def test_bools_as_people_write_them(text, value):
    assert parse_bool(text) is value


def test_every_option_has_a_help_text():
    for field in dataclasses.fields(TrainConfig):
        assert field.metadata["help"], field.name


@pytest.mark.parametrize("name", ["T", "epochs", "b", "seed"])
@pytest.mark.parametrize("value", [1.5, float("inf")])
def test_a_fraction_or_infinity_is_no_whole_number(name, value):
    with pytest.raises(InputError, match=f"^{name} must be an int"):
        resolve(**{name: value})


@pytest.mark.parametrize(("given", "same"), [({"neuron": "clif"}, {"neuron": "CLIF"}), ({"dataset": "CIFAR10"}, {})])
def test_other_spellings_of_a_name_give_the_same_run_folder(given, same):
    assert resolve(**given).run_folder() == resolve(**same).run_folder()


@pytest.mark.parametrize("name", ["../x", "a/b", "a\\b"])
def test_a_name_that_leads_elsewhere_is_refused(name):
    with pytest.raises(InputError, match="name must be one word"):
        resolve(name=name)


def test_a_seed_that_torch_cannot_take_is_refused():
    with pytest.raises(InputError, match="seed"):
        resolve(seed=2**64)


@pytest.mark.parametrize("name", ["DVSCIFAR10", "dvscifar10-pt", "CIFAR10DVS"])
def test_the_original_s_name_of_a_data_set_gives_the_same_run_folder(name):
    assert resolve(dataset=name) == resolve(dataset="cifar10dvs")
    assert resolve(dataset=name).run_folder() == resolve(dataset="cifar10dvs").run_folder()


def test_options_of_the_same_values_give_the_folder_of_the_defaults():
    assert resolve(ema=0.0, devices=1).run_folder() == resolve().run_folder()


def test_every_option_belongs_to_a_group():
    assert all(field.metadata["group"] for field in dataclasses.fields(TrainConfig))


@pytest.mark.parametrize(
    ("option", "wrong", "nearest"),
    [
        ("dataset", "cifar11", "cifar1"),
        ("dataset", "DVSCIFAR", "dvscifar10"),
        ("model", "resnet18", "spiking_resnet18"),
        ("neuron", "CLIFF", "CLIF"),
        ("surrogate", "rectangel", "rectangle"),
    ],
)
def test_a_misspelt_name_is_refused_before_anything_is_loaded(option, wrong, nearest):
    with pytest.raises(InputError, match=rf"^unknown {option} '(?i:{wrong})'; did you mean .*{nearest}"):
        resolve(**{option: wrong})


def test_names_known_without_torch_are_those_that_are_registered():
    assert set(names.DATASET_NAMES) == set(DATASETS)
    assert {n for n, d in DATASETS.items() if isinstance(d, Dataset) and not d.needs_root} == set(
        names.DATASETS_WITHOUT_FILES
    )
    assert set(names.neuron_names()) == {
        n for n, kind in NEURONS.items() if kind.__module__.startswith(("clif.", "torch."))
    }
    assert set(names.SURROGATE_NAMES) == set(SURROGATES)
    assert list(names.model_descriptions()) == list_models()
    assert all(names.model_descriptions().values())


def test_a_name_that_a_user_registered_is_known(monkeypatch):
    monkeypatch.setitem(registry._MODELS, "mine", registry._MODELS["snn5"])
    assert resolve(model="mine").model == "mine"
    assert resolve(surrogate="ATan").surrogate == "atan"


def test_with_a_recipe_the_cosine_follows_the_epochs(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("config: {dataset: digits, epochs: 9}")
    assert resolve("digits", epochs=2).T_max == 2
    assert resolve("digits", epochs=2, T_max=5).T_max == 5
    assert resolve("digits", T_max=5).epochs == 6
    assert resolve("cifar10_resnet18").T_max == 200
    assert resolve(str(path)).T_max == 9
    assert resolve(str(path), epochs="3").T_max == 3
    path.write_text("config: {dataset: digits, epochs: 9, T_max: 12}")
    assert resolve(str(path)).T_max == 12


def test_without_a_recipe_the_cosine_keeps_the_original_s_length():
    assert resolve(epochs=2).T_max == 300


@pytest.mark.parametrize("option", ["data_dir", "out_dir", "resume", "pre_train"])
def test_the_home_folder_is_meant_by_a_tilde(option, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mine.yaml").write_text(f"config: {{dataset: digits, {option}: ~/x}}")
    for config in (resolve(**{option: "~/x"}), resolve("~/mine.yaml"), TrainConfig(**{option: "~/x"})):
        assert getattr(config, option) == str(tmp_path / "x")
    assert getattr(resolve(**{option: "x~/~"}), option) == "x~/~"


@pytest.mark.parametrize("path", ["~/x", "~", "~nobody-of-that-name/x"])
def test_a_tilde_without_a_home_folder_is_an_input_error(path, monkeypatch):
    monkeypatch.setenv("HOME", "")
    with pytest.raises(InputError, match="there is no home folder of ~"):
        resolve(out_dir=path)


def test_a_printed_configuration_is_a_recipe(tmp_path):
    config = resolve("digits", T=3, lr=0.2)
    path = tmp_path / "mine.yaml"
    path.write_text("\ufeff" + yaml.safe_dump(dataclasses.asdict(config)) + "# run folder: x\n", encoding="utf-8")
    assert resolve(str(path)) == config
    assert resolve(str(path), T=2) == dataclasses.replace(config, T=2)


def test_a_misspelt_key_of_a_printed_configuration_is_named(tmp_path):
    (tmp_path / "mine.yaml").write_text("dataset: digits\nepoch: 3\n")
    with pytest.raises(InputError, match="unknown configuration key 'epoch'; did you mean epochs"):
        resolve(str(tmp_path / "mine.yaml"))


def test_a_recipe_that_cannot_be_read_is_an_input_error(tmp_path):
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(InputError, match=r"folder\.yaml cannot be read: Is a directory"):
        resolve(str(tmp_path / "folder.yaml"))


def test_an_option_by_its_former_name_is_taken_with_a_warning(caplog):
    assert resolve(tbptt=3).gradient_window == 3
    assert "tbptt is now called gradient_window" in caplog.text
    with pytest.raises(InputError, match="former name of gradient_window"):
        resolve(tbptt=3, gradient_window=2)
