"""The configuration of a training run: one typed field an option, for recipes, the command line and Python alike.

This module imports no torch, so that the command line can print its help at once.
"""

import dataclasses
import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

import yaml

from clif.errors import InputError, MissingFileError, unknown_name

RECIPES = Path(__file__).parent / "recipes"
NEURON_NAMES = ("CLIF", "LIF", "PLIF", "ReLU")


def option(default: Any, help: str, choices: tuple[str, ...] = ()) -> Any:
    return dataclasses.field(default=default, metadata={"help": help, "choices": choices})


@dataclass
class TrainConfig:
    """Defaults and names are those of the original command line; `resolve` builds one and checks it."""

    dataset: str = option(
        "cifar10", "data set: digits, cifar10, cifar100, tiny_imagenet, cifar10dvs, dvs_gesture or nmnist"
    )
    data_dir: str = option("./data", "folder of the data set, or its parent")
    val_split: float = option(0.0, "stratified fraction of the training set held out; chooses the best epoch if > 0")
    cutupmix_auto: bool = option(
        False, "the data set's strong augmentation; CIFAR: TrivialAugment, random erasing, MixUp or CutMix"
    )
    j: int = option(0, "threads that prepare batches ahead; 0: none")

    model: str = option("spiking_vgg11_bn", "network, see: clif models")
    neuron: str = option("LIF", "CLIF, LIF, PLIF or ReLU (the baseline; forces T = 1); also -neuron_model")
    T: int = option(6, "time steps")
    tau: float = option(2.0, "membrane time constant in steps, > 1")
    surrogate: str = option("rectangle", "surrogate gradient: rectangle, sigmoid, triangle or atan")
    drop_rate: float = option(0.0, "dropout rate, one mask for all time steps")

    epochs: int = option(300, "epochs in all")
    b: int = option(128, "batch size")
    opt: str = option("SGD", "optimiser", ("SGD", "AdamW"))
    lr: float = option(0.1, "learning rate at the start")
    momentum: float = option(0.9, "momentum of SGD")
    weight_decay: float = option(5e-4, "weight decay")
    lr_scheduler: str = option("CosALR", "learning-rate schedule, stepped once an epoch", ("CosALR", "StepLR"))
    T_max: int = option(300, "epochs of half a cosine period (CosALR)")
    step_size: float = option(100, "epochs between two decays (StepLR)")
    gamma: float = option(0.1, "factor of a decay (StepLR)")

    loss_lambda: float = option(0.05, "weight of the MSE term, 0: cross-entropy only")
    loss_means: float = option(1.0, "constant target of the MSE term")
    mse_n_reg: bool = option(False, "one-hot target for the MSE term instead of the constant")
    label_smoothing: float = option(0.0, "label smoothing of the cross-entropy")

    device: str = option("auto", "auto, cpu, cuda or cuda:N")
    amp: bool = option(True, "mixed precision; a true switch: -amp, -amp True, -amp False")
    amp_dtype: str = option(
        "auto", "auto: bfloat16 on a CPU, float16 with loss scaling on a GPU", ("auto", "bfloat16", "float16")
    )
    multiple_step: bool = option(True, "compute the sequence at once; False: one step a call, same numbers, slower")
    seed: int = option(2022, "seed of the weights, the order, the augmentation and the dropout")

    name: str = option("", "a word for the run's folder")
    out_dir: str = option("./logs", "where the run's folder is made")
    resume: str | None = option(None, "continue from this checkpoint, ours or the original's")
    pre_train: str | None = option(None, "start from the weights of this checkpoint")
    save_init: bool = option(False, "keep the initial weights as checkpoint_0.pth")
    checkpoint_every: int = option(0, "also write the last checkpoint every so many steps; 0: every epoch only")

    def check(self) -> None:
        """Raise `InputError` for a value outside its range."""
        for name in ("b", "epochs", "T", "T_max"):
            _require(self, name, getattr(self, name) >= 1, "at least 1")
        for name in ("j", "checkpoint_every", "seed"):
            _require(self, name, getattr(self, name) >= 0, "at least 0")
        for name in ("drop_rate", "val_split", "label_smoothing"):
            _require(self, name, 0 <= getattr(self, name) < 1, "in [0, 1)")
        for name in ("momentum", "weight_decay", "gamma"):
            _require(self, name, 0 <= getattr(self, name) < math.inf, "a number ≥ 0")
        _require(self, "lr", 0 < self.lr < math.inf, "a number > 0")
        _require(self, "seed", self.seed < 2**63, "below 2**63")
        _require(self, "name", not set(self.name) & set("/\\"), "one word, without / or \\")
        _require(self, "loss_lambda", 0 <= self.loss_lambda <= 1, "in [0, 1]")
        _require(self, "tau", 1 < self.tau < math.inf, "greater than 1 (tau = 1 would keep no memory at all)")
        _require(self, "step_size", self.step_size >= 1 and self.step_size % 1 == 0, "a whole number of epochs ≥ 1")
        for field in dataclasses.fields(self):
            choices = field.metadata["choices"]
            if choices and getattr(self, field.name) not in choices:
                raise unknown_name(field.name, getattr(self, field.name), choices)

    def run_folder(self) -> Path:
        """Where this run writes: the same for the same flags, another for any flag that changes the numbers."""
        elsewhere = {"data_dir", "out_dir", "resume", "name", "j", "checkpoint_every"}
        values = {key: value for key, value in dataclasses.asdict(self).items() if key not in elsewhere}
        digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:8]
        words = [self.name, self.dataset, self.model, self.neuron, f"T{self.T}", f"seed{self.seed}", digest]
        return Path(self.out_dir) / "_".join(word for word in words if word)


