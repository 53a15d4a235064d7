"""A reader of NIR files by h5py and numpy alone, from NIR's definitions: it shares nothing with clif or `nir`."""

import h5py
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def read(path):
    """(nodes, edges, dt): nodes as dicts of arrays with their "type"."""
    with h5py.File(path) as file:
        graph = file["node"]
        nodes = {
            name: {key: item[()] if isinstance(item, h5py.Dataset) else None for key, item in group.items()}
            for name, group in graph["nodes"].items()
        }
        edges = [tuple(name.decode() for name in edge) for edge in graph["edges"][()]]
        dt = float(graph["metadata"]["dt"][()])
    return {name: {**node, "type": node["type"].decode()} for name, node in nodes.items()}, edges, dt


def run(path, x_seq):
    """x_seq [T, N, C, H, W] -> the output of each step [T, N, classes], and the spikes [T, N, *] of each LIF node."""
    nodes, edges, dt = read(path)
    states = {name: 0.0 for name, node in nodes.items() if node["type"] == "LIF"}
    fired = {name: [] for name in states}
    outputs = []
    for x in x_seq:
        values = {}
        while len(values) < len(nodes):
            for name, node in nodes.items():
                feeding = [source for source, target in edges if target == name]
                if name in values or any(source not in values for source in feeding):
                    continue
                arriving = sum((values[source] for source in feeding), 0.0) if feeding else x
                if node["type"] == "LIF":
                    values[name], states[name] = _lif(node, arriving, states[name], dt)
                    fired[name].append(values[name])
                else:
                    values[name] = _layer(node, arriving)
        outputs.append(values["output"])
    return np.stack(outputs), {name: np.stack(steps) for name, steps in fired.items()}


def _lif(node, x, v, dt):
    u = (v + np.float32(dt) / node["tau"] * (node["v_leak"] - v + node["r"] * x)).astype(np.float32)
    spike = u > node["v_threshold"]
    return spike.astype(np.float32), np.where(spike, node["v_reset"], u)


def _layer(node, x):
    if node["type"] in ("Input", "Output"):
        return x
    if node["type"] == "Flatten":
        assert (node["start_dim"], node["end_dim"]) == (0, -1)
        return x.reshape(len(x), -1)
    if node["type"] == "Affine":
        return x @ node["weight"].T + node["bias"]
    if node["type"] == "AvgPool2d":
        return _windows(x, node["kernel_size"], node["stride"], node["padding"]).mean((-2, -1))
    if node["type"] == "Conv2d":
        weight, groups = node["weight"], int(node["groups"])
        windows = _windows(x, weight.shape[2:], node["stride"], node["padding"])
        parts = zip(np.split(windows, groups, 1), np.split(weight, groups), strict=True)
        sums = [np.einsum("nchwij,ocij->nohw", window, kernel, optimize=True) for window, kernel in parts]
        return np.concatenate(sums, 1) + node["bias"][:, None, None]
    raise AssertionError(f"unknown node {node['type']}")


def _windows(x, kernel_size, stride, padding):
    p, q = (int(value) for value in padding)
    padded = np.pad(x, ((0, 0), (0, 0), (p, p), (q, q)))
    return sliding_window_view(padded, tuple(kernel_size), (2, 3))[:, :, :: int(stride[0]), :: int(stride[1])]
