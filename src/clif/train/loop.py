"""The training loop: epochs of steps, an evaluation after each, and checkpoints for an exact resume."""

import dataclasses
import json
import logging
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from clif.errors import InputError
from clif.evaluation import RunningScores, Scores, evaluate
from clif.layers import key_dropout
from clif.loss import Loss
from clif.models import SpikingNetwork
from clif.models.layer_options import undescribed
from clif.neurons import reset_net
from clif.paths import expand_home
from clif.precision import first_time, slow_warning
from clif.progress import progress_bar
from clif.train.callbacks import Callback, make_loggers
from clif.train.components import Computation
from clif.train.config import TrainConfig, resolve
from clif.train.effects import check_effect, check_stages, missed_exchange
from clif.train.engine import Engine, with_processes
from clif.train.folder import RunFolder, find_start, run_of
from clif.train.interrupt import GONE, SIGPIPE, Interrupted, StopRequest
from clif.train.learner import NOTHING
from clif.train.metrics import MetricsLog, Result, Row, columns, describe, scored_epochs, summarise
from clif.train.monitor import GradientNorms, unhealthy
from clif.train.own import Own
from clif.train.resume import BEST, LAST, SUMMARY, check_options, other_run
from clif.train.schedules import finish_epoch
from clif.train.state import precision_of, random_state, restore
from clif.train.stoppable import Stoppable
from clif.user_code import differences, imported

logger = logging.getLogger("clif.train")


def fit(
    config: TrainConfig,
    quiet: bool = False,
    callbacks: Sequence[Callback] = (),
    folder: str | Path | None = None,
    *,
    net: nn.Module | None = None,
    loaders: Mapping[str, Iterable[tuple[Tensor, Tensor]]] | None = None,
    optimizer: Optimizer | None = None,
    scheduler: LRScheduler | None = None,
    loss: Loss | None = None,
) -> Result:
    """Train with `config`, in `folder` or `config.run_folder()`; an earlier run there is kept under another name.

    Your own objects replace those that `config` would create:

    - `net`: any module from x to logits [T, N, classes], or [N, classes] for T = 1. It is trained in place; its neurons
      are reset before every batch.
    - `loaders`: iterables of (x, y) under "train" and optionally "test" and "val"; "val" then chooses the best epoch. x
      is [N, …] or [T, N, …], y int64 [N] or soft labels [N, classes]. "train" must have a length.
    - `optimizer` for the parameters of `net`, and `scheduler` for this optimiser. The schedule advances with every
      epoch, or with every step if it is a OneCycleLR or CyclicLR or with `config.lr_by_step`. ReduceLROnPlateau gets
      the loss (mode "min") or the accuracy (mode "max") of "val", else of "train".
    - `loss`: a function from logits [T, N, classes] and labels to a scalar, the mean over the samples.

    To resume a run, use the same objects and `config.resume`. If the training loader cannot start in the middle of an
    epoch, as `clif.data.Loader` can, the run resumes from the last complete epoch. It gives the same numbers if all
    random numbers come from torch's generator or the `generator` of a DataLoader or its sampler, as the order of a
    DataLoader without `persistent_workers` does.

    The folder contains config.yaml, environment.json, metrics.csv, TensorBoard events, summary.json and the
    checkpoints. `callbacks` are called during the run and may end it. Raises `InputError` for wrong input, and
    `Interrupted` after Ctrl-C or SIGTERM, when the last checkpoint holds the state.

    >>> config = clif.train.resolve("digits", neuron="CLIF", max_steps=10, T=2)
    >>> result = clif.train.fit(config, quiet=True)
    >>> result.history[-1]["test_top1"] > 0.1
    True
    """
    return Trainer(config, quiet, callbacks, folder, Own(net, loaders, optimizer, scheduler, loss)).fit()


