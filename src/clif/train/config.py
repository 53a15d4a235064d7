"""The configuration of a training run: one typed field per option, for recipes, the command line and Python.

This module does not import torch, so the command line prints its help fast.
"""

import dataclasses
import hashlib
import json
import logging
import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from clif.data_options import CHOSEN, RESIZES, SPLITS, DataOptions
from clif.errors import InputError, unknown_name
from clif.names import (
    AMP_DTYPES,
    DATASET_ALIASES,
    DATASETS_WITHOUT_FILES,
    RENAMED,
    dataset_name,
    known_names,
)
from clif.paths import expand_home
from clif.train.option_fields import convert, option, parse_bool, types_of
from clif.train.recipe import list_recipes, read_recipe
from clif.train.stages import parse_stages, value_at

__all__ = ["TrainConfig", "field_types", "list_recipes", "parse_bool", "read_recipe", "resolve"]

_data = partial(option, group="data")
_network = partial(option, group="network")
_optimisation = partial(option, group="optimisation")
_loss = partial(option, group="loss")
_machine = partial(option, group="machine and precision")
_length = partial(option, group="length of the run")
_run = partial(option, group="run folder, checkpoints and logs")

logger = logging.getLogger("clif.train")

LIMITS = ("epochs", "max_steps", "max_time", "early_stop")
"""The options that set the end of a run and change no step before the end."""

WITHOUT_EFFECT = (
    *("data_dir", "out_dir", "resume", "j", "checkpoint_every", "keep_last", "loggers"),
    *("log_grad_norm", "log_firing_rates", "lean_memory", "checkpoint_blocks"),
)
"""The options that change no results of a run."""

PATHS = ("data_dir", "out_dir", "resume", "pre_train", "teacher")