def _require(config: TrainConfig, name: str, holds: bool, what: str) -> None:
    if not holds:
        raise InputError(f"{name} must be {what}, got {getattr(config, name)}")


def field_types() -> dict[str, type]:
    """The plain type of every option; optional ones without their None."""
    hints = get_type_hints(TrainConfig)
    return {name: get_args(hint)[0] if get_args(hint) else hint for name, hint in hints.items()}


def parse_bool(text: str) -> bool:
    """True and False as people write them; anything else is a `ValueError`."""
    words = {"true": True, "yes": True, "1": True, "on": True, "false": False, "no": False, "0": False, "off": False}
    if text.lower() not in words:
        raise ValueError(f"expected True or False, got {text!r}")
    return words[text.lower()]


def convert(name: str, value: Any) -> Any:
    """A value from YAML or Python in the type of the option `name`; YAML's 5e-4 is a string and becomes a number."""
    kind = field_types()[name]
    optional = name in ("resume", "pre_train")
    if (optional and value is None) or type(value) is kind:
        return value
    try:
        if kind is bool:
            return parse_bool(value) if isinstance(value, str) else _refuse()
        if kind is str or isinstance(value, bool) or not isinstance(value, int | float | str):
            return _refuse()
        number = kind(value)
        return number if isinstance(value, str) or number == value else _refuse()
    except (ValueError, OverflowError):
        raise InputError(f"{name} must be {'an' if kind is int else 'a'} {kind.__name__}, got {value!r}") from None


def _refuse() -> Any:
    raise ValueError


def resolve(recipe: str | None = None, **overrides: Any) -> TrainConfig:
    """The defaults, then the recipe (a name or a YAML file), then the overrides; checked.

    Raises `InputError` for an unknown recipe or key, with the nearest known ones, and for values of the wrong type.
    """
    values = {**(read_recipe(recipe)["config"] if recipe else {}), **overrides}
    known = field_types()
    for key in values:
        if key not in known:
            raise unknown_name("configuration key", key, known)
    config = TrainConfig(**{key: convert(key, value) for key, value in values.items()})
    config.dataset = config.dataset.lower()
    config.neuron = next((name for name in NEURON_NAMES if name.lower() == config.neuron.lower()), config.neuron)
    if config.neuron == "ReLU":
        config.T = 1
    config.check()
    return config


def list_recipes() -> list[str]:
    """The names of the recipes that come with the package."""
    return sorted(path.stem for path in RECIPES.glob("*.yaml"))


def read_recipe(recipe: str) -> dict[str, Any]:
    """A recipe's description and configuration: {"description": str, "config": {key: value}}."""
    path = Path(recipe) if recipe.endswith((".yaml", ".yml")) else RECIPES / f"{recipe}.yaml"
    if not path.is_file():
        if path.parent == RECIPES:
            raise unknown_name("recipe", recipe, list_recipes())
        raise MissingFileError(f"no recipe at {path}")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a YAML file: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("config"), dict):
        raise InputError(f'{path}: a recipe is a mapping with "description" and a mapping "config"')
    return content
