"""One process or several: the rank and device of this process, and the communication between processes.

Lightning Fabric starts and joins them: `--devices N --nodes M` starts processes, torchrun and SLURM start their own. A
single process does not need Fabric.
"""

import atexit
import gc
import inspect
import logging
import os
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from clif.devices import choose_device
from clif.errors import InputError
from clif.names import model_descriptions, neuron_names
from clif.train.config import TrainConfig
from clif.train.launcher_environment import launched_processes, launcher

Value = TypeVar("Value")

LOST = re.compile("closed by peer|reset by peer|broken pipe|remote process exited", re.IGNORECASE)
"""What the errors of gloo and NCCL say if another process has ended."""


class Follower(SystemExit):
    """Ends a process quietly because the first one reported an error; the code is the exit code."""


def with_processes(config: TrainConfig) -> None:
    """Set `devices` and `nodes` to those of torchrun or SLURM. Raises `InputError` if the given values differ."""
    launched = launched_processes()
    if launched is None:
        return
    if (config.devices, config.nodes) not in ((1, 1), launched):
        raise InputError(
            f"--devices {config.devices} --nodes {config.nodes}, but {launched[0]} processes were started on each of "
            f"{launched[1]} machines; leave both options out"
        )
    config.devices, config.nodes = launched


def is_first_process() -> bool:
    """Whether this is the process that prints, before and after there is an `Engine`."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank() == 0
    return launched_processes() is None or int(os.environ.get("RANK", os.environ.get("SLURM_PROCID", "0"))) == 0


class Engine:
    """This process among `world_size`: its `rank`, its `device`, and exchanges, which all processes must call alike.

    Creating one starts the other processes if they do not run yet. Parameters of the user's own network (`own_net`),
    model or neuron need not contribute to the loss. Raises `InputError` for a device that does not exist, and if
    Lightning Fabric is needed and missing.
    """

    def __init__(self, config: TrainConfig, own_net: bool = False) -> None:
        self.device = choose_device(config.device)
        self.world_size = config.devices * config.nodes
        self.rank = 0
        self._fabric: Any = None
        if self.world_size > 1:
            own = own_net or config.model not in model_descriptions() or config.neuron not in neuron_names()
            self._fabric = _launch(config, self.device, find_unused=own)
            self.device, self.rank = self._fabric.device, self._fabric.global_rank
            nccl = dist.get_backend() == "nccl"
            self._control = dist.new_group(backend="gloo") if nccl else dist.group.WORLD

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that writes and prints."""
        return self.rank == 0

    def wrap(self, module: nn.Module) -> nn.Module:
        """A module whose backward pass averages the gradients over the processes."""
        return module if self._fabric is None else self._fabric.setup_module(module)

    def no_sync(self, module: nn.Module, enabled: bool) -> AbstractContextManager[Any]:
        """A context in which the backward pass of a wrapped `module` does not average gradients, if `enabled`."""
        return nullcontext() if self._fabric is None else self._fabric.no_backward_sync(module, enabled=enabled)

    def first(self, function: Callable[[], Value]) -> Value:
        """Call `function` in the first process, then in all others; an `InputError` in the first one ends all."""
        value: Any = None
        if self.is_first:
            value = self.only_first(function)
        else:
            self.only_first(function)
            value = function()
        return value

    def only_first(self, function: Callable[[], Value]) -> Value | None:
        """Call `function` in the first process only, while the others wait; its `InputError` ends all."""
        value, error = None, None
        if self.is_first:
            try:
                value = function()
            except InputError as mistake:
                error = mistake
        if self._fabric is not None:
            failed = self.largest([float(error is not None)])[0] > 0
            if failed and not self.is_first:
                raise Follower(2)
        if error is not None:
            raise error
        return value

    def everywhere(self, function: Callable[[], Value]) -> Value:
        """Call `function` in all processes at once; an `InputError` in any of them ends all processes."""
        value: Any = None
        try:
            value, mistake = function(), None
        except InputError as error:
            mistake = error
        if self._fabric is None and mistake is not None:
            raise mistake
        self._end_if(self.gather_object(None if mistake is None else str(mistake)))
        return value

    def require_alike(self, value: Any, otherwise: str) -> None:
        """Raise `InputError` with the words `otherwise` unless all processes call it with equal values."""
        values = self.gather_object(value)
        self._end_if([None if other == values[0] else otherwise for other in values])

    def _end_if(self, mistakes: list[str | None]) -> None:
        """End all processes if there is a mistake in the list, which is the same in all of them."""
        if (mistake := next((one for one in mistakes if one is not None), None)) is not None:
            raise InputError(mistake) if self.is_first else Follower(2)

    @contextmanager
    def naming_lost_processes(self) -> Iterator[None]:
        """A context in which the error of a connection to a process that has ended is one `InputError`."""
        try:
            yield
        except RuntimeError as error:
            if self._fabric is None or not LOST.search(str(error)):
                raise
            if not self.is_first:
                raise Follower(2) from error
            raise InputError(
                "another process of this training ended; its own message says why. Checkpoints that were written are "
                "whole"
            ) from error

    def largest(self, values: list[float]) -> list[float]:
        """The largest value in any process, for each value; exchanged on the CPU, so no GPU waits."""
        if self._fabric is None:
            return values
        tensor = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(tensor, dist.ReduceOp.MAX, group=self._control)
        return tensor.tolist()

    def gather(self, tensor: Tensor) -> Tensor:
        """[world_size, *]: the tensor of every process."""
        if self._fabric is None:
            return tensor[None]
        parts = [torch.empty_like(tensor) for _ in range(self.world_size)]
        dist.all_gather(parts, tensor)
        return torch.stack(parts)

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum of the tensors of all processes, the same in each."""
        return self.gather(tensor).sum(0)

    def gather_object(self, value: Value) -> list[Value]:
        """The value of every process, of any type that can be pickled."""
        if self._fabric is None:
            return [value]
        values: list[Any] = [None] * self.world_size
        dist.all_gather_object(values, value, group=self._control)
        return values

    def tell(self, value: Value) -> Value:
        """The first process's value, of any type that can be pickled, in all processes."""
        if self._fabric is None:
            return value
        values = [value]
        dist.broadcast_object_list(values, 0, group=self._control)
        return values[0]

    def share_state(self, net: nn.Module) -> None:
        """Give all processes the first one's weights and buffers."""
        if self._fabric is not None:
            for value in net.state_dict(keep_vars=True).values():
                dist.broadcast(value.detach(), 0)

    def share_buffers(self, net: nn.Module) -> None:
        """Give all processes the first one's floating-point buffers, such as running statistics."""
        buffers = [buffer for buffer in net.buffers() if buffer.is_floating_point()]
        if self._fabric is None or not buffers:
            return
        flat = torch.cat([buffer.flatten() for buffer in buffers])
        dist.broadcast(flat, 0)
        for buffer, values in zip(buffers, flat.split([b.numel() for b in buffers]), strict=True):
            buffer.copy_(values.view_as(buffer))


