"""A training step: the network, its optimiser, and the checks of loss and gradient; runs are in `clif.train.loop`."""

import itertools
import math
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR

from clif.data import Dataset, Loader, create_loader
from clif.data.loader import Share
from clif.data.untrusted import naming
from clif.errors import InputError
from clif.evaluation import RunningScores, by_steps, loss_of
from clif.layers import key_dropout
from clif.loss import Distillation
from clif.models import SpikingNetwork
from clif.models.network import SET_BY_NETWORK
from clif.neurons import exchange_neurons
from clif.neurons.net import like_weights
from clif.precision import choose, common
from clif.random import epoch_seed
from clif.train.checkpoint import check_storable, load, load_weights, read_checkpoint, take_constants
from clif.train.components import Computation, check_images, make_net
from clif.train.config import TrainConfig
from clif.train.ema import Average
from clif.train.engine import Engine, Follower
from clif.train.folder import RunFolder
from clif.train.losses import make_loss, place_loss
from clif.train.metrics import Row
from clif.train.monitor import GradientNorms, LayerMonitor
from clif.train.nonfinite import FiniteGuard, first_bad_value, infinite_buffers, trace
from clif.train.optimizers import follow_parameters, make_optimizer
from clif.train.own import Own
from clif.train.own_loaders import is_positioned
from clif.train.resume import LAST
from clif.train.schedules import advance, is_by_step, make_scheduler, scaled_rate
from clif.train.sync_batch_norm import set_idle, synchronise_batch_norms
from clif.train.whiten import whiten_first_layer

NOTHING = Own()

WHITENED = 5_000
"""The number of images whose patches determine the filters of `whiten`."""


