"""The settings of a benchmark. Nothing here imports torch, so the command line is fast."""

from collections.abc import Iterable
from dataclasses import dataclass

from clif.errors import InputError, unknown_name
from clif.names import known_names

DTYPES = ("float32", "bfloat16", "float16", "float64")
SWEEPS = ("T", "size")


def select(asked: Iterable[str], known: Iterable[str]) -> list[str]:
    """Those of the `known` contestants that are asked for, by name or by its beginning in any case; all for none.

    Raises `InputError` for a name that fits none of them.
    """
    known = list(known)
    chosen: set[str] = set()
    for name in asked:
        fits = [k for k in known if k.lower() == name.lower()]
        fits = fits or [k for k in known if k.lower().startswith(name.lower())]
        if not name or not fits:
            raise unknown_name("contestant", name, known)
        chosen.update(fits)
    return [name for name in known if name in chosen] if chosen else known


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of all benchmarks. `threads=None` takes torch's number; `contestants=()` takes all that can run."""

    device: str = "cpu"
    rounds: int = 20
    threads: int | None = None
    contestants: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, value in (("rounds", self.rounds), ("threads", self.threads)):
            if value is not None and value < 1:
                raise InputError(f"{name} must be at least 1, got {value}")


@dataclass(frozen=True, kw_only=True)
class NeuronSettings(Settings):
    """One layer of a registered neuron, forward and backward, on x_seq of `shape` [T, N, *].

    A sweep over "T" keeps the number of elements, one over "size" keeps T and changes the neurons. Axis 2 of the shape
    are the channels of a neuron that has coefficients by channel; a sweep keeps them.
    """

    shape: tuple[int, ...] = (6, 16, 64, 32, 32)
    neuron: str = "CLIF"
    dtypes: tuple[str, ...] = ("float32", "bfloat16")
    sweep: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.shape) < 2 or min(self.shape) < 1:
            raise InputError(f"shape must be T, N and the rest, each at least 1, got {list(self.shape)}")
        for kind, names, known in (
            ("dtype", self.dtypes, DTYPES),
            ("sweep", self.sweep, SWEEPS),
        ):
            for name in names:
                if name not in known:
                    raise unknown_name(kind, name, known)
        neurons = known_names("neuron")
        if self.neuron.lower() not in map(str.lower, neurons):
            raise unknown_name("neuron", self.neuron, neurons)


@dataclass(frozen=True, kw_only=True)
class StepSettings(Settings):
    """One training step of a network: forward, loss, backward and optimiser, on static images."""

    model: str = "spiking_resnet18"
    neuron: str = "CLIF"
    T: int = 6
    batch: int = 16
    image_size: int = 32
    num_classes: int = 10
    rounds: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("T", "batch", "image_size", "num_classes"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, got {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class InferSettings(Settings):
    """Inference of a network at some batch sizes, on `images` images: of a checkpoint's test set, or random ones."""

    model: str = "spiking_resnet18"
    neuron: str = "CLIF"
    T: int = 6
    batches: tuple[int, ...] = (1, 64)
    image_size: int = 32
    images: int = 100
    checkpoint: str | None = None
    data_dir: str | None = None
    rounds: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.device != "cpu":
            raise InputError("inference is timed on a CPU")
        for name, value in (("T", self.T), ("images", self.images), ("batch", min(self.batches, default=0))):
            if value < 1:
                raise InputError(f"{name} must be at least 1, got {value}")
