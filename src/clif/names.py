"""Names that are known without loading torch, for a fast check of configurations and command lines."""

import ast
import inspect
import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

DATASET_NAMES = (
    "digits",
    "cifar10",
    "cifar100",
    "tiny_imagenet",
    "cifar10dvs",
    "dvs_gesture",
    "nmnist",
    "images",
    "events",
)

DATASETS_WITHOUT_FILES = ("digits",)

DATASET_ALIASES = {"dvscifar10": "cifar10dvs", "dvscifar10-pt": "cifar10dvs", "dvsgesture": "dvs_gesture"}
"""The original's spellings of data sets, in lower case."""

AMP_DTYPES = ("auto", "bfloat16", "float16")
"""The choices of `amp_dtype`; `clif.precision` explains them."""

SURROGATE_NAMES = ("rectangle", "sigmoid", "triangle", "atan")

FORMS = ("image", "sequence", "step")
"""The forms of an exported network (`clif.export.to_program`)."""

CONVERTED = ("CLIF", "LIF")
"""The neurons that a conversion makes LIF, with the same weights."""

CONVERSIONS = ("sweep", "calibrate", "subtract", "finetune")
"""The methods of `clif.deploy.convert`."""

ANALYSES = ("rates", "channels", "raster", "traces", "histograms", "trains", "similarity", "gradient")
"""The analyses of `clif analyze`."""

RENAMED = {"tbptt": "gradient_window"}
"""The former names of options, which are accepted with a warning."""

SYNONYMS = (
    ("T", "time_steps", "timesteps", "time_step", "num_steps"),
    ("T_max", "t_max"),
    ("accumulate", "accumulation_steps", "gradient_accumulation_steps", "grad_accum_steps"),
    ("amp_dtype", "precision"),
    ("b", "batch", "batch_size", "bs"),
    ("clip_grad_norm", "clip_grad", "grad_clip", "gradient_clip_val", "max_grad_norm"),
    ("data_dir", "data_root", "data_path", "data", "root"),
    ("dataset", "data_set"),
    ("devices", "gpus", "num_gpus", "num_devices"),
    ("drop_rate", "dropout"),
    ("early_stop", "patience", "early_stopping"),
    ("ema", "ema_decay"),
    ("epochs", "num_epochs", "max_epochs", "n_epochs"),
    ("gradient_window", "tbptt"),
    ("help", "h"),
    ("image_size", "img_size", "input_size"),
    ("images", "num_images"),
    ("in_channels", "in_chans"),
    ("j", "workers", "num_workers"),
    ("label_smoothing", "smoothing"),
    ("lr", "learning_rate"),
    ("lr_scheduler", "scheduler", "sched"),
    ("model", "arch", "network"),
    ("neuron", "neuron_model"),
    ("nodes", "num_nodes", "nnodes"),
    ("opt", "optimizer", "optimiser", "optim"),
    ("out", "output"),
    ("out_dir", "output_dir", "save_dir", "log_dir"),
    ("surrogate", "surrogate_function"),
    ("sync_bn", "sync_batchnorm"),
    ("val_split", "validation_split", "val_fraction"),
    ("warmup_epochs", "warmup"),
    ("weight_decay", "wd"),
)
"""Names of an option: clif's name, then those of other programs."""


def dataset_name(name: str) -> str:
    """The registered spelling of a data set's name or alias in any case; an unknown name in lower case."""
    return DATASET_ALIASES.get(name.lower(), name.lower())


@cache
def model_descriptions() -> dict[str, str]:
    """The docstrings of the networks in clif by their names, sorted.

    They are read from the source, because an import would load torch.
    """
    marked = _marked("models/*.py", ast.FunctionDef, "register_model")
    return {
        node.name: inspect.cleandoc(ast.get_docstring(node) or "")
        for node, _ in sorted(marked, key=lambda pair: str(pair[0].name))
    }


def pretrained_index(folder: Path | None = None) -> dict[str, dict[str, Any]]:
    """The index of the package's pretrained weights, by name."""
    path = (folder or Path(__file__).parent / "models" / "weights") / "index.json"
    index: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return dict(sorted(index.items()))


@cache
def neuron_names() -> tuple[str, ...]:
    """The names of the neurons in clif, CLIF, LIF and PLIF first, and ReLU."""
    found = {ast.literal_eval(mark.args[0]) for _, mark in _marked("neurons/*.py", ast.ClassDef, "register_neuron")}
    first = ("CLIF", "LIF", "PLIF")
    return (*first, *sorted(found.difference(first)), "ReLU")


@cache
def training_names(kind: str) -> tuple[str, ...]:
    """The optimisers, schedules or losses in clif, in the order of their file; `kind` is their option."""
    file, decorator = {
        "opt": ("optimizers", "register_optimizer"),
        "lr_scheduler": ("schedules", "register_scheduler"),
        "loss": ("losses", "register_loss"),
    }[kind]
    return tuple(ast.literal_eval(mark.args[0]) for _, mark in _marked(f"train/{file}.py", ast.FunctionDef, decorator))


def _marked(files: str, kind: type[ast.AST], decorator: str) -> list[tuple[Any, Any]]:
    """The definitions in some files of clif with a decorator, bare or called, and the decorator."""
    found = []
    for path in Path(__file__).parent.glob(files):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            for mark in getattr(node, "decorator_list", []):
                name = mark.func if isinstance(mark, ast.Call) else mark
                if isinstance(node, kind) and isinstance(name, ast.Name) and name.id == decorator:
                    found.append((node, mark))
    return found


REGISTRIES = {
    "dataset": ("clif.data.registry", "DATASETS"),
    "loss": ("clif.train.losses", "LOSSES"),
    "lr_scheduler": ("clif.train.schedules", "SCHEDULERS"),
    "model": ("clif.models.registry", "_MODELS"),
    "neuron": ("clif.neurons.registry", "NEURONS"),
    "opt": ("clif.train.optimizers", "OPTIMIZERS"),
    "surrogate": ("clif.surrogate", "SURROGATES"),
}
"""The module and the name of the dictionary with everything of a kind, including the user's own."""


def option_name(spelling: str) -> str:
    """The name data_dir for each of -data_dir, --data_dir and --data-dir."""
    return spelling.lstrip("-").replace("-", "_")


def flag(name: str) -> str:
    """The spelling of an option in the help: --data-dir for data_dir, -T for T."""
    name = option_name(name)
    return f"-{name}" if len(name) == 1 else f"--{name.replace('_', '-')}"


def known_names(kind: str) -> list[str]:
    """The names of a kind, one of `REGISTRIES`: those in clif and, once its module is loaded, all others."""
    shipped = {
        "dataset": DATASET_NAMES,
        "model": tuple(model_descriptions()) if kind == "model" else (),
        "neuron": neuron_names() if kind == "neuron" else (),
        "surrogate": SURROGATE_NAMES,
        **({kind: training_names(kind)} if kind in ("opt", "lr_scheduler", "loss") else {}),
    }[kind]
    module, registry = REGISTRIES[kind]
    return list(dict.fromkeys([*shipped, *getattr(sys.modules.get(module), registry, ())]))
