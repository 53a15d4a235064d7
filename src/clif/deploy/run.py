"""Deploy a checkpoint: fit the conversion on training data, evaluate it on test data, save the LIF network."""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from clif.data import Loader
from clif.deploy.deployment import Deployment, write_deployment
from clif.deploy.graph import norms_before_neurons
from clif.deploy.judge import judge
from clif.deploy.methods import IMAGES, METHODS, Conversion, convert
from clif.deploy.plain_lif import plain_lif
from clif.deploy.sweep import PAPER_RESETS, SweepRow, best_row, sweep
from clif.errors import InputError, unknown_name
from clif.evaluation import evaluate
from clif.models import SpikingNetwork
from clif.paths import expand_home
from clif.precision import asked_for, warn_if_slow
from clif.train.checkpoint import outputs_folder, read_checkpoint
from clif.train.folder import describe_checkpoint
from clif.trained_network import Opened, open_checkpoint

CHOICE_IMAGES = 5000


def deploy_checkpoint(
    path: str | os.PathLike[str],
    given: dict[str, Any] | None = None,
    v_resets: Sequence[float | None] | None = None,
    out: str | os.PathLike[str] | None = None,
    quiet: bool = True,
    method: str = "sweep",
    scratch: str | os.PathLike[str] | None = None,
    **options: Any,
) -> Deployment:
    """Convert a CLIF or LIF checkpoint by a method of `METHODS`, evaluate it on the test set, and save it.

    Writes deploy.json, networks.csv, checkpoint_lif.pth and, for a sweep of `v_resets` (None: the paper's values),
    deploy.csv to `out`; by default that is the folder "deploy" (sweep) or "deploy_METHOD" beside the checkpoint.
    `given` are options of `TrainConfig` that replace those of the checkpoint, `scratch` is a LIF checkpoint for
    comparison, and `options` are those of `convert`. Everything is computed in float32, unless `given` has "amp_dtype"
    (`clif.precision`). Raises `InputError` for a file that cannot be read, a network that cannot be converted, options
    of another method, and a fit that cannot be done.

    >>> config = clif.train.resolve("digits", neuron="CLIF", max_steps=10, T=2)
    >>> run = clif.train.fit(config, quiet=True)
    >>> deployment = clif.deploy.deploy_checkpoint(run.folder, method="subtract", images=64)
    >>> deployment.checkpoint.name
    'checkpoint_lif.pth'
    """
    # All errors in the arguments are raised before any data are read.
    if method not in METHODS:
        raise unknown_name("conversion method", method, METHODS)
    if method == "sweep" and options:
        raise InputError(f"{', '.join(sorted(options))}: not an option of a sweep, which takes v_resets")
    if method != "sweep" and v_resets is not None:
        raise InputError(f"v_resets is an option of a sweep, not of {method}")
    v_resets = PAPER_RESETS if v_resets is None else v_resets
    if not v_resets:
        raise InputError("give at least one reset value, for example: None,0,-0.02,-0.04,-0.06")
    path, out = expand_home(path), None if out is None else expand_home(out)
    opened = open_checkpoint(path, given or {})
    net, config = opened.net, opened.config
    precision = asked_for(given or {}, opened.device)
    if method == "finetune" and precision.dtype == torch.float16:
        raise InputError("finetune does not scale its loss, as float16 needs; use --amp-dtype bfloat16")
    warn_if_slow(precision)
    plain_lif(net)
    if "calibrate" in (method, options.get("start")):
        norms_before_neurons(net)
    compared = {} if scratch is None else {"LIF from scratch": _open_lif(scratch, given or {})}

    choice: list[SweepRow] = []
    table: list[SweepRow] = []
    chosen = None
    choice_data, loader = _fit_loader(opened, method, options)
    with precision.autocast(cache_enabled=False):  # a fit changes weights, so a cache would be stale
        if method == "sweep":
            begun = time.perf_counter()
            choice = sweep(net, loader, v_resets, quiet)
            chosen = best_row(choice).v_reset
            images = sum(row.samples for row in choice)
            conversion = Conversion(plain_lif(net, chosen), method, images, time.perf_counter() - begun)
        else:
            conversion = convert(net, method, loader, **options, **({"quiet": quiet} if method == "finetune" else {}))
        test = opened.loader(train=False)
        source = evaluate(net, test, quiet=quiet)
        if method == "sweep":
            table = sweep(net, test, v_resets, quiet)
        judged = judge({"as trained": net, **compared, method: conversion.net}, test)

    name = "deploy" if method == "sweep" else f"deploy_{method}"
    folder = Path(out) if out is not None else outputs_folder(path) / name
    deployment = Deployment(
        net.config["neuron"],
        config.dataset,
        source,
        choice_data,
        conversion,
        judged,
        folder / "checkpoint_lif.pth",
        folder,
        precision,
        choice,
        table,
        chosen,
    )
    write_deployment(deployment, opened.content, describe_checkpoint(path))
    return deployment


def _open_lif(path: str | os.PathLike[str], given: dict[str, Any]) -> SpikingNetwork:
    """A LIF-trained checkpoint; options in `given` that describe the network apply only if it does not have them."""
    said = read_checkpoint(path).get("model")
    network = {"neuron": "LIF"} if said is None else {}
    others = {key: value for key, value in given.items() if said is None or key not in ("model", "neuron")}
    net = open_checkpoint(path, {**others, **network}).net
    if net.config["neuron"] != "LIF":
        raise InputError(
            f"{path}: trained with {net.config['neuron']} neurons; name a LIF-trained checkpoint with --lif"
        )
    return net


def _fit_loader(opened: Opened, method: str, options: dict[str, Any]) -> tuple[str, Loader]:
    """The images on which a conversion is fitted.

    A sweep chooses by accuracy, so it takes the images that the run held out, if any. calibrate and subtract take a few
    training images without augmentation, finetune takes all, shuffled and augmented.
    """
    config = opened.config
    if method == "sweep" and config.val_split > 0:
        loader = opened.loader(train=True, val_split=config.val_split, validation=True)
        said = opened.content.get("config", {})
        held_out = all(said.get(name, 0) == getattr(config, name) for name in ("val_split", "split_seed"))
        source = "that the run held out" if held_out else "(the run did not hold all of them out)"
        return f"{loader.num_samples} training images {source}", loader
    if method == "finetune":
        loader = opened.loader(train=True, seed=config.seed, val_split=config.val_split)
        return f"{loader.num_samples} training images, augmented", loader
    limit = CHOICE_IMAGES if method == "sweep" else options.get("images", IMAGES)
    part = {"val_split": config.val_split, "shuffle": False, "augment": False, "limit": limit}
    loader = opened.loader(train=True, **part)
    if method == "sweep":
        return f"{loader.num_samples} training images (the run held none out; it was trained on them)", loader
    return f"{loader.num_samples} training images, without their labels", loader
