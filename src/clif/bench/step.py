"""`clif bench step`: one training step of a network by clif, compared with the plain way to compute it."""

import dataclasses
import importlib
import json

import torch
from torch import Tensor

from clif import memory
from clif.bench import machine
from clif.bench.gate import left_out
from clif.bench.measure import measure, threads
from clif.bench.peak_memory import Peak, peak_of, print_peak
from clif.bench.report import Report, Row
from clif.bench.settings import StepSettings, select
from clif.bench.step_contestants import DEFAULT_WAYS, WAYS, Trainer, Way
from clif.devices import choose_device
from clif.user_code import import_code, imported

COLUMNS = ("of plain", "images/s", "peak MiB", "MiB before the step")

MEASURED_STEPS = 2  # in the process whose memory is measured; the second has the optimiser's state
GATE_STEPS = 3
GATE_BATCH = 4  # float64, element by element
AUTOCAST_BATCH = 16  # enough for the loss to be a mean of many
LOW_PRECISION_TOLERANCES = {"loss": 0.05, "norm": 0.15}


def run(settings: StepSettings) -> Report:
    """Measure the ways of `settings`: times in this process, the memory of each in a separate process."""
    device = choose_device(settings.device)
    settings = dataclasses.replace(settings, device=str(device))
    chosen = select(settings.contestants or DEFAULT_WAYS, WAYS)
    count = settings.threads or torch.get_num_threads()
    described = machine.describe(device, count)
    with threads(count):
        red: dict[str, str] = {}
        for name in chosen:
            slow = None if settings.contestants else left_out(name, _dtype(WAYS[name]), device)
            if slow is not None:
                red[name] = slow
            elif (reason := cannot_run(name, settings)) is not None:
                red[name] = reason
        timings = measure(
            {name: Trainer(WAYS[name], settings).step for name in chosen if name not in red}, settings.rounds, device
        )
        rows = []
        for name in chosen:
            if name in red:
                rows.append(Row(name, _dtype(WAYS[name]), None, red[name]))
                continue
            timing = timings[name]
            figures = {"images/s": settings.batch / timing.median * 1e3}
            if "plain" in timings:
                figures["of plain"] = timing.median / timings["plain"].median
            peak = peak_memory(name, settings, count)
            figures |= {"peak MiB": peak.most, "MiB before the step": peak.before}
            rows.append(Row(name, _dtype(WAYS[name]), timing, WAYS[name].describe, figures))
    memory.usual()
    return Report("step", dataclasses.asdict(settings), described, rows)


def cannot_run(name: str, settings: StepSettings) -> str | None:
    """The reason why no time is reported for a way (a missing package, or a wrong result), or None."""
    needs = WAYS[name].needs
    try:
        if needs:
            importlib.import_module(needs)
        reason = refuses(name, settings)
    except ImportError as error:
        return f"not installed: {error}"
    except RuntimeError as error:
        if not needs:
            raise
        return f"cannot run here: {error}"
    return None if reason is None else f"no time is reported: {reason}"


def _dtype(way: Way) -> str:
    return "float32" if way.autocast is None else str(way.autocast).removeprefix("torch.")


def peak_memory(name: str, settings: StepSettings, count: int) -> Peak:
    """The memory of two steps of a way in a fresh process."""
    imports = json.dumps([record["given"] for record in imported()])
    arguments = (name, json.dumps(dataclasses.asdict(settings)), str(count), imports)
    return peak_of(f"{__name__}:show_peak", *arguments, without=() if WAYS[name].lean else memory.ENVIRONMENT)


def show_peak(name: str, settings_json: str, count: str, imports_json: str) -> None:
    """The function that `peak_memory` runs in the process, which imports the user's code first."""
    import_code(json.loads(imports_json))
    settings = StepSettings(**json.loads(settings_json))
    if WAYS[name].lean:
        memory.lean()
    torch.set_num_threads(int(count))
    if needs := WAYS[name].needs:
        importlib.import_module(needs)

    def work() -> None:
        trainer = Trainer(WAYS[name], settings)
        for _ in range(MEASURED_STEPS):
            trainer.step()

    print_peak(work, torch.device(settings.device))


def refuses(name: str, settings: StepSettings) -> str | None:
    """Why a way's step differs from that of the plain way, on a small batch, or None if it does not.

    A float32 way is compared in float64, element by element. Autocast cannot be compared so: a rounded potential
    flips spikes, and an untrained network amplifies that from layer to layer, until only the norms of the gradients of
    its first layers agree. So these norms and the loss are compared.
    """
    way = WAYS[name]
    batch = GATE_BATCH if way.autocast is None else AUTOCAST_BATCH
    small = dataclasses.replace(settings, batch=batch, T=min(settings.T, GATE_STEPS))
    dtype = torch.float64 if way.autocast is None else torch.float32
    expected, actual = (_outcome(Trainer(way, small, dtype)) for way in (WAYS["plain"], way))
    return _differs(actual, expected) if way.autocast is None else _differs_in_scale(actual, expected)


def _outcome(trainer: Trainer) -> dict[str, Tensor]:
    logits, loss = trainer.gradients()
    gradients = {name: p.grad for name, p in trainer.parameters.items() if p.grad is not None}
    return {"logits": logits, "loss": loss, **gradients}


def _differs(actual: dict[str, Tensor], expected: dict[str, Tensor]) -> str | None:
    largest = max(1.0, *(value.abs().max().item() for value in expected.values()))
    for name, value in expected.items():
        error = (actual[name] - value).abs().max().item()
        if not error <= 1e-9 * largest:
            return f"in float64 its {name} differs by {error:.2g} from the plain way's"
    return None


def _differs_in_scale(actual: dict[str, Tensor], expected: dict[str, Tensor]) -> str | None:
    limits = LOW_PRECISION_TOLERANCES
    loss, wanted = actual["loss"].item(), expected["loss"].item()
    if not abs(loss - wanted) <= limits["loss"] * abs(wanted):
        return f"its loss is {loss:.4g}, the plain way's {wanted:.4g}"
    for name, value in expected.items():
        if name == "logits" or value.dim() < 2:
            continue
        ratio = (actual[name].float().norm() / value.norm()).item()
        if not abs(ratio - 1) <= limits["norm"]:
            return f"the gradient of {name} has {ratio:.2f} of the norm in the plain way"
    return None
