"""The training loop: epochs of steps, an evaluation after each, and a checkpoint from which the run goes on exactly."""

import dataclasses
import itertools
import json
import logging
import math
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from clif.data import Loader, create_loader
from clif.data.loader import Share
from clif.errors import InputError
from clif.layers import key_dropout
from clif.neurons import exchange_neurons
from clif.train.callbacks import Callback, make_loggers
from clif.train.checkpoint import BEST, LAST, load_weights, read_checkpoint
from clif.train.config import TrainConfig
from clif.train.ema import Average
from clif.train.engine import Engine, Follower, with_processes
from clif.train.evaluation import RunningScores, Scores, evaluate, progress_bar
from clif.train.folder import RunFolder, last_checkpoint, read_last, run_of
from clif.train.guard import FiniteGuard, trace
from clif.train.interrupt import Interrupted, StopRequest
from clif.train.loss import SpikingLoss
from clif.train.metrics import MetricsLog, Row, columns, describe, summarise
from clif.train.monitor import GradientNorms, LayerMonitor, unhealthy
from clif.train.setup import (
    Computation,
    autocast_dtype,
    make_net,
    make_optimizer,
    make_scheduler,
    scaled_rate,
)
from clif.train.state import capture, restore
from clif.train.sync import set_idle, synchronise_batch_norms

logger = logging.getLogger("clif.train")


@dataclass(frozen=True)
class Result:
    """What a finished run leaves: its folder, every epoch's figures, and the last and best of them (`summarise`)."""

    folder: Path
    history: list[Row]
    summary: dict[str, Any]


def fit(
    config: TrainConfig,
    quiet: bool = False,
    callbacks: Sequence[Callback] = (),
    folder: str | Path | None = None,
) -> Result:
    """Train as `config` says, in `folder` or `config.run_folder()`; an earlier run there is kept under another name.

    The folder gets config.yaml, environment.json, metrics.csv, TensorBoard events, summary.json and the checkpoints.
    `callbacks` watch the run and may end it. Raises `InputError` for what the user can mend, and `Interrupted` after
    Ctrl-C or SIGTERM, when the last checkpoint holds the state.
    """
    return Trainer(config, quiet, callbacks, folder).fit()


