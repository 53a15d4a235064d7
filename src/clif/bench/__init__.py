"""Benchmarks: a correctness gate, then the contestants in turns, on a machine that the report names.

A benchmark is a function from its settings (`settings.py`) to a `Report`: `neuron.run`, `step.run` and `infer.run`. Its
contestants are in a file of their own. `measure.py` times, `machine.py` describes the machine, `report.py` holds and
shows the figures. A contestant that computes wrong results gets no time.
"""
