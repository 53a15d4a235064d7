"""The last layer of a network whose weights come from a training with other classes."""

from torch import Tensor


def keep_head(weights: dict[str, Tensor], own: dict[str, Tensor]) -> tuple[dict[str, Tensor], str | None]:
    """The weights with the last layer of `own`, and the key of its matrix, if only the number of its outputs differs.

    Otherwise the weights as they are, and None. If a layer before the last one had other outputs, the next layer would
    differ too.

    >>> weights, own = {"1.weight": torch.zeros(10, 4)}, {"1.weight": torch.ones(3, 4)}
    >>> keep_head(weights, own)[1]
    '1.weight'
    """
    differing = [key for key, value in own.items() if key in weights and weights[key].shape != value.shape]
    layers = {key.rpartition(".")[0] for key in differing}
    matrices = [key for key in differing if own[key].dim() > 1]
    only_outputs = all(
        weights[key].dim() == own[key].dim() > 0 and weights[key].shape[1:] == own[key].shape[1:] for key in differing
    )
    if len(layers) != 1 or len(matrices) != 1 or not only_outputs:
        return weights, None
    return {**weights, **{key: own[key] for key in differing}}, matrices[0]
