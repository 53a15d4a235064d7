"""Folders of runs like those of the trainer, without training."""

import csv
import dataclasses
import json
from pathlib import Path
from typing import Any

import yaml

from clif.train.config import TrainConfig

LAYERS = ("features.0.act", "features.1.act")


def rows_of(seed: int, epochs: int, gain: float = 0.0) -> list[dict[str, float]]:
    """Figures that rise with the epochs, and differ a little by seed."""
    rows = []
    for epoch in range(epochs):
        row: dict[str, float] = {"epoch": epoch, "lr": 0.1 / (epoch + 1)}
        for part, shift in (("train", 0.02), ("val", 0.0), ("test", -0.01)):
            row[f"{part}_loss"] = 1 / (epoch + 1) + 0.01 * seed - gain
            row[f"{part}_top1"] = 0.8 + 0.02 * epoch + 0.003 * (seed % 3) ** 2 + shift + gain
        row["train_seconds"], row["train_images_per_second"] = 12.0, 100.0
        row |= {f"rate_{layer}": 0.2 + 0.01 * i + gain for i, layer in enumerate(LAYERS)}
        rows.append(row)
    return rows


def write_run(
    folder: Path,
    seed: int = 0,
    epochs: int = 3,
    gain: float = 0.0,
    done: int | None = None,
    rows: list[dict[str, float]] | None = None,
    **options: Any,
) -> Path:
    """A run with `epochs` planned and `done` epochs (None: all) completed; with fewer it has not ended."""
    folder.mkdir(parents=True)
    options = {"dataset": "digits", "val_split": 0.1, "epochs": epochs, "seed": seed, **options}
    config = TrainConfig(**options)
    (folder / "config.yaml").write_text(yaml.safe_dump(dataclasses.asdict(config), sort_keys=False))
    rows = rows_of(seed, epochs if done is None else done, gain) if rows is None else rows
    if rows:
        with (folder / "metrics.csv").open("w", newline="") as file:
            table = csv.DictWriter(file, list(dict.fromkeys(key for row in rows for key in row)))
            table.writeheader()
            table.writerows(rows)
    if done is None and rows:
        best = max(rows, key=lambda row: row["val_top1"])
        summary = {"last": rows[-1], "best": best, "best_chosen_on": "val", "precision": "float32"}
        (folder / "summary.json").write_text(json.dumps(summary))
    start = {
        "started": "2026-01-02T03:04:05+0000",
        "command": ["clif", "train", "digits"],
        "folder": "/home/someone",
        "versions": {"clif": "0.1.0", "torch": "2.13.0"},
        "git": {"clif": "a" * 40, "folder": None},
        "machine": {"host": "here", "cores": 2, "threads": 1, "gpus": []},
        "precision": {"computed_in": "float32", "asked": "auto", "why": "it is fast"},
    }
    (folder / "environment.json").write_text(json.dumps([start]))
    return folder


def write_pair(root: Path, seeds: tuple[int, ...] = (0, 1, 2)) -> list[Path]:
    """Runs of CLIF and LIF with the same seeds, CLIF better."""
    return [
        write_run(root / f"digits_{neuron}_seed{seed}", seed, gain=gain * (1 + 0.1 * seed), neuron=neuron)
        for neuron, gain in (("CLIF", 0.01), ("LIF", 0.0))
        for seed in seeds
    ]


def write_deployment(run: Path, top1: float = 0.8, folder: str = "deploy", method: str = "sweep") -> None:
    """The files of clif deploy by a method."""
    network = {"top1": top1 + 0.02, "agreement": 1.0, "firing_rates": dict.fromkeys(LAYERS, 0.25)}
    report: dict[str, Any] = {
        "method": method,
        "source_top1": top1 + 0.02,
        "fitted_on": "100 training images",
        "seconds": 1.5,
        "networks": [{"name": "as trained", **network}, {**network, "name": "sweep", "top1": top1, "agreement": 0.9}],
    }
    if method == "sweep":
        report["chosen_v_reset"] = -0.02
        report["rows"] = {"test": [{"v_reset": None, "top1": top1 - 0.1}, {"v_reset": -0.02, "top1": top1}]}
    (run / folder).mkdir()
    (run / folder / "deploy.json").write_text(json.dumps(report))


def write_energy(
    run: Path, microjoule: float = 20.0, costs: dict[str, Any] | None = None, epoch: int | None = None, T: int = 6
) -> None:
    """The files of clif energy."""
    layer = {"spikes": 10.0, "acs": 1e6, "macs": 0.0, "operations": 4e6, "memory": 5e6}
    energy = {
        "images": 100,
        "epoch": epoch,
        "T": T,
        "firing_rates": dict.fromkeys(LAYERS, 0.3),
        "layers": [{"name": "features.0.fwd", **layer}, *({"name": name, **layer} for name in LAYERS)],
        "acs": 2e6,
        "macs": 1e6,
        "microjoule": microjoule,
        "memory_millijoule": 1.5,
        "costs": costs or {"name": "45nm", "ac_pj": 0.9, "mac_pj": 4.6},
        "published_mJ": None,
    }
    (run / "energy.json").write_text(json.dumps(energy))
