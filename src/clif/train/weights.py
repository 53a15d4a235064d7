"""Weights in files of other programs: their place in the file and their names."""

from collections.abc import Iterable

from torch import Tensor

WEIGHTS = ("net", "state_dict", "model_state_dict", "model", "network", "net_state_dict", "module", "weights")
"""Keys under which programs save a state dict, the original's first."""

AVERAGES = ("ema", "model_ema", "state_dict_ema", "ema_state_dict", "ema_model", "averaged_model")
"""Keys of a moving average of the weights, which is used only if there are no other weights."""

COUNTERS = ("total_ops", "total_params")
"""The entries that thop adds to every module."""

BESIDE = ("n_averaged", "initted", "step")
"""The entries of an average besides its copy of the network."""

WRAPPERS = ("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
"""Modules that wrap another: DataParallel, torch.compile, FSDP, activation checkpointing; anywhere in a name."""

PARENTS = ("model", "net", "network", "ema_model", "student")
"""Attributes under which a larger module holds the network."""


def is_state_dict(value: object) -> bool:
    """Whether a value is a dictionary of tensors by name, with at least one weight."""
    return (
        isinstance(value, dict)
        and all(isinstance(key, str) and isinstance(entry, Tensor) for key, entry in value.items())
        and any(entry.dim() > 1 for entry in value.values())
    )


def find_weights(content: object, depth: int = 2) -> tuple[str, dict[str, Tensor]] | None:
    """The key of the weights in a file of another program ("" for a bare state dict), and the weights."""
    if is_state_dict(content):
        return "", content  # type: ignore[return-value]
    if not isinstance(content, dict) or depth == 0:
        return None
    for key in (*WEIGHTS, *AVERAGES):
        if found := find_weights(content.get(key), depth - 1):
            return f"{key}.{found[0]}".rstrip("."), found[1]
    return None


def fit_names(state_dict: dict[str, Tensor], own: Iterable[str]) -> dict[str, Tensor]:
    """A state dict with the names `own` of a network, if its names differ only in wrappers and counters."""
    own = set(own)
    if own == state_dict.keys() or not all(isinstance(key, str) for key in state_dict):
        return state_dict
    kept = {
        key: value
        for key, value in state_dict.items()
        if key in own or not (key.rpartition(".")[2] in COUNTERS or key in BESIDE)
    }
    for names in ((), WRAPPERS):
        plain = {_without(key, names): value for key, value in kept.items()}
        if len(plain) < len(kept):
            continue
        for parent in ("", *(f"{parent}." for parent in PARENTS)):
            inner = {key.removeprefix(parent): value for key, value in plain.items() if key.startswith(parent)}
            if own <= inner.keys():
                return inner
    return plain if len(plain) == len(kept) else kept


def _without(key: str, names: tuple[str, ...]) -> str:
    return ".".join(part for part in key.split(".") if part not in names)