class Trainer:
    """A run in progress: the network, what trains it, and the position `epoch`, `step` in the data.

    A step is one of the optimiser; `global_step` counts them over all epochs.
    """

    def __init__(
        self,
        config: TrainConfig,
        quiet: bool = False,
        callbacks: Sequence[Callback] = (),
        folder: str | Path | None = None,
    ) -> None:
        self.config = config = dataclasses.replace(config)
        with_processes(config)
        self.engine = Engine(config)
        self.device = self.engine.device
        self.quiet = quiet or not self.engine.is_first
        loggers = self.engine.only_first(lambda: make_loggers(config.logger_names()))
        self.callbacks = [*callbacks, *(loggers or [])]
        self.folder = RunFolder(config.run_folder() if folder is None else Path(folder), config.keep_last)
        if config.resume == "auto":
            config.resume = str(self.folder.path) if self.folder.is_begun() else None
        self.amp = config.amp and config.dtype != "float64"
        self.amp_dtype = autocast_dtype(config.amp_dtype, self.device)
        self.chosen_on = "val" if config.val_split > 0 else "test"

        self.net = make_net(config).to(self.device)
        start = None if config.resume is None else last_checkpoint(config.resume)
        if config.pre_train is not None and start is None:
            load_weights(self.net, read_checkpoint(config.pre_train)["net"], config.pre_train)
        if config.sync_bn:
            synchronise_batch_norms(self.net)
        self.average = Average(self.net, config.ema) if config.ema > 0 else None
        self.optimizer = make_optimizer(config, self.net)
        self.scheduler = make_scheduler(config, self.optimizer)
        scaled = self.amp and self.amp_dtype == torch.float16
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=scaled)
        self.loss = SpikingLoss(config.loss_lambda, config.loss_means, config.mse_n_reg, config.label_smoothing)
        self.loaders = self.engine.first(self._make_loaders)
        self.steps_per_epoch = -(-len(self.loaders["train"]) // config.accumulate)

        self.epoch = 0
        self.step = 0
        self.global_step = 0
        self.running = RunningScores(self.device)
        self.monitor = LayerMonitor(self.net, self.device, config.log_firing_rates)
        self.norms = GradientNorms(self.device)
        self.guard = FiniteGuard(self.device, patient=scaled)
        self.best = -math.inf
        self.inherited_best = 0.0
        self.history: list[Row] = []
        self.ended: str | None = None
        self._signum: int | None = None
        self._warned: set[str] = set()
        self.resumed_from = None if config.resume is None else run_of(config.resume) / LAST
        if start is not None:
            self._resume(start)
        self.computation = self.engine.wrap(Computation(self.net, config.multiple_step))

    @property
    def evaluated_net(self) -> nn.Module:
        """The network that is evaluated and saved as "net": the average of the weights where there is one."""
        return self.net if self.average is None else self.average.net

    def end(self, reason: str) -> None:
        """End the run after the present step, or after the present epoch's evaluation; `reason` is told."""
        self.ended = self.ended or reason

    def fit(self) -> Result:
        """Run what is left of the training."""
        log = self._open()
        self._first_step = self.global_step
        self._deadline = time.monotonic() + (self.config.max_time or math.inf)
        try:
            self._call("on_start")
            with StopRequest() as self._stop:
                while self.step == self.steps_per_epoch or not self._is_over():
                    if self.step == self.steps_per_epoch:
                        self._finish_epoch(log)
                    else:
                        self._train_epoch()
                history = self._finish_partial_epoch(log) if self.step > 0 else self.history
        finally:
            if log is not None:
                log.close()
        if not history:
            raise InputError(f"nothing to train: {self.config.resume} has all {self.config.epochs} epochs already")
        summary = summarise(history, self.chosen_on)
        result = Result(self.folder.path, history, summary)
        self.engine.only_first(lambda: self.folder.write_text("summary.json", json.dumps(summary, indent=2)))
        self._call("on_end", result)
        return result

    def _make_loaders(self) -> dict[str, Loader]:
        config = self.config
        common: dict[str, Any] = {
            "root": config.data_dir,
            "batch_size": config.b,
            "T": config.T,
            "device": self.device,
            "val_split": config.val_split,
            "workers": config.j,
            "rank": self.engine.rank,
            "world_size": self.engine.world_size,
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

    def _resume(self, path: Path) -> None:
        content = read_last(path)
        restore(self, content, str(path))
        self.resumed_from = path
        if path.resolve() == (self.folder.path / LAST).resolve() and "progress" in content:
            self.folder.remember(content)

    def _open(self) -> MetricsLog | None:
        """The run's folder, ready; the log of the first process."""
        self.engine.only_first(lambda: self.folder.open(self.config, self.resumed_from))
        if self.config.save_init and self.global_step == 0:
            self._save("checkpoint_0.pth")
        size = sum(p.numel() for p in self.net.parameters()) / 1e6
        self._say(f"{size:.2f} M parameters, run folder {self.folder.path}")
        resumed = self.resumed_from is not None
        return self.engine.only_first(lambda: MetricsLog(self.folder.path, self.history, resumed))

    def _is_over(self) -> bool:
        """Whether the run ends here; all processes agree, and `ended` says why."""
        config = self.config
        if self.epoch >= config.epochs:
            self.end("all epochs are done")
        elif config.max_steps and self.global_step >= config.max_steps:
            self.end(f"{self.global_step} steps are done")
        elif config.early_stop and self.step == 0 and self._epochs_since_best() >= config.early_stop:
            self.end(f"no better epoch for {config.early_stop} epochs")
        elif self.global_step > self._first_step and time.monotonic() > self._deadline:
            self.end(f"{config.max_time:g} seconds are over")
        signum = self._stop.signum or 0
        over, self._signum = (int(flag) for flag in self.engine.largest([self.ended is not None, signum]))
        return over > 0

    def _epochs_since_best(self) -> int:
        scores = [row[f"{self.chosen_on}_top1"] for row in self.history]
        return len(scores) - 1 - scores.index(max(scores)) if scores else 0

    def _train_epoch(self) -> None:
        """The steps of the epoch that are left, or fewer where the run is over."""
        self._exchange_if_due()
        self.net.train()
        loader = self.loaders["train"]
        shares = loader.shares(self.epoch, self.step * self.config.accumulate)
        title = f"epoch {self.epoch + 1}/{self.config.epochs}"
        shown = began = time.perf_counter()
        before, seen = self.running.seconds, self._samples_before(self.step)
        with progress_bar(loader.num_samples, title, self.quiet, initial=seen) as bar:
            while self.step < self.steps_per_epoch:
                total = self._samples_before(self.step + 1) - self._samples_before(self.step)
                loss = self._train_step(shares, total)
                self.step += 1
                self.global_step += 1
                now = time.perf_counter()
                self.running.seconds = before + now - began
                bar.update(total)
                if not self.quiet and now - shown > 0.5:
                    (mean, top1), shown = self.running.glance(), now
                    bar.set_postfix(loss=f"{mean:.4f}", top1=f"{top1:.2%}", refresh=False)
                if self.config.checkpoint_every and self.step % self.config.checkpoint_every == 0:
                    self._require_finite()
                    self._save(LAST)
                self._call("on_step", loss)
                over = self._is_over()
                self._stop_if_asked()
                if over:
                    return

    def _samples_before(self, step: int) -> int:
        return min(step * self.config.accumulate * self.config.b, self.loaders["train"].num_samples)

    def _train_step(self, shares: Iterator[Share], total: int) -> Tensor:
        """One step of the optimiser on the next batches, `total` samples in all processes; the last batch's loss."""
        config = self.config
        if not config.sync_bn:
            self.engine.share_buffers(self.net)
        self.optimizer.zero_grad()
        batches = -(-total // config.b)
        for number in range(batches):
            with self.engine.no_sync(self.computation, enabled=number < batches - 1):
                loss = self._add_gradient(next(shares), total)
        if self.device.type == "cpu":
            self._require_finite()
        elif not self.scaler.is_enabled():
            self.guard.protect(self.optimizer)
        if config.clip_grad_norm or config.log_grad_norm:
            self.scaler.unscale_(self.optimizer)
            limit = config.clip_grad_norm or math.inf
            norm = nn.utils.clip_grad_norm_(self.net.parameters(), limit)
            if config.log_grad_norm:
                self.norms.add(norm)
        with scaled_rate(self.optimizer, self._warmup_factor()):
            self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.average is not None:
            self.average.update(self.net)
        return loss

    def _warmup_factor(self) -> float:
        steps = self.config.warmup_epochs * self.steps_per_epoch
        return min(1.0, (self.global_step + 1) / steps) if steps > 0 else 1.0

    def _add_gradient(self, share: Share, total: int) -> Tensor:
        """Add the gradient of a batch's share to the step's, weighted so that every sample of the step counts alike."""
        idle = len(share.labels) == 0
        with ExitStack() as stack:
            if not idle:
                stack.enter_context(self.monitor.watching(self.net, self.step))
            logits, labels = self._compute(share, self.computation)
        loss = self.loss(logits, labels)
        weight = len(share.labels) * self.engine.world_size / total
        self.scaler.scale(loss if weight == 1 else loss * weight).backward()
        if not idle:
            self.guard.note(loss, self.global_step)
            shown = loss.detach().nan_to_num(0, 0, 0) if self.guard.patient else loss
            self.running.add(shown, logits, labels)
        return loss.detach()

    def _compute(self, share: Share, computation: nn.Module) -> tuple[Tensor, Tensor]:
        """Logits and labels of a share; an empty one is stood in for by a sample that must not count."""
        images, labels, keys, _ = share
        idle = len(labels) == 0
        if idle:
            images = images.new_zeros([size or 1 for size in images.shape])
            labels, keys = labels.new_zeros(1, *labels.shape[1:]), keys.new_zeros(1)
        if self.config.sync_bn:
            set_idle(self.net, idle)
        if self.config.drop_rate > 0:
            key_dropout(self.net, keys)
        if self.config.dtype == "float64":
            images = images.double()
        with torch.autocast(self.device.type, self.amp_dtype) if self.amp else nullcontext():
            return computation(images), labels

    def _finish_epoch(self, log: MetricsLog | None) -> None:
        self._require_finite()
        row = self._row()
        with warnings.catch_warnings():  # torch does not see that the optimiser stepped before a resume
            warnings.filterwarnings("ignore", message="Detected call of `lr_scheduler.step")
            self.scheduler.step()
        self.epoch, self.step, self.running = self.epoch + 1, 0, RunningScores(self.device)
        self.monitor.reset()
        self.norms = GradientNorms(self.device)
        self.guard.begin_epoch()
        self.history.append(row)
        if log is not None:
            log.add(self.history)
        score = row[f"{self.chosen_on}_top1"]
        improved, self.best = score > self.best, max(self.best, score)
        if improved:
            self._save(BEST)
        self._save(LAST)
        self._say(describe(row, self.config.epochs))
        self._call("on_epoch", row)

    def _finish_partial_epoch(self, log: MetricsLog | None) -> list[Row]:
        """Evaluate where a limit ended the run within an epoch; a run that goes on from here goes on as if it had not.

        The rows of the run with the partial epoch's as the last one.
        """
        self._require_finite()
        self._save(LAST)
        row = self._row()
        rows = [*self.history, row]
        if log is not None:
            log.add(rows)
        if row[f"{self.chosen_on}_top1"] > self.best:
            self._save(BEST)
        self._say(describe(row, self.config.epochs))
        self._call("on_epoch", row)
        return rows

    def _row(self) -> Row:
        """The figures of the epoch so far, and those of an evaluation."""
        reduce = self.engine.sum
        row: Row = {"epoch": self.epoch, "lr": self.optimizer.param_groups[0]["lr"]}
        row |= columns("train", self.running.scores(reduce))
        rates = self.monitor.rates(reduce(self.monitor.counts))
        if self.config.log_grad_norm:
            row |= self.norms.row()
        if self.guard.patient:
            row["train_skipped_steps"] = self.guard.skipped()
        if self.config.log_firing_rates:
            row |= {f"rate_{name}": rate for name, rate in rates.items()}
        for name, fault in unhealthy(rates, self.net).items():
            self._warn(f"{name} {fault}", f"layer {name} {fault} in epoch {self.epoch + 1}")
        self.engine.share_buffers(self.evaluated_net)
        for part in ("val", "test"):
            if part in self.loaders:
                check_stop = self._stop_if_asked_here if self.engine.world_size == 1 else lambda: None
                row |= columns(part, self._evaluate(self.loaders[part], check_stop))
        return row

    def _evaluate(self, loader: Loader, check_stop: Any) -> Scores:
        arguments: dict[str, Any] = {} if self.engine.world_size == 1 else {"reduce": self.engine.sum}
        return evaluate(self.evaluated_net, loader, self.loss, self.quiet, check_stop, **arguments)

    def _exchange_if_due(self) -> None:
        config = self.config
        due = config.exchange_neuron and self.epoch >= config.exchange_epoch
        if due and self.net.config["neuron"] != config.exchange_neuron:
            exchange_neurons(self.net, config.exchange_neuron)
            if self.average is not None:
                exchange_neurons(self.average.net, config.exchange_neuron)
            self._say(f"epoch {self.epoch + 1} begins with {config.exchange_neuron} neurons")

    def _require_finite(self) -> None:
        """Raise `InputError` for a loss that was not finite, with the layer, before a checkpoint is overwritten."""
        failed = self.guard.failed_step()
        number = self.engine.largest([-1.0 if failed is None else float(failed)])[0]
        if number < 0:
            return
        step = int(number) - (self.global_step - self.step)
        traces = [trace for trace in self.engine.gather_object(self._trace(step)) if trace is not None]
        value, cause = traces[0] if traces else (math.nan, "not found in a second pass")
        last = self.folder.path / LAST
        good = f"the last good checkpoint is {last}" if last.is_file() else "there is no checkpoint before it"
        raise self._mistake(
            f"the loss became {value} in epoch {self.epoch + 1}, step {step + 1} of {self.steps_per_epoch}; first not "
            f"finite: {cause}; {good}; try a lower -lr, -clip_grad_norm 1, or -amp False"
        )

    def _trace(self, step: int) -> tuple[float, str] | None:
        """The loss of a step of this epoch, computed again, and where it stops being finite; None if it does not."""
        accumulate = self.config.accumulate
        shares = itertools.islice(self.loaders["train"].shares(self.epoch, step * accumulate), accumulate)
        computation = Computation(self.net, self.config.multiple_step)
        return trace(self.net, (partial(self._loss_of, share, computation) for share in shares))

    def _loss_of(self, share: Share, computation: nn.Module) -> Tensor:
        return self.loss(*self._compute(share, computation))

    def _mistake(self, message: str) -> BaseException:
        return InputError(message) if self.engine.is_first else Follower(2)

    def _stop_if_asked_here(self) -> None:
        self._signum = self._stop.signum
        self._stop_if_asked()

    def _stop_if_asked(self) -> None:
        """Save and raise `Interrupted` where a signal came."""
        if not self._signum:
            return
        self._require_finite()
        self._save(LAST)
        where = f"epoch {self.epoch + 1}, step {self.step} of {self.steps_per_epoch}"
        path = self.folder.path / LAST
        message = f"stopped in {where}; to continue, add to the same command: -resume {path}"
        if not self.engine.is_first:
            raise Follower(128 + self._signum)
        raise Interrupted(self._signum, message)

    def _save(self, name: str) -> None:
        """Write a checkpoint of this moment; all processes take part, the first one writes."""
        content = capture(self)
        self.engine.only_first(lambda: self.folder.save(name, content))

    def _call(self, hook: str, *arguments: Any) -> None:
        if self.engine.is_first:
            for callback in self.callbacks:
                getattr(callback, hook)(self, *arguments)

    def _warn(self, key: str, message: str) -> None:
        """Say once in a run what is wrong."""
        if key not in self._warned and self.engine.is_first:
            logger.warning(message)
            self._call("on_warning", message)
        self._warned.add(key)

    def _say(self, text: str) -> None:
        if not self.quiet:
            print(text, flush=True)
