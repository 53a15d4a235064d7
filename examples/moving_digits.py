"""Record moving digits with a simulated event camera, and train a network on the recordings.

    python examples/moving_digits.py recordings
    python examples/follow_events.py recordings/run recordings/test/3/0.npz --events 200

Each of scikit-learn's digits moves along a triangle over a sensor of 16×16 pixels, from a corner drawn at random.
A pixel fires an event if its logarithmic brightness has changed by a threshold since its last event. The recordings are
in class folders, like your own would be. The last line is the accuracy of the network on test recordings.
"""

import argparse
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from clif.train import fit, resolve

SENSOR = 16
DURATION = 90_000  # µs
CORNERS = np.array([(1, 4), (7, 1), (7, 7)])


def record(image: np.ndarray, rng: np.random.Generator, frames: int = 60, threshold: float = 0.35) -> dict:
    """The events {"t", "x", "y", "p"} of an image [8, 8] with values from 0 to 1 that moves over the sensor."""
    corners = CORNERS[(rng.integers(3) + np.arange(4)) % 3]
    places = np.stack([np.interp(np.linspace(0, 3, frames), range(4), column) for column in corners.T], 1)
    padded = np.pad(image, ((SENSOR, SENSOR), (SENSOR, SENSOR)))
    events, last = [], None
    for i, (x, y) in enumerate(places):
        left, top = int(x), int(y)
        right, down = x - left, y - top
        a, b, c, d = (
            padded[SENSOR - top - v : 2 * SENSOR - top - v, SENSOR - left - u : 2 * SENSOR - left - u]
            for v in (0, 1)
            for u in (0, 1)
        )
        seen = np.log(0.1 + (1 - down) * ((1 - right) * a + right * b) + down * ((1 - right) * c + right * d))
        last = seen if last is None else last
        for p, changed in ((1, seen - last >= threshold), (0, last - seen >= threshold)):
            rows, columns = changed.nonzero()
            times = i * DURATION // frames + rng.integers(0, DURATION // frames, len(rows))
            events += zip(times, columns, rows, [p] * len(rows), strict=True)
            last = np.where(changed, seen, last)
    t, x, y, p = np.array(sorted(events)).T
    return {"t": t, "x": x.astype(np.int16), "y": y.astype(np.int16), "p": p.astype(bool)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the recordings and the run are written")
    parser.add_argument("--per-class", type=int, default=100, help="recordings of each digit")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("-T", type=int, default=6, help="frames, of an equal number of events each")
    arguments = parser.parse_args()

    digits, rng = load_digits(), np.random.default_rng(0)
    for label in range(10):
        images = digits.images[digits.target == label][: arguments.per_class] / 16
        for part, chosen in zip(
            ("train", "test"), train_test_split(images, test_size=0.25, random_state=0), strict=True
        ):
            (arguments.folder / part / str(label)).mkdir(parents=True, exist_ok=True)
            for i, image in enumerate(chosen):
                np.savez(arguments.folder / part / str(label) / f"{i}.npz", **record(image, rng))

    options = {"dataset": "events", "data_dir": str(arguments.folder), "sensor_size": f"{SENSOR}x{SENSOR}"}
    learning = {"model": "snn5_noAP", "neuron": "CLIF", "b": 32, "lr": 0.05, "ema": 0.9, "amp": False}
    config = resolve(**options, **learning, T=arguments.T, epochs=arguments.epochs, T_max=arguments.epochs)
    last = fit(config, folder=arguments.folder / "run").history[-1]
    print(f"{last['test_top1']:.1%} of the test recordings after {arguments.epochs} epochs")


if __name__ == "__main__":
    main()