def _launch(config: TrainConfig, device: torch.device, find_unused: bool) -> Any:
    """A Fabric with its processes started and joined."""
    try:
        from lightning_fabric import Fabric
        from lightning_fabric.plugins.environments.lightning import LightningEnvironment
        from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
        from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
        from lightning_fabric.strategies.ddp import DDPStrategy
    except ImportError as error:
        raise InputError(
            f'training with several processes needs Lightning Fabric ({error}): pip install "clif-snn[distributed]"'
        ) from error
    if device.type == "cuda" and device.index is not None:
        raise InputError(f"--device {config.device} is one GPU; with --devices {config.devices} use --device cuda")
    if device.type == "cuda" and torch.cuda.device_count() < config.devices:
        hint = f"; let every task see them all: --gpus-per-node={config.devices}" if launcher() == "slurm" else ""
        raise InputError(f"--devices {config.devices}, but {torch.cuda.device_count()} GPUs are visible here{hint}")
    logging.getLogger("lightning.fabric").setLevel(logging.WARNING)
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    known = inspect.signature(DistributedDataParallel).parameters
    name = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"
    options: dict[str, Any] = {name: False, "gradient_as_bucket_view": True, "find_unused_parameters": find_unused}
    warnings.filterwarnings("ignore", "find_unused_parameters=True was specified")
    environments = {"torchrun": TorchElasticEnvironment, "slurm": SLURMEnvironment, None: LightningEnvironment}
    if launcher() == "slurm":  # the values of the step; Fabric would read those of the job
        step = {"SLURM_NTASKS": config.devices * config.nodes, "SLURM_NTASKS_PER_NODE": config.devices}
        os.environ.update({name: str(value) for name, value in (step | {"SLURM_NNODES": config.nodes}).items()})
    fabric = Fabric(
        accelerator=device.type,
        devices=config.devices,
        num_nodes=config.nodes,
        strategy=DDPStrategy(**options),
        plugins=[environments[launcher()]()],
    )
    fabric.launch()
    # Fabric leaves the group at exit, but a DistributedDataParallel refers to itself and holds the group, whose threads
    # would then outlive the interpreter and abort it. Functions of atexit run in reverse order, so this one goes first.
    atexit.register(gc.collect)
    return fabric