class Learner:
    """The network, its optimiser and its data in this process, at the position `epoch`, `step`.

    A step is one of the optimiser; `global_step` counts them over all epochs. `history` has the figures of the epochs
    so far, `best` the best `<chosen_on>_top1` of them, `inherited_best` the one that a checkpoint to continue from
    names. `chosen_on` is "val", "test" or, if no part of the data is evaluated after each epoch, "": the last epoch is
    best. `fresh_key` names the matrix of the last layer if it did not fit the weights of `pre_train`.
    """

    def __init__(self, config: TrainConfig, engine: Engine, folder: RunFolder, own: Own = NOTHING) -> None:
        self.config = config
        self.own = own
        self.engine = engine
        self.device = engine.device
        self.folder = folder
        self.precision = common(choose(self.device, config.amp, config.amp_dtype, config.dtype), engine.gather_object)
        if own.loaders is None:
            check_images(config)
        self.net: Any = make_net(config).to(self.device) if own.net is None else own.place(config, engine)
        self.loaders = engine.first(self._make_loaders) if own.loaders is None else own.place_loaders(engine)
        if config.size_stages and not getattr(self.net, "any_size", False):
            raise InputError(f"size_stages needs a network that takes images of any size; {config.model} does not")
        self.is_positioned = is_positioned(self.loaders["train"])
        self._infinite = infinite_buffers(self.net)
        if config.whiten:
            whiten_first_layer(self.net, self.loaders["train"].plain_images(WHITENED), config.seed)
        self.fresh_key: str | None = None
        if config.pre_train is not None:
            content = read_checkpoint(config.pre_train)
            self.fresh_key = load_weights(self.net, content["net"], config.pre_train, other_classes=True)
            if own.net is None:
                take_constants(self.net, content, config.pre_train, kept=SET_BY_NETWORK)
        if config.sync_bn:
            synchronise_batch_norms(self.net)
        self.average = Average(self.net, config.ema) if config.ema > 0 else None
        self.optimizer = own.optimizer or make_optimizer(config, self.net, self.precision)
        scaled = self.precision.dtype == torch.float16
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=scaled)
        self.loss = make_loss(config) if own.loss is None else own.loss
        self.teacher = None if config.teacher is None else self._load_teacher(config.teacher)
        self.steps_per_epoch = -(-len(self.loaders["train"]) // config.accumulate)
        self.scheduler = own.scheduler or make_scheduler(config, self.optimizer, self.steps_per_epoch)
        self.by_step = is_by_step(config, self.scheduler)
        stored: list[tuple[str, Any]] = [("optimiser", self.optimizer), ("schedule", self.scheduler)]
        if isinstance(self.loss, nn.Module):
            place_loss(self.loss, config, self.net, self.optimizer, engine)
            stored.append(("loss", self.loss))
        for what, thing in stored:
            check_storable(thing.state_dict(), f"the {what} {type(thing).__name__}")

        self.image_size = 0
        self.epoch = 0
        self.step = 0
        self.step_samples = 0
        self._kept: list[Share] = []
        self._is_checked = False
        self.global_step = 0
        self.running = RunningScores(self.device)
        self.monitor = LayerMonitor(self.net, self.device, config.log_firing_rates)
        self.norms = GradientNorms(self.device)
        self.guard = FiniteGuard(self.device, patient=scaled)
        self.computation = engine.wrap(Computation(self.net, config.multiple_step))
        if not engine.is_first:  # other random numbers than those by sample differ between processes
            torch.manual_seed(epoch_seed(config.seed, engine.rank))

        self.history: list[Row] = []
        tested = "test" in self.loaders and not config.test_at_end
        self.chosen_on = "val" if "val" in self.loaders else "test" if tested else ""
        self.best = -math.inf
        self.inherited_best = 0.0
        self.ended: str | None = None

    def end(self, reason: str) -> None:
        """End the run after the present step, or after the present epoch's evaluation; `reason` is printed."""
        self.ended = self.ended or reason

    @property
    def steps_of_run(self) -> int:
        """The steps to the present position with the present steps per epoch, which may differ from those before."""
        return self.epoch * self.steps_per_epoch + self.step

    @property
    def dataset(self) -> Dataset | None:
        """The data set of the training loader; None for a loader of your own."""
        loader = self.loaders["train"]
        return loader.dataset if isinstance(loader, Loader) else None

    def begin_stage(self) -> None:
        """Set the time steps and the image size of this epoch."""
        for net in {self.net, self.evaluated_net} if isinstance(self.net, SpikingNetwork) else ():
            net.T = self.config.time_steps(self.epoch)
        self.image_size = self.config.training_size(self.epoch)

    @property
    def evaluated_net(self) -> Any:
        """The network that is evaluated and saved as "net": the average of the weights if there is one."""
        return self.net if self.average is None else self.average.net

    def _make_loaders(self) -> dict[str, Any]:
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
            **config.reading(),
        }
        loaders = {
            "train": create_loader(
                config.dataset,
                train=True,
                seed=config.seed,
                cutupmix_auto=config.cutupmix_auto,
                augmentation=config.augmentation,
                **common,
            ),
            "test": create_loader(config.dataset, train=False, **common),
        }
        if config.val_split > 0:
            loaders["val"] = create_loader(config.dataset, train=True, validation=True, **common)
        return loaders

    def _load_teacher(self, path: str) -> SpikingNetwork:
        teacher = load(path, map_location=self.device).requires_grad_(False)
        return teacher.double() if self.config.dtype == "float64" else teacher.float()

    def samples_before(self, step: int) -> int:
        """The number of samples of an epoch, over all processes, before its step number `step`."""
        loader = self.loaders["train"]
        return min(step * self.config.accumulate * loader.batch_size, loader.num_samples)

    def _next_batches(self, shares: Iterator[Share]) -> tuple[Iterator[Share], int, int]:
        """The batches of the next step, how many they are, and how many samples they have in all processes."""
        accumulate, loader = self.config.accumulate, self.loaders["train"]
        if self.is_positioned:
            total = self.samples_before(self.step + 1) - self.samples_before(self.step)
            return shares, -(-total // loader.batch_size), total
        left = len(loader) - self.step * accumulate
        self._kept = [next(shares) for _ in range(min(accumulate, left))]
        return iter(self._kept), len(self._kept), sum(share.batch_size for share in self._kept)

    def train_step(self, shares: Iterator[Share]) -> Tensor:
        """One step of the optimiser on the next batches; this process's loss of the last of them."""
        config = self.config
        batches_of_step, batches, total = self._next_batches(shares)
        self.step_samples = total
        if not config.sync_bn:
            self.engine.share_buffers(self.net)
        self.optimizer.zero_grad()
        self.net.zero_grad()  # the optimiser may have only some of the parameters
        for number in range(batches):
            with self.engine.no_sync(self.computation, enabled=number < batches - 1):
                loss = self._add_gradient(next(batches_of_step), total)
        self._check_gradient()
        with scaled_rate(self.optimizer, self._warmup_factor()):
            self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.by_step:
            advance(self.scheduler)
        if self.average is not None:
            self.average.update(self.net)
        return loss

    def _check_gradient(self) -> None:
        """Measure the step's gradient, clip it, and check that it is finite (a scaler checks that itself)."""
        config, scaled = self.config, self.scaler.is_enabled()
        if config.clip_grad_norm or config.log_grad_norm or not scaled:
            self.scaler.unscale_(self.optimizer)
            norm = nn.utils.get_total_norm([p.grad for p in self.net.parameters() if p.grad is not None])
            if config.clip_grad_norm:
                nn.utils.clip_grads_with_norm_(self.net.parameters(), config.clip_grad_norm, norm)
            if config.log_grad_norm:
                self.norms.add(norm)
        if not scaled:
            self.guard.note(norm, self.global_step)
            if self.device.type == "cpu":
                self._require_finite()
            else:
                self.guard.protect(self.optimizer)

    def _warmup_factor(self) -> float:
        steps = 0 if isinstance(self.scheduler, OneCycleLR) else self.config.warmup_epochs * self.steps_per_epoch
        return min(1.0, (self.steps_of_run + 1) / steps) if steps > 0 else 1.0

    def _add_gradient(self, share: Share, total: int) -> Tensor:
        """Add the gradient of a batch's share to the step's, so that every sample of the step has equal weight."""
        idle = len(share.labels) == 0
        with ExitStack() as stack:
            if not idle:
                stack.enter_context(self.monitor.watching(self.net, self.step))
            check_steps = None if self._is_checked else stack.enter_context(by_steps(self.net))
            images, logits, labels = self._compute(share, self.computation)
        if check_steps is not None:
            check_steps(logits)
            self._is_checked = True
        loss = self._training_loss(images, logits, labels)
        if not isinstance(loss, Tensor) or loss.dim() > 0:
            shape = list(loss.shape) if isinstance(loss, Tensor) else type(loss).__name__
            raise InputError(f"the loss must be one number, the mean over the samples, got {shape}")
        if not loss.requires_grad:
            raise InputError(
                "the loss has no gradient: it must depend on a parameter that requires one, and must not be computed "
                "under torch.no_grad()"
            )
        weight = len(share.labels) * self.engine.world_size / total
        self.scaler.scale(loss if weight == 1 else loss * weight).backward()
        if not idle:
            self.guard.note(loss, self.global_step)
            shown = loss.detach().nan_to_num(0, 0, 0) if self.guard.patient else loss
            self.running.add(shown, logits, labels)
        return loss.detach()

    def _compute(self, share: Share, computation: nn.Module) -> tuple[Tensor, Tensor, Tensor]:
        """Images, logits and labels of a share; an empty share gets one sample that does not count."""
        images, labels, keys, _ = share
        idle = len(labels) == 0
        if idle:
            images = images.new_zeros([size or 1 for size in images.shape])
            labels, keys = labels.new_zeros(1, *labels.shape[1:]), None if keys is None else keys.new_zeros(1)
        if self.config.sync_bn:
            set_idle(self.net, idle)
        key_dropout(self.net, keys)
        images = like_weights(self.net, images)
        if self.config.T_stages and images.dim() > self.net.dims + 1:
            raise InputError(f"T_stages is for samples without time, got a sequence {list(images.shape)}")
        if self.image_size and self.net.training:
            if images.dim() != 4:
                raise InputError(f"size_stages is for images [N, C, H, W], got {list(images.shape)}")
            images = F.interpolate(images, size=(self.image_size,) * 2, mode="bilinear", antialias=True)
        with self.precision.autocast():
            logits = computation(images)
        if self.own.net is not None and logits.shape[1] != len(labels):
            raise InputError(
                f"the network must give logits [T, N, classes] or [N, classes], got {list(logits.shape)} for N = "
                f"{len(labels)} labels"
            )
        return images, logits, labels

    def _training_loss(self, images: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
        """The loss against the labels, and against the teacher if there is one; in float32 under mixed precision."""
        if self.precision.mixed:
            logits = logits.float()
        if self.teacher is None:
            return loss_of(self.loss, logits, labels)
        with torch.no_grad(), self.precision.autocast(), naming(f"the teacher {self.config.teacher}"):
            taught = self.teacher(images)
        if taught.shape[-1] != logits.shape[-1]:
            raise InputError(
                f"the teacher {self.config.teacher} has {taught.shape[-1]} classes, the network "
                f"{logits.shape[-1]}; use one that was trained on the same classes"
            )
        loss, config = partial(loss_of, self.loss), self.config
        distillation = Distillation(loss, config.teacher_weight, config.teacher_temperature)
        return distillation(logits, labels, taught)

    def exchange_if_due(self) -> bool:
        """Exchange the neurons if the configuration sets it for this epoch; returns whether it did."""
        config = self.config
        due = bool(config.exchange_neuron) and self.epoch >= config.exchange_epoch
        if not due or self.net.config["neuron"] == config.exchange_neuron:
            return False
        self.exchange()
        return True

    def exchange(self) -> None:
        """Exchange the neurons, and with them the average of the weights and the optimiser's parameters."""
        config = self.config
        exchange_neurons(self.net, config.exchange_neuron)
        if self.average is not None:
            self.average.exchange(self.net)
        if set(self.net.parameters()) != {p for group in self.optimizer.param_groups for p in group["params"]}:
            follow_parameters(config, self.optimizer, self.net)
            self.computation = nn.Identity()  # frees the wrapper of the former parameters first
            self.computation = self.engine.wrap(Computation(self.net, config.multiple_step))

    def _require_finite(self) -> None:
        """Raise `InputError` for a loss or gradient that was not finite, with the layer where it began."""
        failed = self.guard.failed_step()
        number = self.engine.largest([-1.0 if failed is None else float(failed)])[0]
        if number >= 0:
            step = int(number) - (self.global_step - self.step)
            traces = [trace for trace in self.engine.gather_object(self._trace(step)) if trace is not None]
            unknown = "not known" if not self.is_positioned and step != self.step else "the gradient"
            value, cause = traces[0] if traces else (0.0, unknown)
            what = "the gradient became not finite" if math.isfinite(value) else f"the loss became {value}"
            self._fail(f"{what} in epoch {self.epoch + 1}, step {step + 1}", cause)

    def require_sound(self) -> None:
        """Raise `InputError`, before a checkpoint is overwritten, if the loss or the weights were not finite."""
        self._require_finite()
        here = first_bad_value(self.net, self._infinite)
        bad = next((name for name in self.engine.gather_object(here) if name), None)
        if bad is not None:
            self._fail(f"weights became not finite in epoch {self.epoch + 1}, by step {self.step}", bad)

    def _fail(self, what: str, cause: str) -> None:
        last = self.folder.path / LAST
        good = f"the last good checkpoint is {last}" if last.is_file() else "there is no checkpoint before it"
        message = f"{what} of {self.steps_per_epoch}; first not finite: {cause}; {good}; "
        raise self._mistake(f"{message}try a lower --lr, --clip-grad-norm 1, or --amp False")

    def _trace(self, step: int) -> tuple[float, str] | None:
        """The loss of a step of this epoch, computed again, and the layer at which it is not finite, or None."""
        accumulate = self.config.accumulate
        if not self.is_positioned:
            shares: Iterator[Share] = iter(self._kept if step == self.step else ())
        else:
            shares = itertools.islice(self.loaders["train"].shares(self.epoch, step * accumulate), accumulate)
        computation = Computation(self.net, self.config.multiple_step)
        return trace(self.net, (partial(self._loss_of, share, computation) for share in shares))

    def _loss_of(self, share: Share, computation: nn.Module) -> Tensor:
        return self._training_loss(*self._compute(share, computation))

    def _mistake(self, message: str) -> BaseException:
        return InputError(message) if self.engine.is_first else Follower(2)
