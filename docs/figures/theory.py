"""Draw the figures of docs/theory.md into docs/images: python docs/figures/theory.py"""

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import torch

import clif
from clif import functional

IMAGES = Path(__file__).parents[1] / "images"
COLOURS = {"CLIF": "#c0392b", "LIF": "#2c6fbb"}


def traces(T: int = 40) -> None:
    """u, m and spikes of one CLIF and one LIF neuron on the same input."""
    torch.manual_seed(1)
    x = (0.75 + 0.35 * torch.randn(T, 1, 1)).clamp(min=0)
    x[25:32] = 0
    figure, axes = plt.subplots(3, 1, figsize=(7, 5), sharex=True, height_ratios=(3, 2, 1), layout="constrained")
    for name, step in (("CLIF", functional.clif_step), ("LIF", functional.lif_step)):
        state, u, m, fired = None, [], [], []
        for t in range(T):
            v = 0.0 if state is None else state[0].item()
            u.append(v / 2 + x[t].item())
            spike, state = step(x[t], state)
            m.append(state[1].item() if name == "CLIF" else 0.0)
            fired.append(spike.item())
        axes[0].plot(u, color=COLOURS[name], label=f"{name}, {int(sum(fired))} spikes", lw=1.2)
        if name == "CLIF":
            axes[1].plot(m, color=COLOURS[name], lw=1.2)
        at = [t for t in range(T) if fired[t]]
        axes[2].scatter(at, [0 if name == "LIF" else 1] * len(at), marker="|", s=120, color=COLOURS[name])
    axes[0].axhline(1, color="grey", lw=0.8, ls="--")
    axes[0].legend(loc="lower right", frameon=False)
    axes[0].set_ylabel("u")
    axes[1].set_ylabel("m of CLIF")
    axes[2].set(yticks=[0, 1], yticklabels=["LIF", "CLIF"], ylim=(-0.6, 1.6), xlabel="time step")
    figure.savefig(IMAGES / "theory_traces.png", dpi=150)
    plt.close(figure)


def gradients(T: int = 12, N: int = 20_000) -> dict[str, list[float]]:
    """Mean |∂L/∂x[T − k]| of CLIF and LIF for L = s[T], in units of that of the last step, by the distance k."""
    torch.manual_seed(0)
    x = torch.randn(T, N) * 0.6 + 0.5
    found = {}
    for name, multi_step in (("CLIF", functional.clif_multi_step), ("LIF", functional.lif_multi_step)):
        given = x.clone().requires_grad_()
        spikes, _ = multi_step(given, backend="torch")
        spikes[-1].sum().backward()
        size = given.grad.abs().mean(1)
        found[name] = (size / size[-1]).flip(0).tolist()
    return found


def gradient_figure() -> None:
    figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
    for name, shares in gradients().items():
        axes.plot(shares, "o-", ms=4, color=COLOURS[name], label=name)
    axes.set(xlabel="distance k in time steps", ylabel="mean |∂s[T]/∂x[T − k]|, k = 0: 1", yscale="log")
    axes.legend(frameon=False)
    figure.savefig(IMAGES / "theory_gradient.png", dpi=150)
    plt.close(figure)


if __name__ == "__main__":
    print(clif.__version__, gradients())
    traces()
    gradient_figure()
