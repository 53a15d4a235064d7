"""The training loop: epochs of steps, an evaluation after each, and a checkpoint from which the run goes on exactly."""

import dataclasses
import json
import math
import time
import warnings
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
import yaml

from clif.data import Loader, create_loader, get_dataset
from clif.errors import InputError
from clif.models import create_model
from clif.models.network import step_by_step
from clif.train.checkpoint import (
    BEST,
    LAST,
    load_weights,
    read_checkpoint,
    save_checkpoint,
    write_atomically,
)
from clif.train.config import TrainConfig
from clif.train.evaluation import RunningScores, Scores, evaluate, progress_bar
from clif.train.interrupt import Interrupted, StopRequest
from clif.train.loss import SpikingLoss
from clif.train.metrics import MetricsLog, Row, summarise
from clif.train.setup import (
    autocast_dtype,
    choose_device,
    copy_atomically,
    last_checkpoint,
    load_optimizer,
    make_optimizer,
    make_scheduler,
    set_aside,
)


@dataclass(frozen=True)
class Result:
    """What a finished run leaves: its folder, every epoch's figures, and the last and best of them (`summarise`)."""

    folder: Path
    history: list[Row]
    summary: dict[str, Any]


def fit(config: TrainConfig, quiet: bool = False) -> Result:
    """Train as `config` says, in the folder `config.run_folder()`; an earlier run there is kept under another name.

    The folder gets config.yaml, metrics.csv, TensorBoard events, summary.json and the checkpoints. Raises `InputError`
    for what the user can mend, and `Interrupted` after Ctrl-C or SIGTERM, when the last checkpoint holds the state.
    """
    return Trainer(config, quiet).fit()