class Trainer(Stoppable):
    """A run in progress: epochs of steps, their figures, checkpoints and logs, and the reason for its end."""

    def __init__(
        self,
        config: TrainConfig,
        quiet: bool = False,
        callbacks: Sequence[Callback] = (),
        folder: str | Path | None = None,
        own: Own = NOTHING,
    ) -> None:
        config = own.adapt(resolve(**dataclasses.asdict(config)))
        own.note()
        self.own = own
        with_processes(config)
        engine = Engine(config, own.net is not None)
        code = [(one["module"], one["sha256"]) for one in imported()]
        engine.require_alike(
            code, "--import: another process imported different code; give all machines the same files"
        )
        self.quiet = quiet or not engine.is_first
        loggers = engine.only_first(lambda: make_loggers(config.logger_names()))
        self.callbacks = [*callbacks, *(loggers or [])]
        path = own.run_folder(config) if folder is None else Path(expand_home(folder))
        run_folder = RunFolder(path, config.keep_last, own.begins_anywhere)
        engine.only_first(run_folder.lock)
        try:
            self._make_or_load(config, engine, run_folder)
        except BaseException:
            run_folder.release()
            raise

    def _make_or_load(self, config: TrainConfig, engine: Engine, run_folder: RunFolder) -> None:
        begins_anew = ""
        if config.resume == "auto":
            config.resume = str(run_folder.path) if run_folder.is_begun() else None
            if config.resume is None:
                begins_anew = f"no run to resume in {run_folder.path}: starting a new run"
                begins_anew += other_run(run_folder.path, config, self.own.digests())
        engine.first(lambda: check_stages(config))
        if config.resume is None:
            engine.first(lambda: check_effect(config, self.own.names()))
        start, content, begins_elsewhere = engine.first(lambda: find_start(config.resume, self.own.begins_anywhere))
        changes = ""
        if content is not None:
            objects = engine.first(lambda: self.own.check_same(content, str(start)))
            options = engine.first(lambda: check_options(config, content, str(start)))
            changes = ", ".join(filter(None, (options, objects)))
        made_for = config if start is None else dataclasses.replace(config, pre_train=None)
        super().__init__(made_for, engine, run_folder, self.own)
        self.config = config
        self._warned: set[str] = set()
        self.resumed_from = None if config.resume is None else run_of(config.resume) / LAST
        self._precision_before: str | None = None
        if start is not None and content is not None:
            engine.first(lambda: self._resume(start, content))
        imports = [f"{start}: {line}" for line in differences((content or {}).get("imports"))]
        continued = changes and f"the run continues with {changes}"
        fresh = self.fresh_key and (
            f"{config.pre_train}: has other classes, so the last layer keeps its fresh weights ({self.fresh_key})"
        )
        for note in (begins_anew, begins_elsewhere, continued, missed_exchange(config), fresh, *imports):
            if note and engine.is_first:
                logger.warning(note)

    def fit(self) -> Result:
        """Run the rest of the training."""
        try:
            result = self._fit()
        finally:
            self.folder.release()
            if self.own.net is not None:
                key_dropout(self.net, None)
                reset_net(self.net)
                self.own.give_back(self.config)
        if self._asked_to_stop() == SIGPIPE:
            raise Interrupted(SIGPIPE, f"{GONE}; complete: run folder {result.folder}")
        return result

    def _fit(self) -> Result:
        log = self._open()
        self._first_step = self.global_step
        self._deadline = time.monotonic() + (self.config.max_time or math.inf)
        try:
            self._call("on_start")
            self._say_precision()
            for line in undescribed(self.net):
                self._warn(line, line)
            if not self.is_positioned:
                self._say(
                    "an interrupted run resumes from its last complete epoch, because the loader cannot start "
                    "within one"
                )
            with self.engine.naming_lost_processes(), StopRequest() as self._stop, self._noticing_lost_workers():
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
            raise self._nothing_to_train()
        if self.global_step == self._first_step and self.engine.is_first:
            logger.warning("%s: nothing is left to train, because %s", self.folder.path, self.ended)
        summary = summarise(history[-1], self.history or history, self.chosen_on)
        summary["precision"] = self.precision.name
        result = Result(self.folder.path, history, summary)
        self.engine.only_first(lambda: self.folder.write_text(SUMMARY, json.dumps(summary, indent=2)))
        self._call("on_end", result)
        return result

    def _nothing_to_train(self) -> InputError:
        return InputError(f"nothing to train: {self.config.resume} already has all {self.config.epochs} epochs")

    def _resume(self, path: Path, content: dict[str, Any]) -> None:
        restore(self, content, str(path))
        if self.epoch + (self.step > 0) > self.config.epochs:
            raise self._nothing_to_train()
        self._precision_before = precision_of(content)
        self.resumed_from = path
        if path.resolve() == (self.folder.path / LAST).resolve() and "progress" in content:
            self.folder.remember(content)

    def _open(self) -> MetricsLog | None:
        """Prepare the run's folder; returns the log in the first process."""
        words = self.own.described()
        own = {"own": words, "objects": self.own.digests()} if words else None
        self.engine.only_first(lambda: self.folder.open(self.config, self.resumed_from, self.precision, own))
        if (start := self.resumed_from) is not None and self.chosen_on:
            best = summarise(self.history[-1], self.history, self.chosen_on)["best"]["epoch"] if self.history else -1
            self.engine.only_first(lambda: self.folder.set_later_best_aside(start, self.epoch, int(best)))
        if self.config.save_init and self.global_step == 0:
            self._save("checkpoint_0.pth")
        size = sum(p.numel() for p in self.net.parameters()) / 1e6
        self._say(f"{size:.2f} M parameters, run folder {self.folder.path}")
        resumed = self.resumed_from is not None
        return self.engine.only_first(lambda: MetricsLog(self.folder.path, self.history, resumed))

    def _say_precision(self) -> None:
        """Print the precision, once in a process, and warn if it is slow or differs from before."""
        precision, before = self.precision, self._precision_before
        line = f"precision: {precision}"
        if not self.quiet and first_time(line):
            self._say(line)
        if precision.slow and first_time(slow_warning(precision)):
            self._warn("slow precision", slow_warning(precision))
        if before not in (None, precision.name):
            self._warn("precision", f"resumed in {precision.name}, but the run was computed in {before} before")

    def _is_over(self) -> bool:
        """Whether the run ends here, which is the same in all processes; `ended` gives the reason."""
        config = self.config
        if self.epoch >= config.epochs:
            self.end("all epochs are done")
        elif config.max_steps and self.global_step >= config.max_steps:
            self.end(f"{self.global_step} steps are done")
        elif self.step == 0 and self._has_stalled(self.history):
            self.end(f"no improvement for {config.early_stop} epochs")
        elif self.global_step > self._first_step and time.monotonic() > self._deadline:
            self.end(f"the limit of {config.max_time:g} seconds is reached")
        signum = self._asked_to_stop() or 0
        over, self._signum = (int(flag) for flag in self.engine.largest([self.ended is not None, signum]))
        return over > 0

    def _has_stalled(self, rows: list[Row]) -> bool:
        """Whether the last `early_stop` of these epochs brought no improvement."""
        scores = [row[f"{self.chosen_on}_top1"] for row in scored_epochs(rows, self.chosen_on)]
        if not scores or not self.config.early_stop:
            return False
        return len(scores) - 1 - scores.index(max(scores)) >= self.config.early_stop

    def _train_epoch(self) -> None:
        """Run the remaining steps of the epoch, or fewer if the run ends."""
        if self.exchange_if_due():
            self._say(f"epoch {self.epoch + 1} begins with {self.config.exchange_neuron} neurons")
        self.begin_stage()
        self.net.train()
        loader = self.loaders["train"]
        shares = loader.shares(self.epoch, self.step * self.config.accumulate)
        title = f"epoch {self.epoch + 1}/{self.config.epochs}"
        shown = began = time.perf_counter()
        before, seen = self.running.seconds, self.samples_before(self.step) if self.is_positioned else 0
        with progress_bar(loader.num_samples, title, self.quiet, initial=seen) as bar:
            while self.step < self.steps_per_epoch:
                loss = self.train_step(shares)
                self.step += 1
                self.global_step += 1
                now = time.perf_counter()
                self.running.seconds = before + now - began
                bar.update(self.step_samples)
                if not self.quiet and now - shown > 0.5:
                    (mean, top1), shown = self.running.glance(), now
                    bar.set_postfix(loss=f"{mean:.4f}", top1=f"{top1:.2%}", refresh=False)
                if self.config.checkpoint_every and self.step % self.config.checkpoint_every == 0:
                    self.require_sound()
                    self._save(LAST)
                self._call("on_step", loss)
                over = self._is_over()
                self._stop_if_asked()
                if over:
                    return

    def _finish_epoch(self, log: MetricsLog | None) -> None:
        self.require_sound()
        self.begin_stage()
        row = self._row(is_whole=True)
        if not self.by_step:
            finish_epoch(self.scheduler, row)
        self.epoch, self.step, self.running = self.epoch + 1, 0, RunningScores(self.device)
        self.monitor.reset()
        self.norms = GradientNorms(self.device)
        self.guard.begin_epoch()
        self.history.append(row)
        if log is not None:
            log.add(self.history)
        if not self.chosen_on or row[f"{self.chosen_on}_top1"] > self.best:
            self.best = row.get(f"{self.chosen_on}_top1", self.best)
            self._save(BEST)
        self._save(LAST)
        self._say(describe(row, self.config.epochs))
        self._call("on_epoch", row)

    def _finish_partial_epoch(self, log: MetricsLog | None) -> list[Row]:
        """Evaluate after a limit ended the run within an epoch; a resumed run continues as if it had not ended.

        So a partial epoch is the best one only if there is no complete one, or if nothing chooses the best one, which
        is then the last. Returns the run's rows, that of the partial epoch last.
        """
        self.require_sound()
        self._save(LAST)
        self.begin_stage()
        row = self._row(is_whole=False)
        rows = [*self.history, row]
        if log is not None:
            log.add(rows)
        if not self.history or not self.chosen_on:
            self._save(BEST)
        self._say(describe(row, self.config.epochs))
        self._call("on_epoch", row)
        return rows

    def _row(self, is_whole: bool) -> Row:
        """The figures of the epoch, `is_whole` or so far, and those of an evaluation."""
        reduce = self.engine.sum
        row: Row = {"epoch": self.epoch, "lr": float(self.optimizer.param_groups[0]["lr"])}
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
        before = random_state(self)
        for part in ("val", "test"):
            if part in self.loaders and (part != "test" or self._is_tested(row, is_whole)):
                check_stop = partial(self._stop_in_evaluation, before) if self.engine.world_size == 1 else lambda: None
                row |= columns(part, self._evaluate(self.loaders[part], check_stop))
        return row

    def _is_tested(self, row: Row, is_whole: bool) -> bool:
        """Whether the epoch of this row is evaluated on the test set: with `test_at_end` only the last one."""
        if not self.config.test_at_end:
            return True
        return is_whole and (self.epoch + 1 == self.config.epochs or self._has_stalled([*self.history, row]))

    def _evaluate(self, loader: Any, check_stop: Any) -> Scores:
        arguments: dict[str, Any] = {} if self.engine.world_size == 1 else {"reduce": self.engine.sum}
        net = self.evaluated_net
        if not isinstance(net, SpikingNetwork):
            net = Computation(net, multiple_step=True).train(net.training)
        return evaluate(net, loader, self.loss, self.quiet, check_stop, **arguments)

    def _call(self, hook: str, *arguments: Any) -> None:
        if self.engine.is_first:
            for callback in self.callbacks:
                with self._noticing_a_lost_reader():
                    getattr(callback, hook)(self, *arguments)

    def _warn(self, key: str, message: str) -> None:
        """Warn of a problem once in a run."""
        if key not in self._warned and self.engine.is_first:
            logger.warning(message)
            self.folder.note_warning(self.epoch, message)
            self._call("on_warning", message)
        self._warned.add(key)

    def _say(self, text: str) -> None:
        if not self.quiet:
            with self._noticing_a_lost_reader():
                print(text, flush=True)