@dataclass
class TrainConfig:
    """The options of a training, with the names and defaults of the original command line; see `resolve`.

    >>> clif.train.TrainConfig(dataset="digits", neuron="CLIF", T=4).epochs
    300
    """

    dataset: str = _data(
        "cifar10",
        "data set: digits, cifar10, cifar100, tiny_imagenet, cifar10dvs, dvs_gesture, nmnist, images or events (your "
        "own)",
    )
    data_dir: str = _data("./data", "folder of the data set, or its parent; for images also a table, list.csv")
    val_split: float = _data(0.0, "stratified fraction of the training set held out; chooses the best epoch if > 0")
    cutupmix_auto: bool = _data(
        False, "the data set's strong augmentation; CIFAR: TrivialAugment, random erasing, MixUp or CutMix"
    )
    augmentation: str = _data(
        "",
        "operations instead of the data set's own: crop:PADDING, flip, cutout:CHANCE, erase:CHANCE, rotate:DEGREES, "
        "roll:PIXELS, shear:DEGREES, separated by commas, or none",
    )
    allow_incomplete: bool = _data(False, "accept a data set that lacks classes, or files that its own lists name")
    sort_events: bool = _data(False, "sort recordings whose times run backwards, which are refused otherwise")
    image_size: int = _data(0, "images, events: height and width of the samples; 0: 64, for events the sensor's size")
    in_channels: int = _data(0, "images: 1 (grey) or 3 (RGB); 0: 3")
    resize: str = _data(
        "crop", "how images are resized: crop (scale the shorter side, crop the centre) or stretch", RESIZES
    )
    sensor_size: str = _data("", "events: WIDTHxHEIGHT of the sensor in pixels, if the files do not store it")
    split_by: str = _data("number", "events: T frames of equal number, of equal time, or of one duration each", SPLITS)
    duration: int = _data(0, "events with --split-by duration: µs of a frame, from the first event on")
    time_unit: str = _data("", "events by time or duration: us, ms or s, if the files do not store it")
    columns: str = _data("", "events: the columns of tables without names, such as x,y,t,p (- for others)")
    test_split: float = _data(0.2, "images, events without a test/: stratified fraction that becomes the test set")
    split_seed: int = _data(0, "seed of the test split and the validation split")
    j: int = _data(0, "threads that prepare batches ahead; 0: none")

    model: str = _network("spiking_vgg11_bn", "network, see: clif models")
    neuron: str = _network("LIF", "CLIF, LIF, PLIF or any registered neuron, or ReLU (the baseline; forces T = 1)")
    T: int = _network(6, "time steps")
    tau: float = _network(2.0, "membrane time constant in steps, > 1")
    surrogate: str = _network(
        "rectangle", "surrogate gradient: rectangle, sigmoid, triangle or atan; triangle:0.5 for another α"
    )
    drop_rate: float = _network(0.0, "dropout rate, one mask for all time steps")
    whiten: bool = _network(
        False, "initialise the first convolution with filters that whiten the patches of the training images"
    )
    exchange_neuron: str = _network("", "replace the neurons by this one after the epochs of --exchange-epoch")
    exchange_epoch: int = _network(0, "epochs with --neuron before the exchange")
    T_stages: str = _network(
        "", "fewer time steps in the first epochs: 1:12,2:6 is T = 1 for 12 epochs, 2 for the next 6, then T"
    )
    size_stages: str = _network(
        "", "smaller training images in the first epochs: 24:8 is 24×24 pixels for 8 epochs, then full size"
    )
    gradient_window: int = _network(
        0, "truncate the gradient through each neuron to a sliding window of this many time steps; 0: all steps"
    )

    b: int = _optimisation(128, "batch size, of all processes together")
    opt: str = _optimisation("SGD", "optimiser: SGD, Adam, AdamW, Muon or any registered one")
    lr: float = _optimisation(0.1, "learning rate at the start")
    sgd_lr: float = _optimisation(
        0.0, "Muon: learning rate of SGD for the other parameters, such as those of batch norms; 0: lr"
    )
    momentum: float = _optimisation(0.9, "momentum of SGD and Muon")
    weight_decay: float = _optimisation(5e-4, "weight decay")
    no_decay_norm_bias: bool = _optimisation(False, "no weight decay for batch norms, biases and PLIF's time constants")
    lr_scheduler: str = _optimisation(
        "CosALR",
        "learning-rate schedule: CosALR, CosRestarts or StepLR (by epoch), OneCycle (by step: linearly up to lr and "
        "down to 0), or any registered one",
    )
    lr_by_step: bool = _optimisation(False, "advance the schedule with every step of the optimiser, not every epoch")
    T_max: int = _optimisation(
        300, "epochs of half a cosine period (CosALR), the first period (CosRestarts), or the cycle (OneCycle)"
    )
    T_mult: int = _optimisation(1, "factor by which each period is longer than the one before (CosRestarts)")
    step_size: float = _optimisation(100, "epochs between two decays (StepLR)")
    gamma: float = _optimisation(0.1, "factor of a decay (StepLR)")
    warmup_epochs: float = _optimisation(
        0.0, "epochs over which the learning rate rises from 0, step by step; OneCycle: 0 is 3/10 of T_max"
    )
    accumulate: int = _optimisation(1, "batches per step of the optimiser, whose gradients are accumulated")
    clip_grad_norm: float = _optimisation(0.0, "scale gradients down to at most this norm; 0: no clipping")
    ema: float = _optimisation(
        0.0, "decay of a moving average of the weights, which is evaluated and saved; 0: none; usual: 0.999"
    )

    loss: str = _loss(
        "paper",
        "paper: cross-entropy of every time step with an MSE term; TET: without it; CE: of the mean logits; MSE: of "
        "the mean logits to the one-hot label; or any registered one",
    )
    loss_lambda: float = _loss(0.05, "weight of the MSE term of the paper's loss, 0: cross-entropy only")
    loss_means: float = _loss(1.0, "constant target of the MSE term")
    mse_n_reg: bool = _loss(False, "one-hot target for the MSE term instead of the constant")
    label_smoothing: float = _loss(0.0, "label smoothing of the cross-entropy")
    teacher: str | None = _loss(
        None, "also learn the mean logits of the network in this checkpoint, spiking or not (distillation)"
    )
    teacher_weight: float = _loss(0.5, "weight w of the teacher in the loss; the labels' loss has the weight 1 − w")
    teacher_temperature: float = _loss(
        2.0, "temperature of the distillation, > 0; higher ones use more of the wrong classes"
    )

    epochs: int = _length(300, "total number of epochs")
    max_steps: int = _length(0, "end the run after this total number of optimiser steps; 0: no limit")
    test_at_end: bool = _length(
        False, "evaluate the test set once, after the last epoch; after the others only the validation split"
    )
    max_time: float = _length(0.0, "end this start of the run after this many seconds; it can be resumed; 0: no limit")
    early_stop: int = _length(0, "end after this many epochs without improvement; 0: never")

    device: str = _machine("auto", "auto, cpu, cuda or cuda:N")
    devices: int = _machine(1, "processes on each machine, one per GPU; torchrun and SLURM set their own")
    nodes: int = _machine(1, "machines")
    sync_bn: bool = _machine(False, "batch norm over the samples of all processes instead of each process's own")
    amp: bool = _machine(True, "mixed precision; off: --amp False or --no-amp")
    amp_dtype: str = _machine(
        "auto", "auto: the fastest here; on a GPU float16 with loss scaling, on a CPU bfloat16 or float32", AMP_DTYPES
    )
    dtype: str = _machine(
        "float32", "dtype of weights and states; float64 has no mixed precision", ("float32", "float64")
    )
    lean_memory: bool = _machine(
        True,
        "return the memory of large tensors to the system at once, on a CPU with glibc; False is faster and takes more",
    )
    checkpoint_blocks: bool = _machine(
        False, "keep only the spikes between the network's blocks for the backward pass, which recomputes the rest"
    )
    multiple_step: bool = _machine(
        True, "compute the whole sequence at once; False: one step per call, same results, slower"
    )
    seed: int = _machine(2022, "seed of the weights, the order, the augmentation and the dropout")

    name: str = _run("", "a word in the name of the run's folder")
    out_dir: str = _run("./logs", "parent of the run's folder")
    resume: str | None = _run(
        None, "resume from this checkpoint (of clif or the original) or run folder; auto: from this run's own, if any"
    )
    pre_train: str | None = _run(None, "start from the weights of this checkpoint")
    save_init: bool = _run(False, "keep the initial weights as checkpoint_0.pth")
    checkpoint_every: int = _run(0, "also write the last checkpoint every N optimiser steps; 0: only every epoch")
    keep_last: int = _run(2, "number of the newest checkpoints to keep, besides the best one")
    loggers: str = _run("", "also log to wandb, mlflow or both (wandb,mlflow); TensorBoard is always written")
    log_grad_norm: bool = _run(False, "log the mean and largest gradient norm of each epoch")
    log_firing_rates: bool = _run(False, "log the firing rate of each layer of neurons, over all training steps")

    def __post_init__(self) -> None:
        for name in PATHS:
            if value := getattr(self, name):
                setattr(self, name, expand_home(value))

    def check(self) -> None:
        """Raise `InputError` for an unknown name, a value outside its range, and incompatible values."""
        for kind in ("dataset", "model", "neuron", "surrogate", "opt", "lr_scheduler", "loss"):
            name = _name_part(kind, getattr(self, kind))
            if name not in (known := known_names(kind)):
                raise unknown_name(kind, name, [*known, *(DATASET_ALIASES if kind == "dataset" else ())])
        for name in ("b", "epochs", "T", "T_max", "T_mult", "accumulate", "devices", "nodes", "keep_last"):
            _require(self, name, getattr(self, name) >= 1, "at least 1")
        for name in ("j", "checkpoint_every", "seed", "max_steps", "early_stop", "exchange_epoch", "gradient_window"):
            _require(self, name, getattr(self, name) >= 0, "at least 0")
        for name in ("drop_rate", "val_split", "label_smoothing", "ema"):
            _require(self, name, 0 <= getattr(self, name) < 1, "in [0, 1)")
        for name in ("momentum", "weight_decay", "gamma", "clip_grad_norm", "warmup_epochs", "max_time", "sgd_lr"):
            _require(self, name, 0 <= getattr(self, name) < math.inf, "a number ≥ 0")
        for name in ("lr", "teacher_temperature"):
            _require(self, name, 0 < getattr(self, name) < math.inf, "a number > 0")
        _require(self, "seed", self.seed < 2**63, "below 2**63")
        _require(self, "name", not set(self.name) & set("/\\"), "one word, without / or \\")
        for name in ("loss_lambda", "teacher_weight"):
            _require(self, name, 0 <= getattr(self, name) <= 1, "in [0, 1]")
        _require(self, "tau", 1 < self.tau < math.inf, "greater than 1 (tau = 1 has no memory)")
        _require(self, "step_size", self.step_size >= 1 and self.step_size % 1 == 0, "a whole number of epochs ≥ 1")
        for field in dataclasses.fields(self):
            choices = field.metadata["choices"]
            if choices and getattr(self, field.name) not in choices:
                raise unknown_name(field.name, getattr(self, field.name), choices)
        self.data_options()
        self._check_exchange()
        for name in ("T_stages", "size_stages"):
            parse_stages(name, getattr(self, name))
        self._check_alpha()
        if self.lr_scheduler == "OneCycle":
            _require(self, "epochs", self.epochs <= self.T_max, f"at most T_max = {self.T_max}, where the cycle ends")
            _require(self, "warmup_epochs", self.warmup_epochs < self.T_max, f"less than T_max = {self.T_max}")
        _require(self, "sgd_lr", self.opt == "Muon" or not self.sgd_lr, f"0 with --opt {self.opt}, whose rate is lr")
        if self.augmentation and self.cutupmix_auto:
            raise InputError("cutupmix_auto is a complete augmentation; leave out --augmentation")
        if self.whiten and self.pre_train:
            raise InputError("whiten and pre_train both set the weights of the first layer; leave one of them out")
        if self.gradient_window and not self.multiple_step:
            raise InputError("gradient_window needs the whole sequence at once: --multiple-step True")
        if self.checkpoint_blocks and self.neuron == "ReLU":
            raise InputError("checkpoint_blocks stores the spikes between blocks, but ReLU has no spikes; leave it out")
        if unknown := [word for word in self.logger_names() if word not in ("wandb", "mlflow")]:
            raise unknown_name("logger", unknown[0], ["wandb", "mlflow"])

    def _check_exchange(self) -> None:
        if not self.exchange_neuron:
            if self.exchange_epoch:
                raise InputError("exchange_epoch needs the new neuron: --exchange-neuron CLIF")
            return
        spiking = [name for name in known_names("neuron") if name != "ReLU"]
        if self.exchange_neuron not in spiking:
            raise unknown_name("exchange_neuron", self.exchange_neuron, spiking)
        if self.neuron not in spiking:
            raise InputError(
                f"there are no spiking neurons to exchange in a network of {self.neuron}: use --neuron LIF"
            )
        _require(self, "exchange_epoch", self.exchange_epoch >= 1, "at least 1 with --exchange-neuron")

    def _check_alpha(self) -> None:
        _, colon, alpha = self.surrogate.partition(":")
        try:
            fits = not colon or 0 < float(alpha) < math.inf
        except ValueError:
            fits = False
        if not fits:
            raise InputError(f"surrogate: α must be a number > 0, such as triangle:0.5; got {self.surrogate!r}")

    def time_steps(self, epoch: int) -> int:
        """T in an epoch, counted from 0."""
        return value_at(parse_stages("T_stages", self.T_stages), epoch, self.T)

    def training_size(self, epoch: int) -> int:
        """The side of the training images in pixels in an epoch, counted from 0; 0 for their own size."""
        return value_at(parse_stages("size_stages", self.size_stages), epoch, 0)

    def logger_names(self) -> list[str]:
        """The requested loggers besides TensorBoard."""
        return [word.strip() for word in self.loggers.split(",") if word.strip()]

    def reading(self) -> dict[str, Any]:
        """The options of `create_loader` for reading the data set's files."""
        return {
            "allow_incomplete": self.allow_incomplete,
            "sort_events": self.sort_events,
            "options": self.data_options(),
            "split_seed": self.split_seed,
        }

    def data_options(self) -> DataOptions:
        """The options for converting files to samples. Raises `InputError` for a wrong value."""
        return DataOptions(**{name: getattr(self, name) for name in CHOSEN})

    def run_folder(self, **own: str) -> Path:
        """The folder of this run: the same for the same flags, another for other flags or data that change the results.

        Flags that only set the end of the run (`LIMITS`) do not change it, so a run can resume with others; `epochs`
        changes it if the recipe's T_max follows it (`resolve`). For the user's own objects `own` has the words for
        "model", "neuron" and "dataset".
        """
        elsewhere = {*WITHOUT_EFFECT, *LIMITS, "name"}
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        values = {
            key: value
            for key, value in dataclasses.asdict(self).items()
            if key not in elsewhere and value != defaults[key]
        }
        values |= own
        if self.dataset not in DATASETS_WITHOUT_FILES and "dataset" not in own:
            values["data_dir"] = str(Path(self.data_dir).resolve())
        digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:8]
        named = [own.get(name, getattr(self, name)) for name in ("dataset", "model", "neuron")]
        words = [self.name, *named, f"T{self.T}", f"seed{self.seed}", digest]
        return Path(self.out_dir) / "_".join(word for word in words if word)