class Trainer:
    """A run in progress: the network, what trains it, and the position `epoch`, `step` in the data."""

    def __init__(self, config: TrainConfig, quiet: bool = False) -> None:
        self.config = config
        self.quiet = quiet
        self.device = choose_device(config.device)
        self.amp_dtype = autocast_dtype(config.amp_dtype, self.device)
        self.chosen_on = "val" if config.val_split > 0 else "test"

        torch.manual_seed(config.seed)
        dataset = get_dataset(config.dataset)
        self.net = create_model(
            config.model,
            neuron=config.neuron,
            num_classes=dataset.num_classes,
            in_channels=dataset.in_channels,
            T=config.T,
            tau=config.tau,
            surrogate=config.surrogate,
            drop_rate=config.drop_rate,
            image_size=dataset.image_size,
        ).to(self.device)
        if config.pre_train is not None:
            load_weights(self.net, read_checkpoint(config.pre_train)["net"], config.pre_train)
        self.optimizer = make_optimizer(config, self.net)
        self.scheduler = make_scheduler(config, self.optimizer)
        scaled = config.amp and self.amp_dtype == torch.float16
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=scaled)
        self.loss = SpikingLoss(config.loss_lambda, config.loss_means, config.mse_n_reg, config.label_smoothing)
        self.loaders = self._make_loaders()

        self.epoch = 0
        self.step = 0
        self.running = RunningScores(self.device)
        self.best = -math.inf
        self.inherited_best = 0.0
        self.history: list[Row] = []
        self.resumed_from: Path | None = None
        if config.resume is not None:
            self.resumed_from = last_checkpoint(config.resume)
            self._resume(str(self.resumed_from))

    def fit(self) -> Result:
        """Run the epochs that are left."""
        folder = self._open_folder()
        log = MetricsLog(folder, self.history)
        try:
            with StopRequest() as stop:
                while self.epoch < self.config.epochs:
                    self._train_epoch(folder, stop)
                    self._finish_epoch(folder, log, stop)
        finally:
            log.close()
        if not self.history:
            raise InputError(f"nothing to train: {self.config.resume} has all {self.config.epochs} epochs already")
        summary = summarise(self.history, self.chosen_on)
        text = json.dumps(summary, indent=2)
        write_atomically(folder / "summary.json", lambda file: file.write(text.encode()))
        return Result(folder, self.history, summary)

    def _make_loaders(self) -> dict[str, Loader]:
        config = self.config
        common: dict[str, Any] = {
            "root": config.data_dir,
            "batch_size": config.b,
            "T": config.T,
            "device": self.device,
            "val_split": config.val_split,
            "workers": config.j,
        }
        loaders = {
            "train": create_loader(
                config.dataset, train=True, seed=config.seed, cutupmix_auto=config.cutupmix_auto, **common
            ),
            "test": create_loader(config.dataset, train=False, **common),
        }
        if config.val_split > 0:
            loaders["val"] = create_loader(config.dataset, train=True, validation=True, **common)
        return loaders

    def _open_folder(self) -> Path:
        folder = self.config.run_folder()
        before = None if self.resumed_from is None else self.resumed_from.resolve().parent
        try:
            if before != folder.resolve():
                set_aside(folder)
            folder.mkdir(parents=True, exist_ok=True)
            if before not in (None, folder.resolve()) and (before / BEST).is_file():
                copy_atomically(before / BEST, folder / BEST)
            text = yaml.safe_dump(dataclasses.asdict(self.config), sort_keys=False)
            write_atomically(folder / "config.yaml", lambda file: file.write(text.encode()))
        except OSError as error:
            raise InputError(
                f"the run's folder {folder} cannot be written ({error}); choose another -out_dir"
            ) from error
        if self.config.save_init and self.epoch == self.step == 0:
            save_checkpoint(folder / "checkpoint_0.pth", self._state(epoch=-1))
        self._say(f"{sum(p.numel() for p in self.net.parameters()) / 1e6:.2f} M parameters, run folder {folder}")
        return folder

    def _train_epoch(self, folder: Path, stop: StopRequest) -> None:
        config, loader = self.config, self.loaders["train"]
        self.net.train()
        batches = loader.batches(self.epoch, self.step)
        title = f"epoch {self.epoch + 1}/{config.epochs}"
        shown = began = time.perf_counter()
        before = self.running.seconds
        with progress_bar(loader.num_samples, title, self.quiet, initial=self.running.samples) as bar:
            for images, labels in batches:
                with torch.autocast(self.device.type, self.amp_dtype, enabled=config.amp):
                    logits = self.net(images) if config.multiple_step else step_by_step(self.net, images)
                loss = self.loss(logits, labels)
                self.optimizer.zero_grad()
                self.scaler.scale(loss).backward()
                self.scaler.step(self.optimizer)
                self.scaler.update()

                self.step += 1
                self.running.add(loss, logits, labels)
                now = time.perf_counter()
                self.running.seconds = before + now - began
                bar.update(len(labels))
                if not self.quiet and now - shown > 0.5:
                    scores, shown = self.running.scores(), now
                    bar.set_postfix(loss=f"{scores.loss:.4f}", top1=f"{scores.top1:.2%}", refresh=False)
                if config.checkpoint_every and self.step % config.checkpoint_every == 0:
                    self._require_finite(folder)
                    save_checkpoint(folder / LAST, self._state())
                self._stop_if_asked(folder, stop)

    def _finish_epoch(self, folder: Path, log: MetricsLog, stop: StopRequest) -> None:
        self._require_finite(folder)
        train = self.running.scores()
        row: Row = {"epoch": self.epoch, "lr": self.optimizer.param_groups[0]["lr"], **_columns("train", train)}
        for part in ("val", "test"):
            if part in self.loaders:
                check_stop = partial(self._stop_if_asked, folder, stop)
                scores = evaluate(self.net, self.loaders[part], self.loss, self.quiet, check_stop)
                row |= _columns(part, scores)
        with warnings.catch_warnings():  # torch does not see that the optimiser stepped before a resume
            warnings.filterwarnings("ignore", message="Detected call of `lr_scheduler.step")
            self.scheduler.step()
        self.epoch, self.step, self.running = self.epoch + 1, 0, RunningScores(self.device)
        log.add(row)
        self._say(_describe(row, self.config.epochs))

        score = row[f"{self.chosen_on}_top1"]
        improved, self.best = score > self.best, max(self.best, score)
        if improved:
            save_checkpoint(folder / BEST, self._state())
        save_checkpoint(folder / LAST, self._state())

    def _require_finite(self, folder: Path) -> None:
        """Raise `InputError` if the loss is not finite any more, before a checkpoint is overwritten with it."""
        loss = self.running.scores().loss
        if not math.isfinite(loss):
            raise InputError(
                f"the loss became {loss} in epoch {self.epoch + 1}, by step {self.step}; the checkpoints before it are "
                f"kept in {folder}; try a lower -lr, or -amp False"
            )

    def _stop_if_asked(self, folder: Path, stop: StopRequest) -> None:
        if stop.signum is None:
            return
        self._require_finite(folder)
        path = folder / LAST
        save_checkpoint(path, self._state())
        where = f"epoch {self.epoch + 1}, step {self.step} of {len(self.loaders['train'])}"
        raise Interrupted(stop.signum, f"stopped in {where}; to continue, add to the same command: -resume {path}")

    def _state(self, epoch: int | None = None) -> dict[str, Any]:
        """The checkpoint of this moment; its "epoch" is the last one that is complete, as in the original."""
        return {
            "net": self.net.state_dict(),
            "model": self.net.config,
            "optimizer": self.optimizer.state_dict(),
            "lr_scheduler": self.scheduler.state_dict(),
            "scaler": self.scaler.state_dict(),
            "epoch": self.epoch - 1 if epoch is None else epoch,
            "max_test_acc": max(self.best, self.inherited_best),
            "config": dataclasses.asdict(self.config),
            "history": self.history,
            "progress": {
                "step": self.step,
                "sums": self.running.sums.tolist(),
                "samples": self.running.samples,
                "seconds": self.running.seconds,
            },
            "rng": {
                "cpu": torch.get_rng_state(),
                "cuda": torch.cuda.get_rng_state_all() if self.device.type == "cuda" else [],
            },
        }

    def _resume(self, where: str) -> None:
        content = read_checkpoint(where)
        parts = {key: content.get(key) for key in ("optimizer", "lr_scheduler", "epoch")}
        if missing := [key for key, value in parts.items() if value is None or value == {}]:
            raise InputError(
                f"{where}: cannot be resumed, it has no {missing[0]!r}; -pre_train starts from its weights"
            )
        load_weights(self.net, content["net"], where)
        load_optimizer(self.optimizer, content["optimizer"], self.config.opt, where)
        self.scheduler.load_state_dict(content["lr_scheduler"])
        self.epoch = int(content["epoch"]) + 1
        self.inherited_best = float(content.get("max_test_acc", 0.0))
        self.history = list(content.get("history", []))
        self.best = max((row[f"{self.chosen_on}_top1"] for row in self.history), default=-math.inf)
        if content.get("scaler"):
            self.scaler.load_state_dict(content["scaler"])
        if progress := content.get("progress"):
            self.step = progress["step"]
            self.running.sums.copy_(torch.tensor(progress["sums"], dtype=torch.float64))
            self.running.samples, self.running.seconds = progress["samples"], progress["seconds"]
        if rng := content.get("rng"):
            torch.set_rng_state(rng["cpu"])
            if rng["cuda"] and self.device.type == "cuda":
                torch.cuda.set_rng_state_all(rng["cuda"])

    def _say(self, text: str) -> None:
        if not self.quiet:
            print(text, flush=True)


def _columns(part: str, scores: Scores) -> Row:
    return {
        f"{part}_loss": scores.loss,
        f"{part}_top1": scores.top1,
        f"{part}_top5": scores.top5,
        f"{part}_seconds": scores.seconds,
        f"{part}_images_per_second": scores.images_per_second,
    }


def _describe(row: Row, epochs: int) -> str:
    parts = [f"epoch {row['epoch'] + 1}/{epochs}", f"lr {row['lr']:.4g}"]
    for part in ("train", "val", "test"):
        if f"{part}_loss" in row:
            loss, top1, top5 = (row[f"{part}_{name}"] for name in ("loss", "top1", "top5"))
            parts.append(f"{part} loss {loss:.4f} top-1 {top1:.2%} top-5 {top5:.2%}")
    return "  ".join([*parts, f"{row['train_images_per_second']:.0f} img/s"])