def _require(config: TrainConfig, name: str, holds: bool, what: str) -> None:
    if not holds:
        raise InputError(f"{name} must be {what}, got {getattr(config, name)}")


def field_types() -> dict[str, type]:
    """The plain type of every option; optional ones without their None."""
    return types_of(TrainConfig)


def resolve(recipe: str | None = None, **overrides: Any) -> TrainConfig:
    """The defaults, then the recipe (a name or a YAML file), then the overrides; checked.

    With a recipe `T_max` follows `epochs` unless it is given, so a cosine ends with the run. Raises `InputError` for an
    unknown recipe, key, data set, model, neuron or surrogate, with the nearest known ones, and for values of the wrong
    type.

    >>> config = clif.train.resolve("digits", neuron="CLIF", epochs=3)
    >>> config.dataset, config.epochs
    ('digits', 3)
    """
    try:
        said = _typed(read_recipe(recipe)["config"]) if recipe else {}
    except InputError as error:
        raise error if str(recipe) in str(error) else InputError(f"{recipe}: {error}") from error
    values = {**said, **_typed(overrides)}
    config = TrainConfig(**values)
    if recipe and "T_max" not in (overrides if "epochs" in overrides else values):
        config.T_max = config.epochs
    config.dataset = dataset_name(config.dataset)
    for name in ("neuron", "exchange_neuron", "surrogate", "opt", "lr_scheduler", "loss"):
        kind = "neuron" if name == "exchange_neuron" else name
        setattr(config, name, _spelling(getattr(config, name), kind))
    if config.neuron == "ReLU":
        config.T, config.T_stages = 1, ""
    config.check()
    return config


def _typed(values: dict[str, Any]) -> dict[str, Any]:
    """The options under their present names and in their types. Raises `InputError` for an unknown one."""
    known, optional = field_types(), ("resume", "pre_train", "teacher")
    values = _renamed(values)
    for key in values:
        if key not in known:
            raise unknown_name("configuration key", key, known)
    return {key: convert(key, value, known[key], key in optional) for key, value in values.items()}


def _renamed(values: dict[str, Any]) -> dict[str, Any]:
    """The options under their present names. Raises `InputError` for one that is given under both."""
    for former, name in RENAMED.items():
        if former in values:
            if name in values:
                raise InputError(f"{former} is the former name of {name}; give only {name}")
            logger.warning("%s is now called %s", former, name)
    return {RENAMED.get(key, key): value for key, value in values.items()}


def _name_part(kind: str, value: str) -> str:
    """The name in the value of an option: all of it, or the part before the α of a surrogate."""
    return value.partition(":")[0] if kind == "surrogate" else value


def _spelling(value: str, kind: str) -> str:
    """`value` with the name in it in its registered spelling, if they differ only in case."""
    name = _name_part(kind, value)
    return next((one for one in known_names(kind) if one.lower() == name.lower()), name) + value[len(name) :]
